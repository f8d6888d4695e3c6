"""Where the database is, and what its tables refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from configs.settings import CHECKOUT, read_settings
from store.database.connection import (
    connect,
    database_url,
    ensure_databases,
    migrate,
    tool_url,
    url_file,
)
from store.database.revisions import revision_problem
from store.errors import DatabaseUnavailable
from tests.databases import with_database


def test_your_database_goes_first(tmp_path: Path) -> None:
    url_file(tmp_path).parent.mkdir()
    url_file(tmp_path).write_text("postgresql://embedded\n")
    home = {"RATCHET_HOME": str(tmp_path)}
    assert database_url(read_settings(home)) == "postgresql://embedded"
    yours = read_settings(home | {"RATCHET_DATABASE_URL": "postgresql://yours"})
    assert database_url(yours) == "postgresql://yours"


def test_without_a_database_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="start one with `ratchet up`"):
        database_url(read_settings({"RATCHET_HOME": str(tmp_path)}))


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        connect("postgresql://u:secret@127.0.0.1:1/x")
    assert str(caught.value).startswith("database at 127.0.0.1:1/x cannot be reached: ")
    assert "\n" not in str(caught.value), "a command says it in one line"
    assert "secret" not in str(caught.value)


def test_an_address_that_cannot_be_read_now_is_a_database_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(*_: object, **__: object) -> str:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "read_text", lacks)
    with pytest.raises(DatabaseUnavailable, match="Too many open files"):
        database_url(read_settings({"RATCHET_HOME": str(tmp_path)}))


def test_sessions_speak_utc(database_url: str) -> None:
    with connect(database_url) as conn:
        assert conn.execute("SHOW timezone").fetchone() == ("UTC",)


def test_migrating_twice_and_at_once_changes_nothing(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("CREATE DATABASE test_migrate")
    url = with_database(postgres, "test_migrate")
    _all_at_once(3, lambda: migrate(url))
    with psycopg.connect(url) as conn:
        stamped = conn.execute("SELECT version_num FROM ratchet_revision").fetchall()
    newest = max(path.name[:4] for path in (CHECKOUT / "store/database/migrations/versions").glob("0*.py"))
    assert stamped == [(newest,)]


def test_the_ledger_is_append_only(conn: psycopg.Connection) -> None:
    conn.execute("INSERT INTO ledger (use_case, event, actor) VALUES ('u', 'promote', 'gate')")
    for statement in ("UPDATE ledger SET actor = 'x'", "DELETE FROM ledger", "TRUNCATE ledger"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="ledger is append-only"):
            conn.execute(statement)
    assert conn.execute("SELECT actor FROM ledger").fetchall() == [("gate",)]


def test_tools_get_databases_beside_ours(database_url: str) -> None:
    ensure_databases(database_url)
    ensure_databases(database_url)
    for tool in ("mlflow", "prefect"):
        url = tool_url(database_url, tool)
        assert urlsplit(url).path == urlsplit(database_url).path + f"_{tool}"
        psycopg.connect(url).close()


def test_two_that_start_at_once_make_them_once(database_url: str) -> None:
    tools = [f"tool{number}" for number in range(12)]
    barrier = threading.Barrier(4)

    def run() -> None:
        for tool in tools:
            barrier.wait(30)
            ensure_databases(database_url, [tool])

    _all_at_once(4, run)
    with psycopg.connect(database_url, autocommit=True) as conn:
        for tool in tools:
            conn.execute(f'DROP DATABASE "{urlsplit(tool_url(database_url, tool)).path[1:]}"')


def test_a_user_who_may_not_create_databases_is_told_what_to_create(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS modest")
        conn.execute("CREATE ROLE modest LOGIN PASSWORD 'pw'")
    parts = urlsplit(database_url)
    modest = parts._replace(netloc=f"modest:pw@{parts.hostname}:{parts.port}").geturl()
    with pytest.raises(DatabaseUnavailable, match=r'CREATE DATABASE "test_.*_mlflow" OWNER "modest";'):
        ensure_databases(modest)


def test_tables_of_a_newer_release_are_left_alone(database_url: str, conn: psycopg.Connection) -> None:
    assert revision_problem(conn) is None
    conn.execute("UPDATE ratchet_revision SET version_num = '9999'")
    with pytest.raises(DatabaseUnavailable, match="of a newer Ratchet"):
        migrate(database_url)


def test_a_read_only_database_is_not_migrated_and_says_so(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE DATABASE test_read_only")
        admin.execute("ALTER DATABASE test_read_only SET default_transaction_read_only = on")
    with pytest.raises(DatabaseUnavailable, match="the database is read-only"):
        migrate(with_database(postgres, "test_read_only"))


def test_a_database_that_takes_no_writes_is_told_before_anything_is_done(database_url: str) -> None:
    joint = "&" if "?" in database_url else "?"
    with pytest.raises(DatabaseUnavailable, match="the database is read-only; name the primary"):
        migrate(f"{database_url}{joint}options=-cdefault_transaction_read_only%3Don")


def _all_at_once(count: int, run: Callable[[], object]) -> None:
    """Run it in so many threads; raises what the first of them raised."""
    with ThreadPoolExecutor(count) as threads:
        running = [threads.submit(run) for _ in range(count)]
    for one in running:
        one.result()
