"""The dispatcher shows that its worker is alive, for as long as it reaches the database, and no longer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from configs.settings import read_settings
from flows.canary import looking as canary_looking
from flows.context import LoopContext
from flows.probation import looking as probation_looking
from flows.scheduling import canaries, dispatching, hearing, label_events, promotions
from flows.scheduling.dispatching import dispatch
from models.production.contract import Version
from models.production.tags import SNAPSHOT_TAG
from store.errors import HistoryError, SnapshotError, StorageUnavailable
from store.runs.lifecycle import request_run
from store.runs.rows import waiting_runs
from store.runs.workers import WorkerMark, has_worker
from tests.service.conftest import USE_CASES

MARK = WorkerMark("here", shares=False)


class Away:
    """Prefect's client, and that of its events, while no server answers."""

    asked = 0

    def __getattr__(self, name: str) -> Any:
        async def ask(*_: Any, **__: Any) -> None:
            self.asked += 1
            raise httpx.ConnectError("refused")

        return ask

    async def __aenter__(self) -> None:
        self.asked += 1
        raise ConnectionRefusedError(111, "refused")

    async def __aexit__(self, *_: object) -> None: ...


async def until(true: Any, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("trigger", ["http", "labels"])
def test_it_lives_while_prefect_is_away(
    trigger: str, database_url: str, conn: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(dispatching, "POLL_SECONDS", 0.1)
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})
    request_run(conn, "plans", "retrain", trigger, runner="worker")
    client = Away()
    monkeypatch.setattr(label_events, "get_events_client", lambda **_: client)

    async def work() -> None:
        task = asyncio.create_task(dispatch(client, settings, {"plans": USE_CASES["plans"]}, MARK))  # type: ignore[arg-type]
        await until(lambda: has_worker(conn))
        held = set()
        seen = client.asked
        async with asyncio.timeout(20):
            while client.asked < seen + 5:
                held.add(has_worker(conn))
                await asyncio.sleep(0.01)
        assert held == {True}
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: not has_worker(conn), 2)

    asyncio.run(work())


def test_it_shows_its_life_again_after_the_database_was_away(
    database_url: str, conn: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(dispatching, "POLL_SECONDS", 0.1)
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})

    async def work() -> None:
        task = asyncio.create_task(dispatch(Away(), settings, {}, MARK))  # type: ignore[arg-type]
        await until(lambda: has_worker(conn))
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await until(lambda: not has_worker(conn), 2)
        await until(lambda: has_worker(conn))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())


@dataclass(frozen=True)
class Elsewhere:
    """A registry in which production of one use case was made on another database."""

    use_case: str

    def alias_version(self, _use_case: str, alias: str) -> int | None:
        return 1 if alias == "production" else None

    def version(self, use_case: str, version: int) -> Version:
        tags = {SNAPSHOT_TAG: "of another database"} if use_case == self.use_case else {}
        return Version(use_case, version, "", tags, (), 0)


def test_production_of_another_database_keeps_no_other_use_case_from_its_runs(
    database_url: str,
    conn: psycopg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})
    use_cases = {name: USE_CASES["plans"].model_copy(update={"name": name}) for name in ("odd", "plans")}
    monkeypatch.setattr(dispatching, "open_registry", lambda _uri: Elsewhere("odd"))
    due = use_cases["plans"].retrain.every_labels
    conn.execute(
        "INSERT INTO feedback (use_case, identity, record, label, source)"
        " SELECT 'plans', 'i:' || number, '{}', 'One year', 'file' FROM generate_series(1, %s) AS number",
        (due,),
    )
    with caplog.at_level("WARNING"):
        assert asyncio.run(dispatching.ask_where_due(settings, use_cases)) == set()
    assert "whether labels of odd are due cannot be told" in caplog.text
    assert "no snapshot has the digest of another database" in caplog.text
    assert [(run.use_case, run.trigger) for run in waiting_runs(conn, ["odd", "plans"])] == [
        ("plans", "labels")
    ]


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (HistoryError("the table of labelled rows cannot be read"), {"plans"}),
        (StorageUnavailable("s3://rows", "it is gone"), {"plans"}),
        (SnapshotError("no snapshot has the digest"), set()),
        (OSError(28, "No space left on device"), {"plans"}),
    ],
)
def test_a_look_that_cannot_be_had_now_ends_no_worker(
    error: Exception,
    again: set[str],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})

    def look_if_due(_context: LoopContext) -> None:
        raise error

    monkeypatch.setattr(probation_looking, "look_if_due", look_if_due)
    monkeypatch.setattr(canary_looking, "look_if_due", look_if_due)
    monkeypatch.setattr(canaries, "find_canary", lambda *_: object())
    use_cases = {"plans": USE_CASES["plans"]}
    with caplog.at_level("WARNING"):
        assert promotions.look_where_due(settings, use_cases) == again
        canaries.follow_canaries(settings, use_cases)
    assert caplog.text.count(str(error)) == 2
