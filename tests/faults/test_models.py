"""Versions that hang, crash, or answer nonsense, when they are loaded and in flight, on real workers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from configs.settings import CHECKOUT
from models.production import ledger
from store.database.connection import connect
from tests.faults.callers import Callers, count_lost
from tests.faults.installation import Watched
from tests.faults.measuring import check
from tests.faults.table import Measured
from tests.service.conftest import USE_CASES, record_of
from tests.service.servers import Server, put_in_cache
from tests.service.swap.test_watcher import wait_for

pytestmark = pytest.mark.faults

DIGITS = USE_CASES["digits"]
BRIGHT = {"image": [[255] * 28] * 28}
"""What a version that breaks in flight breaks on."""
HARM = {
    "crashes": "import ctypes; ctypes.string_at(0)",
    "hangs": "import time; time.sleep(600)",
    "answers NaN": "return np.full((len(x), 10), np.nan, np.float32)",
    "answers in the wrong shape": "return np.zeros((len(x), 7), np.float32)",
}
ON_LOAD = {f"a promoted version {harm} on load": harm for harm in HARM}
IN_FLIGHT = {f"a promoted version {harm} in flight": harm for harm in HARM}
# Imported by every process of the server before anything else: version 2 does its harm in place of answering.
INJECTED = """
import sys
sys.path.insert(0, {checkout!r})
import numpy as np
import models.versions.runtime as runtime

whole = runtime.open_onnx

def harm(x):
    {harm}

def open_onnx(path):
    run = whole(path)
    if path.parent.name != "2":
        return run
    return lambda x: harm(x) if {always} or x.max() > 0.99 and x.min() > 0.99 else run(x)

runtime.open_onnx = open_onnx
"""


@contextmanager
def serving(folder: Path, database_url: str, harm: str, *, always: bool) -> Iterator[Server]:
    """Two workers that serve version 1, with a version 2 at hand that does harm."""
    home, injected = folder / "home", folder / "injected"
    for version in (1, 2):
        put_in_cache(home, DIGITS, version, serving=1)
    injected.mkdir()
    source = INJECTED.format(checkout=str(CHECKOUT), harm=HARM[harm], always=always)
    (injected / "sitecustomize.py").write_text(source, encoding="utf-8")
    with connect(database_url, autocommit=True) as conn:
        ledger.record(conn, "digits", "promoted", actor="test", reason="the first", to_version=1)
    server = Server(
        home, database_url, PYTHONPATH=str(injected), RATCHET_WORKERS="2", RATCHET_USE_CASES="digits"
    )
    with server, connect(database_url, autocommit=True) as conn:
        wait_for(lambda: listeners(conn) == 2, 30.0)
        yield server


def listeners(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN %'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def versions_served(server: Server) -> list[int]:
    """What each worker that lives serves."""
    with suppress(httpx.TransportError):
        alive = {worker.pid for worker in server.workers()}
        text = server.client.get("/metrics").text
        pairs = re.findall(r'ratchet_model_version\{pid="(\d+)",use_case="digits"\} (\d+)', text)
        return [int(version) for pid, version in pairs if int(pid) in alive]
    return []


def refusing(server: Server) -> bool:
    """Whether a worker tells that it has refused version 2; asked by a connection of its own: any of them."""
    with suppress(httpx.TransportError):
        health = httpx.get(f"{server.url}/health", timeout=5).json()
        return "2" in health["use_cases"]["digits"]["refused"]
    return False


def measured(
    fault: str, server: Server, conn: psycopg.Connection[Any], watched: Watched, *everybody: Callers
) -> Measured:
    """Until both workers serve version 1, and everybody is answered."""
    wait_for(lambda: refusing(server) and versions_served(server) == [1, 1], 120.0)
    for callers in everybody:
        callers.wait_for_good()
    watched.troubles.add("refused")  # as `refusing` has seen
    counts = [count_lost(conn, callers) for callers in everybody]
    return check(
        Measured(
            fault,
            frozenset().union(*(callers.statuses("predict", watched.began) for callers in everybody)),
            frozenset(),
            frozenset(watched.troubles),
            sum(lost for lost, _ in counts),
            sum(doubled for _, doubled in counts),
            max(callers.last_bad(watched.began) for callers in everybody) - watched.began,
        )
    )


@pytest.mark.parametrize("fault", ON_LOAD)
def test_a_version_does_harm_when_it_is_loaded(tmp_path: Path, database_url: str, fault: str) -> None:
    with (
        serving(tmp_path, database_url, ON_LOAD[fault], always=True) as server,
        connect(database_url, autocommit=True) as conn,
        Callers(
            server.url, predicting=4, labelling=0, use_case="digits", record=record_of(DIGITS)
        ) as callers,
    ):
        callers.wait_for_good()
        watched = Watched(time.monotonic())
        ledger.announce(conn, "digits", 2)
        measured(fault, server, conn, watched, callers)


@pytest.mark.parametrize("fault", IN_FLIGHT)
def test_a_version_does_harm_in_flight(tmp_path: Path, database_url: str, fault: str) -> None:
    with (
        serving(tmp_path, database_url, IN_FLIGHT[fault], always=False) as server,
        connect(database_url, autocommit=True) as conn,
        Callers(
            server.url, predicting=4, labelling=0, use_case="digits", record=record_of(DIGITS)
        ) as callers,
    ):
        ledger.announce(conn, "digits", 2)
        wait_for(lambda: versions_served(server) == [2, 2], 30.0)
        callers.wait_for_good()
        watched = Watched(time.monotonic())
        with Callers(server.url, predicting=4, labelling=0, use_case="digits", record=BRIGHT) as harming:
            measured(fault, server, conn, watched, callers, harming)
