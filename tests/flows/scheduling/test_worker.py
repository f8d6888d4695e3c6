"""What a new worker finds of the last one: runs whose flow run was cut off wait again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from prefect.client.schemas.objects import State
from prefect.states import Completed, Crashed, Failed, Pending

from configs.settings import Settings, read_settings
from flows.scheduling import worker
from flows.scheduling.dispatching import EVENT
from flows.scheduling.worker import requeue_crashed
from store.runs.lifecycle import mark_dispatched, request_run, show_life, start_run
from store.runs.rows import dispatched_runs, waiting_runs
from store.runs.workers import show_worker

USE_CASE = "u"


class Client:
    """Prefect's client, which knows the states of flow runs."""

    def __init__(self, states: dict[UUID, State[Any]]) -> None:
        self._states = states

    async def read_flow_run(self, flow_run_id: UUID) -> Any:
        return SimpleNamespace(state=self._states[flow_run_id])


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})


def hand_over(conn: psycopg.Connection, flow_run_id: str) -> str:
    run_id = request_run(conn, USE_CASE, "retrain", "http", runner="worker")
    mark_dispatched(conn, run_id, flow_run_id)
    return run_id


@pytest.mark.parametrize(
    ("state", "waits_again"),
    [(Crashed(), True), (Failed(), False), (Pending(), False), (Completed(), False)],
    ids=["crashed", "failed", "pending", "completed"],
)
def test_only_a_run_whose_flow_run_was_cut_off_waits_again(
    conn: psycopg.Connection, settings: Settings, state: State[Any], waits_again: bool
) -> None:
    flow_run_id = uuid4()
    run_id = hand_over(conn, str(flow_run_id))
    asyncio.run(requeue_crashed(Client({flow_run_id: state}), settings, [USE_CASE]))  # type: ignore[arg-type]
    assert [run.id for run in waiting_runs(conn, [USE_CASE])] == ([run_id] if waits_again else [])
    assert [run.id for run in dispatched_runs(conn, [USE_CASE])] == ([] if waits_again else [run_id])


def test_a_run_that_was_handed_over_as_an_event_is_left_to_the_dispatcher(
    conn: psycopg.Connection, settings: Settings
) -> None:
    run_id = hand_over(conn, f"{EVENT}{uuid4()}")
    asyncio.run(requeue_crashed(Client({}), settings, [USE_CASE]))  # type: ignore[arg-type]
    assert [run.id for run in dispatched_runs(conn, [USE_CASE])] == [run_id]


def test_a_worker_begins_with_the_database_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = {"RATCHET_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "RATCHET_HOME": str(tmp_path)}
    asyncio.run(requeue_crashed(Client({}), read_settings(nowhere), [USE_CASE]))  # type: ignore[arg-type]
    assert "runs that were cut off cannot be told now" in caplog.text


def test_a_worker_makes_its_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[Settings, bool]] = []

    async def work(settings: Settings, *, sole: bool) -> None:
        assert settings.home.is_dir()
        begun.append((settings, sole))

    home = tmp_path / "machine" / "home"
    monkeypatch.setenv("RATCHET_HOME", str(home))
    monkeypatch.setattr(worker, "work", work)
    worker.main(["--sole"])
    assert [(settings.home, sole) for settings, sole in begun] == [(home, True)]
    assert home.stat().st_mode & 0o777 == 0o700


def test_where_others_cannot_be_told_what_may_be_theirs_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    removing: list[bool] = []

    async def nothing(*_args: Any, **_named: Any) -> None:
        return None

    async def bring(_client: Any, _entries: Any, *, sole: bool) -> None:
        removing.append(sole)

    monkeypatch.setattr(worker, "ensure_pool", nothing)
    monkeypatch.setattr(worker, "bring_deployments", bring)
    nowhere = {"RATCHET_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "RATCHET_HOME": str(tmp_path)}
    # A client that cannot end runs: asked to, it fails.
    asyncio.run(worker.prepare(Client({}), read_settings(nowhere), [], sole=True))  # type: ignore[arg-type]
    assert removing == [False]
    assert "cannot be told now, so what may be theirs stays" in caplog.text


@pytest.mark.parametrize("lives", [False, True])
def test_what_is_left_over_is_settled_and_other_deployments_go_where_no_other_worker_lives(
    conn: psycopg.Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    settled: list[frozenset[str]] = []
    removing: list[bool] = []

    async def nothing(*_args: Any, **_named: Any) -> None:
        return None

    async def bring(_client: Any, _entries: Any, *, sole: bool) -> None:
        removing.append(sole)

    async def settle(_client: Any, _pool: str, *, held: frozenset[str]) -> tuple[int, int]:
        settled.append(held)
        return 0, 0

    monkeypatch.setattr(worker, "ensure_pool", nothing)
    monkeypatch.setattr(worker, "bring_deployments", bring)
    monkeypatch.setattr(worker, "settle_runs", settle)
    run_id = request_run(conn, USE_CASE, "retrain", "http", runner="worker")
    start_run(conn, run_id, "flow-1")
    show_life(conn, run_id)

    async def prepare() -> None:
        async with await psycopg.AsyncConnection.connect(
            str(settings.database_url), autocommit=True
        ) as other:
            if lives:
                await show_worker(other)
            await worker.prepare(Client({}), settings, [], sole=True)  # type: ignore[arg-type]

    asyncio.run(prepare())
    assert settled == ([] if lives else [frozenset({"flow-1"})])
    assert removing == [not lives]
