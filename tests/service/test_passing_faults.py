"""What a thread of a worker lacks for a moment ends neither it nor what it looks after."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.api_keys import add_key, remove_key
from service.http.key_ring import KeyRing
from service.replicas import presence as presence_module
from service.state import gauges
from service.storage import silence
from service.storage.journal_mover import JournalMover
from service.storage.silence import SilenceWatch
from service.watchdog import hang_watch
from service.watchdog.activity import ANSWERING, ActivityMarks
from service.watchdog.hang_watch import EXIT_HUNG, HangWatch
from service.watchdog.troubles import Troubles
from store import service_replicas
from store.errors import DatabaseUnavailable
from tests.service.conftest import USE_CASES, Service, record_of
from tests.service.swap.test_watcher import wait_for

SERVED = ("digits",)

DIGITS = USE_CASES["digits"]


def lacks(code: int = errno.EMFILE) -> OSError:
    return OSError(code, os.strerror(code))


class Failing:
    """Stands for a function that fails until it may do what it does."""

    def __init__(self, does: Any, error: Exception | None = None) -> None:
        self.does, self.error = does, error or lacks()
        self.failed = threading.Event()
        self.may = threading.Event()

    def __call__(self, *args: Any, **named: Any) -> Any:
        if not self.may.is_set():
            self.failed.set()
            raise self.error
        return self.does(*args, **named)


@pytest.mark.parametrize("what", ["backlog_bytes", "closed_files"])
@pytest.mark.parametrize("error", [lacks(), MemoryError()], ids=repr)
def test_predictions_are_stored_once_their_log_can_be_read_again(
    service: Service, monkeypatch: pytest.MonkeyPatch, what: str, error: Exception
) -> None:
    mover: JournalMover = service.worker.mover
    failing = Failing(getattr(mover.journal, what), error)
    with monkeypatch.context() as patch:
        patch.setattr(mover.journal, what, failing)
        assert failing.failed.wait(10)
        failing.may.set()
        service.post("/v1/digits/predict", {"records": [record_of(DIGITS)]})
        wait_for(lambda: mover.flush(5))
    assert mover.problem is None


def test_a_key_that_was_removed_while_the_file_could_not_be_read_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.yaml"
    token = add_key(path, "shop", ["predict"]).encode()
    add_key(path, "other", ["predict"])
    ring = KeyRing(path, demanded=True)
    ring.look()
    assert ring.find(token)
    remove_key(path, "shop")
    failing = Failing(Path.open)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda one, *args, **named: failing(one, *args, **named))
        ring.look()
        assert failing.failed.is_set()
        assert ring.find(token), "it stays as it was, until the file can be read"
    ring.look()
    assert ring.find(token) is None


def test_gauges_go_on(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "WAITING_SECONDS", 0.05)
    monkeypatch.setattr(gauges, "DATABASE_SECONDS", 0.05)
    one = service.worker.gauges
    opened = Failing(os.open)
    read = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr("service.state.gauges.os.open", opened)
        patch.setattr(one, "set_from_database", read.set)
        one.start()
        assert opened.failed.wait(10)
        opened.may.set()
        assert read.wait(10)


def test_a_database_that_was_silent_is_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "PATIENCE", 0.1)
    monkeypatch.setattr(silence, "LOOK_SECONDS", 0.05)
    answers: list[Any] = [DatabaseUnavailable("silent"), lacks()]
    asked: list[Any] = []

    class Connection:
        def close(self) -> None:
            """Nothing."""

        def fileno(self) -> int:
            raise OSError

    def connect() -> Any:
        asked.append(None)
        if answers:
            raise answers.pop(0)
        return Connection()

    watch = SilenceWatch(connect)
    try:
        with watch.watching(Connection()):  # type: ignore[arg-type]
            wait_for(lambda: len(asked) >= 3)
        watch.ensure_heard()
    finally:
        watch.stop()


@pytest.fixture
def marks(tmp_path: Path) -> Iterator[ActivityMarks]:
    made = ActivityMarks(tmp_path / "activity", ["digits"])
    yield made
    made.close()


@pytest.mark.parametrize("on_loop", [False, True])
def test_a_hang_that_could_not_be_noted_on_a_full_disk_is_noted_later(
    marks: ActivityMarks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_loop: bool
) -> None:
    monkeypatch.setattr(hang_watch, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(hang_watch, "CHECK_SECONDS", 0.02)
    troubles = Troubles(tmp_path / "troubles")
    ended: list[int] = []
    failing = Failing(troubles.add, lacks(errno.ENOSPC))
    monkeypatch.setattr(troubles, "add", failing)
    loop_thread = threading.get_ident() if on_loop else 0
    lost: list[int] = []
    watch = HangWatch(marks, troubles, lambda *_: None, loop_thread, lost.append, ended.append)
    mark = marks.begin(ANSWERING, "digits", 2)
    time.sleep(0.02)
    watch.start()
    try:
        assert failing.failed.wait(10)
        failing.may.set()
        wait_for(lambda: troubles.reason("digits", 2) is not None)
        wait_for(lambda: watch.has_lost_threads)
        assert set(ended) == ({EXIT_HUNG} if on_loop else set())
    finally:
        mark[0] = 0
        watch.stop()
    assert len(troubles.content().splitlines()) == 1
    assert lost == [threading.get_ident()], "a thread is made up for once"


def test_health_says_what_it_could_not_read(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise lacks()

    monkeypatch.setattr(service.worker.mover.journal, "backlog_bytes", fails)
    health = service.get("/health")
    assert health.status_code == 200
    told = health.json()
    assert "Too many open files" in told["journal"]["problem"]


def test_a_worker_says_again_what_it_serves(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    presence = service.worker.presence
    beat = Failing(service_replicas.beat, MemoryError())
    said = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(presence_module, "beat", beat)
        presence.tell()
        assert beat.failed.wait(10)
        patch.setattr(presence_module, "beat", lambda *_args, **_named: said.set())
        presence.tell()
        assert said.wait(10)


def test_what_is_served_is_written_down_once_there_is_room(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = threading.Event()
    failing = Failing(lambda *_: written.set(), lacks(errno.ENOSPC))
    monkeypatch.setattr("service.worker.write_models", failing)
    slot = service.worker.slots["digits"]
    service.worker.watcher._poll_seconds = 0.05
    service.worker.watcher._change.take_up(slot, slot.serving())
    assert failing.failed.is_set()
    failing.may.set()
    assert written.wait(10)
    written.clear()
    assert not written.wait(0.5), "it is written where it has changed"
