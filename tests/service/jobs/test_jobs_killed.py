"""Workers are killed in the middle of their jobs, and each job is answered once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from store.database.connection import connect
from tests.service.conftest import USE_CASES, Service, record_of
from tests.service.jobs.test_intake import answer, submit
from tests.service.servers import Server, put_in_cache
from tests.service.swap.test_watcher import wait_for

DIGITS = USE_CASES["digits"]
JOBS = 500
SLOW_STORE = """
    CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE UPDATE ON job FOR EACH ROW WHEN (NEW.state = 'done')
        EXECUTE FUNCTION take_time()"""
"""Answers take their time to be stored, so that a kill meets some in hand."""


def count(conn: psycopg.Connection, condition: str) -> int:
    row = conn.execute(f"SELECT count(*) FROM job WHERE {condition}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def stored(conn: psycopg.Connection) -> list[tuple[str, str]]:
    """Id and record id of every prediction that was logged."""
    return sorted(conn.execute("SELECT id, record_id FROM prediction").fetchall())


def answers(get: Callable[[str], Any], paths: Sequence[str]) -> list[tuple[str, str]]:
    """Id and record id of every prediction that was given."""
    found = []
    for path in paths:
        response = get(path)
        assert response.status_code == 200, response.text
        found += [(one["id"], str(one["record_id"])) for one in response.json()["predictions"]]
    return sorted(found)


def test_connections_cut_in_the_middle(service: Service, conn: psycopg.Connection) -> None:
    paths = [submit(service, DIGITS, [record_of(DIGITS) | {"id": number}]) for number in range(120)]
    conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    paths += [submit(service, DIGITS, [record_of(DIGITS) | {"id": number}]) for number in range(120, 150)]
    for path in paths:
        answer(service, path)
    given = answers(service.get, paths)
    assert len({record_id for _, record_id in given}) == 150
    assert stored(conn) == given


@pytest.mark.faults
def test_every_process_killed_in_the_middle(tmp_path: Path, database_url: str) -> None:
    home = tmp_path / "home"
    put_in_cache(home, DIGITS, 1, serving=1)
    paths: dict[int, str] = {}

    def send(server: Server, number: int) -> None:
        """As a careful client does: what was not acknowledged is sent again under its own key."""
        if number in paths:
            return
        try:
            response = server.client.post(
                "/v1/digits/predictions",
                json={"records": [record_of(DIGITS) | {"id": number}]},
                headers={"idempotency-key": str(number)},
            )
        except httpx.TransportError:
            return
        assert response.status_code == 202, response.text
        paths[number] = response.headers["location"]

    with connect(database_url, autocommit=True) as conn, ThreadPoolExecutor(8) as clients:
        conn.execute(SLOW_STORE)
        with Server(home, database_url, RATCHET_WORKERS="2", RATCHET_USE_CASES="digits") as server:
            sent = [clients.submit(send, server, number) for number in range(JOBS)]
            wait_for(lambda: count(conn, "state = 'done'") >= JOBS // 20, 60)
            server.kill()
            for one in sent:
                one.result(60)
        before = count(conn, "state = 'done'")
        in_hand = count(conn, "state = 'processing'")
        assert before < JOBS
        assert in_hand > 0
        with Server(home, database_url, RATCHET_WORKERS="2", RATCHET_USE_CASES="digits") as server:
            for one in [clients.submit(send, server, number) for number in range(JOBS)]:
                one.result(60)
            assert len(paths) == JOBS
            wait_for(lambda: count(conn, "state = 'done'") == JOBS, 60)
            given = answers(server.client.get, [paths[number] for number in range(JOBS)])
        assert count(conn, "true") == JOBS
        assert sorted(int(record_id) for _, record_id in given) == list(range(JOBS))
        assert len({prediction_id for prediction_id, _ in given}) == JOBS
        assert stored(conn) == given
