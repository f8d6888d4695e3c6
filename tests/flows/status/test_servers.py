"""What the status tells of servers that are up or not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import psycopg
import pytest

from configs.settings import CHECKOUT, Settings, read_settings
from flows.doctor import examine
from flows.stack.specs import POSTGRES
from flows.stack.state import RecordedProcess, write_supervisor
from flows.status.servers import ServerStatus, Watching, read_servers, server_problems
from store.service_replicas import beat, server_name
from store.service_workers import forget_workers, mark_ready
from tests.ports import free_port
from tests.store.runs.test_workers import living_worker

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


@pytest.fixture
def second_home(served_port: int, database_url: str, tmp_path: Path) -> Settings:
    """A home on the database of others, whose service was started by itself."""
    ports = [free_port(), free_port()]
    settings = read_settings(
        {
            "RATCHET_HOME": str(tmp_path),
            "RATCHET_DATABASE_URL": database_url,
            "RATCHET_PORT": str(served_port),
            "RATCHET_MLFLOW_PORT": str(ports[0]),
            "RATCHET_PREFECT_PORT": str(ports[1]),
            "RATCHET_USE_CASES": "plans",
        }
    )
    mark_ready(tmp_path)
    server_name(tmp_path)
    return settings


@contextmanager
def listening_mlflow(home: Path, port: int) -> Iterator[int]:
    """A process that answers on MLflow's port, called as MLflow's server is, with this home."""
    serve = (
        "import sys; from http.server import HTTPServer; from tests.flows.status.test_servers import Lives; "
        "server = HTTPServer(('127.0.0.1', int(sys.argv[2])), Lives); print('up', flush=True); "
        "server.serve_forever()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", serve, "flows.servers.mlflow", str(port)],
        env=os.environ | {"RATCHET_HOME": str(home)},
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        yield process.pid
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def test_a_home_that_only_serves_has_the_worker_and_the_prefect_of_another(
    second_home: Settings, database_url: str
) -> None:
    before = {one.name: one.state for one in read_servers(second_home)}
    assert before == {
        "postgres": "up",
        "service": "up",
        "worker": "down",
        "prefect": "down",
        "mlflow": "down",
    }
    with (
        living_worker(database_url),
        listening_mlflow(second_home.home, second_home.mlflow_port) as mlflow,
    ):
        told = {one.name: one for one in read_servers(second_home)}
        found = {one.what: one for one in examine(second_home)}
        problems = server_problems(second_home, tuple(told.values()), None)
    assert (told["worker"].state, told["prefect"].state) == ("elsewhere", "elsewhere")
    assert str(told["worker"].address).startswith("connected from ")
    assert (told["mlflow"].state, told["mlflow"].pid) == ("up", mlflow)
    assert all(one.does_all for one in told.values())
    assert problems == []
    assert [found[name].ok for name in ("service", "worker", "prefect", "mlflow")] == [True] * 4
    assert found["mlflow"].found == "up, not started by `ratchet up`"
    assert found["worker"].found.startswith("run by another home: connected from ")


def test_an_mlflow_of_another_home_on_the_port_is_none_of_this_one(
    second_home: Settings, database_url: str, tmp_path: Path
) -> None:
    with (
        living_worker(database_url),
        listening_mlflow(tmp_path / "other", second_home.mlflow_port),
    ):
        told = {one.name: one for one in read_servers(second_home)}
        found = {one.what: one for one in examine(second_home)}
    assert told["mlflow"].state == "down"
    assert not found["mlflow"].ok
    problems = server_problems(second_home, tuple(told.values()), None)
    assert problems == [
        "mlflow does not answer; `python -m flows.servers.mlflow` starts it, or MLFLOW_TRACKING_URI names "
        "another's"
    ]


def test_a_worker_of_another_home_makes_up_for_none_that_ratchet_up_started_here(
    second_home: Settings, database_url: str
) -> None:
    write_supervisor(second_home.home, RecordedProcess.of(psutil.Process()))
    with living_worker(database_url):
        told = {one.name: one.state for one in read_servers(second_home)}
    assert (told["worker"], told["prefect"]) == ("down", "down")


def test_the_service_is_that_of_others_only_where_there_never_was_one(
    second_home: Settings, database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        now = datetime.now(UTC)
        beat(conn, "a", 7, address="10.0.0.5:3000", started_at=now, state="serving", serving={})
    forget_workers(tmp_path)  # it has ended
    assert {one.name: one.state for one in read_servers(second_home)}["service"] == "down"
    only_works = replace(second_home, home=tmp_path / "works")
    told = {one.name: one for one in read_servers(only_works)}
    assert (told["service"].state, told["service"].address) == ("elsewhere", "10.0.0.5:3000")
