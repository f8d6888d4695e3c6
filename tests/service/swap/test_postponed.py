"""A version that a machine cannot load now is tried again until it can; only its own faults are final."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

import service.swap.loading
from configs.schema import CanaryConfig
from models.canary.moves import begin_canary
from models.production import ledger
from service.swap import postponing
from service.watchdog import first_load
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService
from tests.service.swap.test_chain import StartChained, second, told
from tests.service.swap.test_chain import start_chained as start_chained
from tests.service.swap.test_watcher import damage_answers, promote, refusals, version_of, wait_for

SERVED = ("digits",)

DIGITS = USE_CASES["digits"]
Lacking = Callable[[Exception], Any]


def no_room(code: int = errno.ENOSPC) -> OSError:
    return OSError(code, os.strerror(code))


PASSING = [
    no_room(),
    no_room(errno.EMFILE),
    no_room(errno.ESTALE),
    MemoryError(),
    RuntimeError("can't start new thread"),
    RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Load model from x failed:system error number 24"),
]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is so after fractions of a second."""
    monkeypatch.setattr(postponing, "FIRST_SECONDS", 0.2)


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> Lacking:
    """While it lasts, nothing can be loaded; gives how often that was tried."""
    load = service.swap.loading._load_proved

    @contextmanager
    def lacks(error: Exception) -> Iterator[list[Any]]:
        tried: list[Any] = []

        def fails(directory: Any) -> Any:
            tried.append(directory)
            raise error

        monkeypatch.setattr(service.swap.loading, "_load_proved", fails)
        try:
            yield tried
        finally:
            monkeypatch.setattr(service.swap.loading, "_load_proved", load)

    return lacks


def postponed(service: Service, name: str = "digits") -> dict[str, Any]:
    found: dict[str, Any] = service.get("/health").json()["use_cases"][name].get("postponed", {})
    return found


@pytest.mark.parametrize("error", PASSING, ids=lambda error: f"{type(error).__name__} {error}"[:24])
def test_a_version_that_the_machine_cannot_load_now_is_tried_again(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, lacking: Lacking, error: Exception
) -> None:
    registry.add(DIGITS, 2)
    with lacking(error) as tried:
        promote(conn, registry, 2)
        wait_for(lambda: len(tried) > 1)
        assert version_of(service) == 1
        found = postponed(service)["2"]
        assert type(error).__name__ in found["problem"]
        assert found["next_try"] > "2026"
        health = service.get("/health").json()
        assert (health["status"], health["use_cases"]["digits"]["refused"]) == ("degraded", {})
    wait_for(lambda: version_of(service) == 2)
    assert refusals(conn) == []
    assert postponed(service) == {}


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, list[Path]]]:
    """Loading takes until the event is set; gives it, and what is loaded."""
    monkeypatch.setattr(first_load, "LOAD_SECONDS", 0.2)
    load, leave = service.swap.loading._load_proved, threading.Event()
    begun: list[Path] = []

    def loads(directory: Path) -> Any:
        begun.append(directory)
        assert leave.wait(60)
        return load(directory)

    monkeypatch.setattr(service.swap.loading, "_load_proved", loads)
    yield leave, begun
    leave.set()


def test_a_version_that_takes_long_to_load_is_taken_up_when_it_is_there(
    service: Service,
    registry: FolderRegistry,
    conn: psycopg.Connection,
    slow: tuple[threading.Event, list[Path]],
) -> None:
    leave, begun = slow
    registry.add(DIGITS, 2)
    promote(conn, registry, 2)
    slot = service.worker.slots["digits"]
    wait_for(lambda: 2 in slot.postponed and slot.postponed[2].failures > 1)
    assert "loading it takes more than 0.2 s, and goes on" in postponed(service)["2"]["problem"]
    assert version_of(service) == 1
    leave.set()
    wait_for(lambda: version_of(service) == 2)
    assert len(begun) == 1
    assert (refusals(conn), service.worker.troubles.content()) == ([], b"")


def test_a_version_that_takes_very_long_to_load_is_refused(
    service: Service,
    registry: FolderRegistry,
    conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    slow: tuple[threading.Event, list[Path]],
) -> None:
    monkeypatch.setattr(first_load, "HANG_SECONDS", 1.0)
    leave, begun = slow
    registry.add(DIGITS, 2)
    promote(conn, registry, 2)
    wait_for(lambda: bool(refusals(conn)))
    assert "it hangs: loading it took more than 1 s" in service.worker.slots["digits"].refused[2]
    assert version_of(service) == 1
    leave.set()
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)
    assert len(begun) == 2


def test_it_is_tried_ever_more_seldom(
    service: Service,
    registry: FolderRegistry,
    conn: psycopg.Connection,
    lacking: Lacking,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postponing, "FIRST_SECONDS", 1000.0)
    registry.add(DIGITS, 2)
    slot = service.worker.slots["digits"]
    with lacking(MemoryError()) as tried:
        promote(conn, registry, 2)
        wait_for(lambda: bool(slot.postponed))
        service.worker.watcher._poll_all()
        assert len(tried) == 1
        promote(conn, registry, 2)
        wait_for(lambda: len(tried) == 2)
        wait_for(lambda: slot.postponed[2].failures == 2)
        assert slot.postponed[2].seconds == postponing.MOST_SECONDS
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)


def test_production_moved_back_meanwhile_is_no_longer_awaited(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, lacking: Lacking
) -> None:
    registry.add(DIGITS, 2)
    with lacking(no_room()):
        promote(conn, registry, 2)
        wait_for(lambda: bool(postponed(service)))
        promote(conn, registry, 1)
        wait_for(lambda: not postponed(service))
    assert version_of(service) == 1


def test_where_nothing_serves_what_was_production_before_does_until_then(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: Any
) -> None:
    for version in (1, 2):
        registry.add(DIGITS, version)
        promote(conn, registry, version)
    load = service.swap.loading._load_proved
    broken = True

    def fails(directory: Any) -> Any:
        if broken and directory.name == "2":
            raise MemoryError
        return load(directory)

    monkeypatch.setattr(service.swap.loading, "_load_proved", fails)
    started = start_service(RATCHET_USE_CASES="digits")
    wait_for(lambda: version_of(started) == 1)
    assert "MemoryError" in postponed(started)["2"]["problem"]
    broken = False
    wait_for(lambda: version_of(started) == 2)
    assert refusals(conn) == []


def test_readiness_says_what_is_awaited(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection, lacking: Lacking
) -> None:
    registry.add(DIGITS, 1)
    promote(conn, registry, 1)
    with lacking(no_room()):
        started = start_service(RATCHET_USE_CASES="digits")
        wait_for(lambda: bool(postponed(started)))
        answer = started.get("/readyz")
        assert answer.status_code == 503
        assert "No space left on device" in answer.text
        refused = started.post("/v1/digits/predict", {"records": []})
        assert refused.status_code == 503
        assert "No space left on device" in refused.text
    wait_for(lambda: started.get("/readyz").status_code == 200)


def test_a_canary_that_cannot_be_loaded_now_is_tried_later(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, lacking: Lacking
) -> None:
    promote(conn, registry, 1)
    registry.add(DIGITS, 2)
    slot = service.worker.slots["digits"]
    with lacking(no_room(errno.EMFILE)) as tried:
        begin_canary(
            conn, registry, "digits",
            version=2, against=1, config=CanaryConfig(share=0.5), actor="test", reason="better", evidence={},
        )  # fmt: skip
        wait_for(lambda: len(tried) > 1, 20.0)
        assert "Too many open files" in postponed(service)["2"]["problem"]
    wait_for(lambda: slot.canary is not None, 20.0)
    assert ledger.newest(conn, "digits", ("refused",)) is None
    assert postponed(service) == {}


def test_a_link_that_cannot_be_loaded_now_is_tried_later(
    start_chained: StartChained, registry: FolderRegistry, lacking: Lacking
) -> None:
    started, wishes = start_chained(0.0, second(0.0), versions=(1,))
    registry.add(wishes, 2)
    with lacking(no_room(errno.EMFILE)) as tried:
        registry.set_alias("wishes", "previous", 2)
        wait_for(lambda: len(tried) > 1, 20.0)
        link = told(started)["second"]
        assert (link["state"], "Too many open files" in link["problem"]) == ("postponed", True)
    wait_for(lambda: told(started)["second"] == {"name": "second", "state": "ready", "version": 2}, 20.0)


def test_what_was_announced_is_loaded_with_mlflow_away_where_a_copy_is_here(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, lacking: Lacking
) -> None:
    registry.add(DIGITS, 2)
    with lacking(no_room(errno.EMFILE)):
        promote(conn, registry, 2)
        wait_for(lambda: bool(postponed(service)))
        registry.away = True
    wait_for(lambda: version_of(service) == 2)


def test_a_copy_that_cannot_be_read_now_is_kept_and_no_damage_at_its_source(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(DIGITS, 2)
    kept = service.worker.settings.home / "cache" / "models" / "digits" / "2"
    read = Path.read_text

    def fails(path: Path, *args: Any, **named: Any) -> str:
        if path.name == "manifest.json":
            raise no_room(errno.EMFILE)
        return read(path, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", fails)
        promote(conn, registry, 2)
        wait_for(lambda: bool(service.worker.slots["digits"].postponed))
    wait_for(lambda: version_of(service) == 2)
    assert refusals(conn) == []
    assert kept.is_dir()


def test_a_version_that_serves_stays_where_it_is_looked_at_while_memory_is_taken(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does looking after other use cases end with it."""
    residents = service.worker.watcher._residents
    slot = service.worker.slots["digits"]

    def fails(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(residents._loader, "load", fails)
    monkeypatch.setattr(residents._loader, "served_before", lambda _: [3, 2])
    residents.fall_back(slot)
    assert set(slot.postponed) == {3, 2}
    assert refusals(conn) == []
    assert registry.downloads == [("digits", 1)]
    assert version_of(service) == 1


def test_what_is_production_no_more_is_not_awaited_where_the_next_is_refused(
    service: Service,
    registry: FolderRegistry,
    conn: psycopg.Connection,
    lacking: Lacking,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postponing, "FIRST_SECONDS", 1000.0)
    registry.add(DIGITS, 2)
    with lacking(no_room()):
        promote(conn, registry, 2)
        wait_for(lambda: bool(postponed(service)))
    damage_answers(registry.add(DIGITS, 3))
    promote(conn, registry, 3)
    wait_for(lambda: 3 in service.worker.slots["digits"].refused)
    wait_for(lambda: not postponed(service))
    assert version_of(service) == 1
