"""What the status tells of servers that are up or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from configs.settings import read_settings
from flows.doctor import examine
from flows.stack.specs import POSTGRES
from flows.status.servers import ServerStatus, Watching, read_servers, server_problems
from store.service_workers import mark_ready

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


class Lives(BaseHTTPRequestHandler):
    """Answers as a service that lives."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *told: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def served_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Lives) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("own", [True, False])
def test_a_service_of_this_home_that_was_started_by_itself_is_up(
    own: bool, served_port: int, database_url: str, tmp_path: Path
) -> None:
    settings = read_settings(
        {
            "RATCHET_HOME": str(tmp_path),
            "RATCHET_DATABASE_URL": database_url,
            "RATCHET_PORT": str(served_port),
            "RATCHET_USE_CASES": "plans",
        }
    )
    if own:
        mark_ready(tmp_path)
    states = {one.name: (one.state, one.pid) for one in read_servers(settings)}
    assert states["service"] == (("up", os.getpid()) if own else ("down", None))
    (found,) = [one for one in examine(settings) if one.what == "service"]
    assert (found.ok, "is taken by" in found.found) == (own, not own), found
