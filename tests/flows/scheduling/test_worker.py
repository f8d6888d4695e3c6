"""What a new worker finds of the last one: runs whose flow run was cut off wait again."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from prefect.client.schemas.objects import State
from prefect.states import Completed, Crashed, Failed, Pending

from configs.settings import Settings, read_settings
from flows.scheduling import worker
from flows.scheduling.deployments import Entry
from flows.scheduling.dispatching import EVENT
from flows.scheduling.hearing import hearing
from flows.scheduling.turns import Turn
from flows.scheduling.worker import requeue_crashed
from store.database import sessions
from store.database.sessions import try_keep_lock
from store.runs import workers
from store.runs.lifecycle import mark_dispatched, request_run, show_life, start_run
from store.runs.rows import dispatched_runs, waiting_runs
from store.runs.workers import WorkerMark, show_worker
from tests import poolers
from tests.poolers import needs_pgbouncer

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
    begun: list[worker.Here] = []

    async def work(here: worker.Here) -> None:
        assert here.settings.home.is_dir()
        begun.append(here)

    home = tmp_path / "machine" / "home"
    monkeypatch.setenv("RATCHET_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")  # as `ratchet up` tells it
    monkeypatch.setattr(worker, "work", work)
    worker.main(["--sole"])
    worker.main(["--keeps-models"])
    assert [(one.settings.home, one.sole) for one in begun] == [(home, True), (home, False)]
    assert [one.mark.shares for one in begun] == [True, False]
    assert begun[1].mark.models.endswith(f":{home}")
    assert home.stat().st_mode & 0o777 == 0o700


class Prefect(Client):
    """Prefect as far as a worker prepares it: which deployments are there, and what is settled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__({})
        self.deployments: set[str] = set()
        self.settled: list[frozenset[str]] = []
        monkeypatch.setattr(worker, "ensure_pool", self._nothing)
        monkeypatch.setattr(worker, "forget_worker", self._nothing)
        monkeypatch.setattr(worker, "bring_deployments", self._bring)
        monkeypatch.setattr(worker, "settle_runs", self._settle)

    async def _nothing(self, *_args: Any, **_named: Any) -> None:
        return None

    async def _bring(self, _client: Any, entries: list[Entry], *, sole: bool) -> None:
        names = {entry["name"] for entry in entries}
        self.deployments = names if sole else self.deployments | names

    async def _settle(self, _client: Any, _pool: str, *, held: frozenset[str]) -> tuple[int, int]:
        self.settled.append(held)
        return 0, 0

    async def prepare(self, here: worker.Here, turn: Turn, *names: str) -> None:
        """Prepare it for a worker that has the use cases of these names."""
        await worker.prepare(self, here, [{"name": name} for name in names], turn)  # type: ignore[arg-type]


def here(settings: Settings) -> worker.Here:
    return worker.Here(settings, WorkerMark.of(settings, keeps_models=True), sole=True)


def test_where_others_cannot_be_told_what_may_be_theirs_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prefect = Prefect(monkeypatch)
    prefect.deployments = {"others"}
    nowhere = {"RATCHET_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "RATCHET_HOME": str(tmp_path)}
    settings = read_settings(nowhere)
    asyncio.run(prefect.prepare(here(settings), Turn.take(settings), "own"))
    assert (prefect.deployments, prefect.settled) == ({"others", "own"}, [])
    assert "cannot be told now, so what may be theirs stays" in caplog.text


@pytest.mark.parametrize("lives", [False, True])
def test_what_is_left_over_is_settled_and_other_deployments_go_where_no_other_worker_lives(
    conn: psycopg.Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    prefect = Prefect(monkeypatch)
    prefect.deployments = {"others"}
    run_id = request_run(conn, USE_CASE, "retrain", "http", runner="worker")
    start_run(conn, run_id, "flow-1")
    show_life(conn, run_id)

    async def prepare() -> None:
        async with await psycopg.AsyncConnection.connect(
            str(settings.database_url), autocommit=True
        ) as other:
            if lives:
                await show_worker(other, WorkerMark.of(settings, keeps_models=True))
            turn = Turn.take(settings)
            await prefect.prepare(here(settings), turn, "own")
            turn.end()

    asyncio.run(prepare())
    assert prefect.settled == ([] if lives else [frozenset({"flow-1"})])
    assert prefect.deployments == ({"others", "own"} if lives else {"own"})


@pytest.mark.parametrize("pooled", [False, pytest.param(True, marks=needs_pgbouncer)])
def test_of_two_workers_that_begin_at_once_the_later_sees_the_earlier(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pooled: bool
) -> None:
    """The earlier one has prepared, and is not seen yet, while the later one would look."""
    prefect = Prefect(monkeypatch)
    has_looked_or_waits = threading.Event()

    def try_turn(*which: Any) -> psycopg.Connection | None:
        if (keeper := try_keep_lock(*which)) is None:
            has_looked_or_waits.set()
        return keeper

    async def begin(later: worker.Here) -> None:
        turn = await asyncio.to_thread(Turn.take, later.settings)
        await prefect.prepare(later, turn, "later")
        has_looked_or_waits.set()
        turn.end()

    async def both(earlier: worker.Here) -> None:
        turn = Turn.take(earlier.settings)
        await prefect.prepare(earlier, turn, "earlier")
        monkeypatch.setattr(sessions, "try_keep_lock", try_turn)
        beginning = asyncio.create_task(begin(here(earlier.settings)))
        assert await asyncio.to_thread(has_looked_or_waits.wait, 20)
        async with hearing(str(earlier.settings.database_url), [], earlier.mark):
            turn.end()
            await beginning

    with ExitStack() as stack:
        url = (
            stack.enter_context(poolers.pooled(database_url, tmp_path / "pooler")) if pooled else database_url
        )
        settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": url})
        asyncio.run(both(here(settings)))
    assert prefect.deployments == {"earlier", "later"}
    assert len(prefect.settled) == 1


def test_a_worker_does_not_take_itself_for_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefect = Prefect(monkeypatch)

    async def again() -> None:
        own = here(settings)
        async with hearing(str(settings.database_url), [], own.mark):
            turn = Turn.take(settings)
            assert turn.look(own.mark) == (False, frozenset())
            assert turn.look(WorkerMark.of(settings, keeps_models=True))[0] is True
            turn.end()

    asyncio.run(again())
    assert prefect.settled == []


def test_a_turn_that_does_not_end_is_not_waited_for_for_ever(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "TURN_SECONDS", 0.1)
    first = Turn.take(settings)
    second = Turn.take(settings)
    assert second.look(WorkerMark.of(settings, keeps_models=True)) == (None, frozenset())
    assert "another worker is beginning, and does not come to its end" in caplog.text
    first.end()
    third = Turn.take(settings)
    assert third.look(WorkerMark.of(settings, keeps_models=True)) == (False, frozenset())
    third.end()


def test_what_another_took_away_while_the_database_was_gone_comes_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefect = Prefect(monkeypatch)
    asked: list[int] = []

    async def bring(*_args: Any, sole: bool) -> None:
        assert not sole
        asked.append(1)
        if len(asked) == 2:
            raise httpx.ConnectError("Prefect is away")

    async def be_shown_twice() -> None:
        shown = asyncio.Event()
        task = asyncio.create_task(worker._register_when_shown(settings, {}, shown))
        for times in (1, 3):  # the second time Prefect is away at first
            shown.set()
            async with asyncio.timeout(20):
                while len(asked) < times:
                    await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    monkeypatch.setattr(worker, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(worker, "bring_deployments", bring)
    monkeypatch.setattr(worker, "get_client", lambda: nullcontext(prefect))
    asyncio.run(be_shown_twice())
    assert len(asked) == 3
