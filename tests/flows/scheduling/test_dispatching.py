"""The dispatcher shows that its worker is alive, for as long as it reaches the database, and no longer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from configs.settings import read_settings
from flows.scheduling import dispatching, hearing, label_events
from flows.scheduling.dispatching import dispatch
from store.runs.lifecycle import request_run
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
