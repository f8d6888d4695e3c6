"""What the status tells of servers that are up or not."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from configs.settings import read_settings
from flows.stack.specs import POSTGRES
from flows.status.servers import ServerStatus, Watching, read_servers, server_problems

WATCHED = Watching(os.getpid(), datetime(2026, 11, 21, tzinfo=UTC))


def test_a_database_that_takes_no_writes_is_told_as_that(database_url: str, tmp_path: Path) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(f'ALTER DATABASE "{conn.info.dbname}" SET default_transaction_read_only = on')
        told = read_servers(settings)
        conn.execute("SET default_transaction_read_only = off")
        conn.execute(f'ALTER DATABASE "{conn.info.dbname}" RESET default_transaction_read_only')
    assert told[0].state == "up"
    problems = server_problems(settings, told, WATCHED)
    assert any(one.startswith("postgres: the database is read-only") for one in problems)
    assert read_servers(settings)[0].trouble is None


def test_a_database_that_runs_and_lets_nobody_in_is_not_said_to_be_started_again(tmp_path: Path) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path)})
    full = "database at 127.0.0.1:5432/ratchet cannot be reached: FATAL: sorry, too many clients already"
    problems = server_problems(settings, (ServerStatus(POSTGRES, "starting", True, None, 7, full),), WATCHED)
    assert f"postgres: {full}" in problems
    assert not any(one.startswith("postgres does not answer") for one in problems)
    gone = server_problems(settings, (ServerStatus(POSTGRES, "down", True, None, None),), WATCHED)
    assert "postgres does not answer; it is being started again" in gone
