"""A version that hangs here after it was given up, or replaced: its callers are told all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psycopg
import pytest

from service.watchdog import hang_watch
from service.watchdog.troubles import HANG, Trouble
from tests.service.conftest import FolderRegistry, Service
from tests.service.swap.test_watcher import DIGITS, promote, version_of, wait_for
from tests.service.watchdog.test_serving import BODY, refused

SERVED = ("digits",)


@pytest.fixture
def hang(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Has the version that serves hang until the end of the test; that is found after two seconds."""
    monkeypatch.setattr(hang_watch, "ANSWER_SECONDS", 2.0)
    monkeypatch.setattr(hang_watch, "CHECK_SECONDS", 0.1)
    leave = threading.Event()

    def run(x: Any) -> Any:
        leave.wait(60)
        return np.zeros((len(x), 10), np.float32)

    def begin() -> None:
        serving = service.worker.slots["digits"].serving()
        serving.predictor._runner = run
        serving.pipeline.batcher._row_seconds = 1.0  # answered in a thread, as what takes long is

    yield begin
    leave.set()


def serve_two(service: Service, registry: FolderRegistry, conn: psycopg.Connection) -> None:
    registry.add(DIGITS, 2)
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)


def note_hang(service: Service, version: int) -> None:
    """As another worker of the home does."""
    service.worker.troubles.add(Trouble("digits", version, HANG, "answering", time.time(), "it hangs there"))


def assert_told(service: Service, meanwhile: Callable[[], None], version: int) -> None:
    """That whoever waits for a version is told that it hangs, though it serves no more by then."""
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(service.post, "/v1/digits/predict", BODY)
        wait_for(lambda: [one.version for one in service.worker.marks.running()] == [version])
        meanwhile()
        assert not waits.done()
        told = waits.result(30).json()["error"]
    assert (told["code"], f"version {version} of 'digits' hangs" in told["message"]) == ("model_hangs", True)


def test_callers_are_told_where_another_worker_had_found_it_before(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, hang: Callable[[], None]
) -> None:
    serve_two(service, registry, conn)
    hang()

    def give_up() -> None:
        note_hang(service, 2)
        wait_for(lambda: service.worker.slots["digits"].serving().version == 1)

    assert_told(service, give_up, 2)
    assert "it hangs there" in refused(service)["2"]
    assert version_of(service) == 1


def test_callers_are_told_where_it_was_replaced_and_it_is_loaded_anew_when_it_is_to_serve_again(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, hang: Callable[[], None]
) -> None:
    slot = service.worker.slots["digits"]
    stuck = slot.serving()
    hang()

    def replace() -> None:
        registry.add(DIGITS, 2)
        promote(conn, registry, 2)
        wait_for(lambda: slot.serving().version == 2)

    assert_told(service, replace, 1)
    wait_for(lambda: slot.previous is None)
    assert refused(service) == {}, "it is not production"
    promote(conn, registry, 1)
    wait_for(lambda: slot.serving().version == 1)
    assert slot.serving() is not stuck
    assert version_of(service) == 1


def test_what_hung_in_another_worker_after_it_was_replaced_does_not_come_back_by_itself(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    serve_two(service, registry, conn)
    slot = service.worker.slots["digits"]
    note_hang(service, 1)
    wait_for(lambda: slot.previous is None)
    assert refused(service) == {}
    service.worker.watcher._poll_seconds = 3600.0
    time.sleep(1.5)  # the last look at the ledger is over
    note_hang(service, 2)
    wait_for(lambda: set(refused(service)) == {"1", "2"})
    assert version_of(service) == 2, "as nothing better is left"
    service.worker.watcher._look_at_ledger()
    assert set(refused(service)) == {"1", "2"}, "what serves is still told to hang"
    promote(conn, registry, 2)
    wait_for(lambda: "2" not in refused(service))
