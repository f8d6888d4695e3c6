"""A PostgreSQL that hangs: those who wait for it are set free, others are refused at once, and it heals."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from service.storage import silence
from tests.service.conftest import Service, StartService
from tests.service.state.test_health import Relay, through
from tests.service.storage.test_faults import READS, refused, send
from tests.service.swap.test_watcher import wait_for

FREED = silence.LONGEST / 2
"""Seconds for those who are set free as the server is silent, and not as their own work took the longest."""


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    """The way to the database."""
    parts = urlsplit(database_url)
    assert parts.hostname is not None
    assert parts.port is not None
    made = Relay(parts.hostname, parts.port)
    yield made
    made.close()


def test_who_waits_for_a_database_that_hangs_is_set_free(
    start_service: StartService, relay: Relay, database_url: str
) -> None:
    service = start_service(RATCHET_DATABASE_URL=through(relay, database_url))
    for route in READS:
        assert service.get(f"/v1/digits/{route}").status_code == 200
    relay.hang()
    began = time.monotonic()
    waiting = [threading.Thread(target=send, args=(service, "feedback")) for _ in range(6)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join(FREED)
        assert not thread.is_alive()
    assert time.monotonic() - began < FREED
    for route in READS:
        began = time.monotonic()
        refused(service.get(f"/v1/digits/{route}"), "database_away")
        assert time.monotonic() - began < silence.PATIENCE, "it is known to hang, so nobody asks it"
    relay.go_on()
    wait_for(lambda: send(service, "feedback").status_code == 200, 10)


def test_work_that_is_only_slow_is_left_alone(service: Service) -> None:
    seconds = silence.PATIENCE + 1
    row = service.worker.database.run(lambda conn: conn.execute(f"SELECT pg_sleep({seconds}), 1").fetchone())
    assert row is not None
    assert row[1] == 1
