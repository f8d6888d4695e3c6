"""What the service depends on is away, hangs, is read-only or fails over, while callers ask and label."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from store.database.embedded import EmbeddedPostgres
from store.runs.rows import find_run
from tests.e2e.apples import USE_CASE
from tests.faults.installation import Installation, callers_of, running, watch_for
from tests.faults.measuring import measure
from tests.faults.standby import Address, kill, make_standby, promote, wait_until_equal

pytestmark = pytest.mark.faults

MINUTE = 60.0


HANGING = {
    "PostgreSQL hangs (SIGSTOP) for 20 s": "postgres",
    "MLflow hangs (SIGSTOP) for 20 s": "mlflow",
    "Prefect hangs (SIGSTOP) for 20 s": "prefect",
}


@pytest.mark.parametrize("fault", HANGING)
def test_a_server_hangs_for_a_while(installation: Installation, fault: str) -> None:
    server = HANGING[fault]
    with callers_of(installation) as callers:
        installation.signal(server, signal.SIGSTOP)
        try:
            watched = watch_for(installation, 20.0)
        finally:
            installation.signal(server, signal.SIGCONT)
        ended = time.monotonic()
        measure(fault, installation, callers, watched, ended)


@pytest.mark.parametrize("fault", ["artifact storage gone during a retrain"])
def test_artifacts_are_gone_for_a_while(installation: Installation, fault: str) -> None:
    """Where MLflow keeps artifacts cannot be read or written, as a mount that is lost, and comes back."""
    store, away = installation.home / "mlflow", installation.home / "mlflow.away"
    with callers_of(installation) as callers:
        store.rename(away)
        store.touch()
        try:
            watched = watch_for(installation, 5.0)
            output = installation.run("retrain", USE_CASE, code=1)
            assert "Traceback" not in output
        finally:
            store.unlink()
            away.rename(store)
        ended = time.monotonic()
        installation.run("retrain", USE_CASE)
        measure(fault, installation, callers, watched, ended)


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that is somebody's own, not of the stack."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("own") / "postgres", settings={"wal_level": "replica"})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def beside(
    tmp_path_factory: pytest.TempPathFactory, own_postgres: EmbeddedPostgres
) -> Iterator[Installation]:
    """An installation on that PostgreSQL."""
    with running(tmp_path_factory.mktemp("beside"), RATCHET_DATABASE_URL=own_postgres.url) as up:
        yield up


@pytest.mark.parametrize("fault", ["PostgreSQL gone for a minute"])
def test_postgresql_is_gone_for_a_minute(
    beside: Installation, own_postgres: EmbeddedPostgres, fault: str
) -> None:
    with callers_of(beside) as callers:
        own_postgres.stop()
        watched = watch_for(beside, MINUTE)
        own_postgres.start()
        ended = time.monotonic()
        measure(fault, beside, callers, watched, ended)
    ensure_retrain_begins(beside)


def ensure_retrain_begins(installation: Installation, seconds: float = 60.0) -> None:
    """The worker and Prefect go on too: what is asked for over HTTP begins, and ends."""
    response = httpx.post(f"{installation.url}/v1/{USE_CASE}/retrain", timeout=10)
    assert response.status_code == 202, response.text
    asked = time.monotonic()
    with installation.connect() as conn:
        while (status := run_status(conn, response.json()["run_id"])) != "succeeded":
            assert status in ("queued", "running")
            assert status == "running" or time.monotonic() - asked < seconds, "it was not begun"
            time.sleep(0.1)


def run_status(conn: psycopg.Connection[Any], run_id: str) -> str:
    run = find_run(conn, run_id)
    assert run is not None
    return run.status


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """The whole server read-only, as a replica or a full quota makes it, also for open sessions."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        conn.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("SET default_transaction_read_only = off")
            conn.execute("ALTER SYSTEM RESET default_transaction_read_only")
            conn.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("fault", ["PostgreSQL read-only for 15 s"])
def test_postgresql_is_read_only_for_a_while(
    beside: Installation, own_postgres: EmbeddedPostgres, fault: str
) -> None:
    with callers_of(beside) as callers:
        with read_only(own_postgres.url):
            watched = watch_for(beside, 15.0)
        ended = time.monotonic()
        measure(fault, beside, callers, watched, ended)
    ensure_retrain_begins(beside)


@pytest.mark.parametrize("fault", ["PostgreSQL failed over to its standby"])
def test_postgresql_fails_over(tmp_path: Path, fault: str) -> None:
    """The primary is killed, its standby promoted, and the address leads to that, as managed services do."""
    primary = EmbeddedPostgres(tmp_path / "primary" / "postgres", settings={"wal_level": "replica"})
    primary.start()
    standby = make_standby(primary, tmp_path / "standby" / "postgres")
    try:
        with (
            Address(primary) as address,
            running(tmp_path / "faults", RATCHET_DATABASE_URL=address.url) as up,
        ):
            wait_until_equal(primary, standby)
            with callers_of(up) as callers:
                kill(primary)
                began = time.monotonic()
                promote(standby)
                address.lead_to(standby)
                watched = watch_for(up, 10.0)
                watched.began = began
                measure(fault, up, callers, watched, began)
            ensure_retrain_begins(up)
    finally:
        standby.stop()
        primary.stop()
