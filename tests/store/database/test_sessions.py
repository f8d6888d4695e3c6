"""Sessions of one's own, and those that a real PgBouncer hands on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from configs.settings import read_settings
from service.errors import DatabaseAway
from service.storage import database as service_database
from service.storage.database import Database
from store import jobs
from store.database import sessions
from store.database.activity import oldest_open_transaction
from store.database.connection import connect, connect_async, migrate
from store.database.sessions import (
    ensure_sessions,
    has_own_session,
    has_own_session_async,
    hold_lock,
    is_kept,
    keep_lock,
    keep_shared,
    keep_shared_async,
    session_url,
    try_keep_lock,
)
from store.errors import DatabaseUnavailable
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.rows import count_feedback
from store.runs.workers import WorkerMark, has_worker, keep_worker
from tests.poolers import needs_pgbouncer, pooled
from tests.ports import closed_port

DOCUMENT = '{"a": 1}'


@pytest.fixture
def pooler(database_url: str, tmp_path: Path) -> Iterator[str]:
    with pooled(database_url, tmp_path / "pooler", size=8) as url:
        yield url


def test_the_server_itself_is_known_without_a_probe(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_address: str) -> bool:
        raise AssertionError("asked")

    monkeypatch.setattr(sessions, "_probe", fail)
    with connect(database_url) as conn:
        assert has_own_session(conn)


@needs_pgbouncer
@pytest.mark.parametrize(("mode", "own"), [("session", True), ("transaction", False)])
def test_a_pooler_is_recognised_by_what_it_does(
    database_url: str, tmp_path: Path, mode: str, own: bool
) -> None:
    with pooled(database_url, tmp_path / "pooler", mode=mode, size=8) as url:
        with connect(url, autocommit=True) as conn:
            assert has_own_session(conn) is own

        async def ask() -> bool:
            async with await connect_async(url) as conn:
                return await has_own_session_async(conn)

        assert asyncio.run(ask()) is own


@needs_pgbouncer
def test_a_lock_lasts_as_long_as_the_connection_that_keeps_it(pooler: str, conn: psycopg.Connection) -> None:
    with connect(pooler, autocommit=True) as first, connect(pooler, autocommit=True) as second:
        keeper = keep_lock(first, "shadow", "u")
        assert keeper is not first
        for _ in range(10):  # whoever comes by the pooler finds it held, in whatever session
            assert try_keep_lock(second, "shadow", "u") is None
        assert try_keep_lock(conn, "shadow", "u") is None, "nor does one that comes by no pooler"
        assert is_kept(keeper)
        before = datetime.now(UTC)
        assert oldest_open_transaction(conn) >= before, "rows never come to light by what keeps a lock"
        keeper.close()
        assert not is_kept(keeper)
        taken = try_keep_lock(second, "shadow", "u")
        assert taken is not None
        taken.close()
    with connect(pooler) as moving, connect(pooler) as other:
        with hold_lock(moving, "move", "u"):
            moving.execute("INSERT INTO pause (use_case, actor, reason) VALUES ('u', 'ann', 'why')")
            assert try_keep_lock(other, "move", "u") is None
        assert conn.execute("SELECT count(*) FROM pause").fetchone() == (1,), "committed before it is let go"


@needs_pgbouncer
def test_no_index_waits_for_what_keeps_a_lock(pooler: str, conn: psycopg.Connection) -> None:
    """Those of migrations are made while whoever starts them keeps locks."""
    key = "SELECT hashtextextended(%s, 0)"

    async def make_index() -> None:
        with ExitStack() as stack:
            keeping = stack.enter_context(connect(pooler, autocommit=True))
            stack.enter_context(keep_lock(keeping, "move", "u"))
            tried = try_keep_lock(keeping, "shadow", "u")
            assert tried is not None
            stack.enter_context(tried)
            stack.enter_context(keep_shared(keeping, key, ("a",)))
            async with await connect_async(pooler) as keeper:
                await keep_shared_async(keeper, key, ("b",))
                held = conn.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
                assert held == (4,)
                conn.execute("SET statement_timeout = '5s'")
                conn.execute("CREATE INDEX CONCURRENTLY made_beside ON pause (actor)")

    asyncio.run(make_index())


@needs_pgbouncer
def test_a_worker_is_seen_and_is_gone_with_its_connection(pooler: str, conn: psycopg.Connection) -> None:
    async def live() -> None:
        async with await connect_async(pooler) as keeper:
            await keep_worker(keeper, WorkerMark("here", shares=False))
            assert has_worker(conn)

    asyncio.run(live())
    until = datetime.now(UTC).timestamp() + 5
    while has_worker(conn):
        assert datetime.now(UTC).timestamp() < until


@needs_pgbouncer
def test_jobs_of_a_worker_without_a_session_are_held_by_their_lease(
    pooler: str, conn: psycopg.Connection
) -> None:
    jobs.submit_job(conn, "u", "01a1fe1e-7758-754b-970d-78d48fef5ac1", request=b"{}", records=1)
    with connect(pooler, autocommit=True) as own:
        worker = jobs.name_worker(own)
        taken = jobs.take_jobs(own, "u", worker, most_jobs=1, most_records=1)
        assert len(taken) == 1
        assert jobs.free_jobs(conn) == 0
        conn.execute("UPDATE job SET lease_until = now() - interval '1 s'")
        assert jobs.free_jobs(conn) == 1


@needs_pgbouncer
def test_what_is_set_stays_with_whom_it_is_for(
    pooler: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(service_database, "STATEMENT_SECONDS", 1)
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": pooler})
    database = Database(settings)
    try:
        database.read(lambda conn: conn.execute("SELECT 1"))
        with pytest.raises(DatabaseAway, match="took too long"):
            database.read(lambda conn: conn.execute("SELECT pg_sleep(20)"))
        for _ in range(10):
            with connect(pooler, autocommit=True) as other:
                assert other.execute("SHOW statement_timeout").fetchone() == ("0",)
    finally:
        database.close()


@needs_pgbouncer
def test_labels_of_many_clients_come_by_few_sessions(pooler: str, conn: psycopg.Connection) -> None:
    clients = [connect(pooler, autocommit=True) for _ in range(12)]
    for turn in range(3):
        for number, client in enumerate(clients):
            names = [f"i:{number}-{row}" for row in range(3)]
            batch = FeedbackBatch(names, [DOCUMENT] * 3, [str(turn % 2)] * 3, "http")
            counts = add_feedback(client, "u", batch)
            assert (counts.new, counts.corrected) == ((3, 0) if turn == 0 else (0, 3))
    assert count_feedback(conn, "u") == 36
    for client in clients:
        client.close()


@needs_pgbouncer
def test_tables_migrate_by_it_and_times_are_utc(pooler: str, conn: psycopg.Connection) -> None:
    conn.execute("DROP INDEX feedback_by_time")
    conn.execute("UPDATE ratchet_revision SET version_num = '0015'")
    migrate(pooler)
    assert conn.execute("SELECT to_regclass('feedback_by_time')::text").fetchone() == ("feedback_by_time",)
    name = conn.info.dbname
    conn.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'Europe/Berlin'")
    for _ in range(10):
        with connect(pooler, autocommit=True) as one, connect(pooler) as two:
            two.execute("SELECT 1")
            assert one.execute("SHOW timezone").fetchone() == ("UTC",)


@pytest.mark.parametrize("variable", ["RATCHET_DATABASE_URL", "RATCHET_DATABASE_DIRECT_URL"])
def test_an_address_that_leads_nowhere_is_told_by_its_variable(
    database_url: str, tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"RATCHET_DATABASE_URL": database_url, "RATCHET_DATABASE_DIRECT_URL": database_url}
    named[variable] = f"postgresql://u:secret@127.0.0.1:{closed_port()}/db"
    monkeypatch.setenv(variable, named[variable])
    with pytest.raises(DatabaseUnavailable, match=rf"^{variable}: database at 127\.0\.0\.1:") as told:
        ensure_sessions(read_settings({"RATCHET_HOME": str(tmp_path), **named}))
    assert "secret" not in str(told.value)


@needs_pgbouncer
def test_the_direct_address_is_looked_at(
    database_url: str, postgres: str, pooler: str, tmp_path: Path
) -> None:
    home = {"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": pooler}
    ensure_sessions(read_settings(home))
    settings = read_settings({**home, "RATCHET_DATABASE_DIRECT_URL": database_url})
    ensure_sessions(settings)
    assert session_url(settings) == database_url
    with pytest.raises(DatabaseUnavailable, match="RATCHET_DATABASE_DIRECT_URL leads to a pooler"):
        ensure_sessions(read_settings({**home, "RATCHET_DATABASE_DIRECT_URL": pooler}))
    with pytest.raises(DatabaseUnavailable, match="different databases"):
        ensure_sessions(read_settings({**home, "RATCHET_DATABASE_DIRECT_URL": postgres}))
