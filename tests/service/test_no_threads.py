"""A system that gives no more threads costs speed, and nobody an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.storage.silence import SilenceWatch
from service.watchdog import hang_watch
from service.watchdog.activity import ANSWERING, ActivityMarks
from service.watchdog.hang_watch import HangWatch
from service.watchdog.lost_threads import ReplacingPool
from service.watchdog.troubles import Troubles
from tests.service.conftest import USE_CASES, Service, record_of
from tests.service.jobs.test_intake import answer, submit
from tests.service.swap.test_watcher import version_of

SERVED = ("digits",)

DIGITS = USE_CASES["digits"]
Deny = Callable[..., None]


@pytest.fixture
def deny(monkeypatch: pytest.MonkeyPatch) -> Deny:
    """From when it is called, threads whose names begin so cannot be started any more."""
    starts = threading.Thread.start

    def begin(*names: str) -> None:
        def start(thread: threading.Thread) -> None:
            if thread.name.startswith(names):
                raise RuntimeError("can't start new thread")
            starts(thread)

        monkeypatch.setattr(threading.Thread, "start", start)

    return begin


def test_requests_and_feedback_are_answered(service: Service, deny: Deny) -> None:
    deny("model", "share", "blocking", "pictures")
    batcher = service.worker.slots["digits"].serving().pipeline.batcher
    for _ in range(3):
        batcher._row_seconds = 1.0  # answered in a thread, as what takes long is
        assert version_of(service) == 1
    many = {"records": [record_of(DIGITS)] * 100}
    answered = service.post("/v1/digits/predict", many).json()["predictions"]
    labelled = [{"prediction_id": one["id"], "label": one["label"]} for one in answered]
    assert service.post("/v1/digits/feedback", {"items": labelled}).json()["accepted"] == 100
    assert service.worker.slots["digits"].serving().pipeline.broken == 0, "the version is at no fault"


def test_a_pool_goes_on_with_the_threads_that_it_has(deny: Deny) -> None:
    pool = ReplacingPool(3, thread_name_prefix="model")
    leave = threading.Event()
    try:
        deny("model")
        held = pool.submit(leave.wait, 60)
        waiting = [pool.submit(threading.get_ident) for _ in range(3)]
        pool.replace()
        assert not any(one.done() for one in waiting)
        leave.set()
        assert len({one.result(10) for one in waiting}) == 1
        assert held.result(10)
    finally:
        leave.set()
        pool.shutdown()


def test_jobs_go_on_once_there_is_a_thread_for_them(
    service: Service, monkeypatch: pytest.MonkeyPatch, deny: Deny
) -> None:
    loop = service.worker.job_loop
    lost = loop._thread
    assert lost.ident is not None
    deny("jobs")
    with pytest.raises(RuntimeError, match="start new thread"):
        loop.lose(lost.ident)
    assert loop._thread is lost
    monkeypatch.undo()
    loop.lose(lost.ident)
    assert loop._thread is not lost
    assert answer(service, submit(service, DIGITS, [record_of(DIGITS)])).status_code == 200


def test_a_hang_is_told_at_once_and_made_up_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hang_watch, "ANSWER_SECONDS", 0.01)
    marks, troubles = ActivityMarks(tmp_path / "activity", ["digits"]), Troubles(tmp_path / "troubles")
    told: list[str] = []
    lost: list[int] = []
    threads: list[Any] = [RuntimeError("can't start new thread"), RuntimeError("can't start new thread")]

    def lose(thread: int) -> None:
        if threads:
            raise threads.pop()
        lost.append(thread)

    watch = HangWatch(marks, troubles, lambda *_: told.append("hangs"), 0, lose)
    mark = marks.begin(ANSWERING, "digits", 2)
    time.sleep(0.02)
    try:
        for _ in range(2):
            with pytest.raises(RuntimeError):
                watch.check()
            assert (told, lost) == (["hangs"], [])
        for _ in range(2):
            watch.check()
        assert (told, lost) == (["hangs"], [threading.get_ident()])
    finally:
        mark[0] = 0
        marks.close()


def test_the_database_is_watched_once_there_is_a_thread_for_it(
    monkeypatch: pytest.MonkeyPatch, deny: Deny
) -> None:
    asked = threading.Event()

    class Connection:
        def close(self) -> None:
            """Nothing."""

        def fileno(self) -> int:
            raise OSError

    def connect() -> Any:
        asked.set()
        return Connection()

    watch = SilenceWatch(connect)
    try:
        deny("silence")
        with pytest.raises(RuntimeError), watch.watching(Connection()):  # type: ignore[arg-type]
            pass
        monkeypatch.undo()
        monkeypatch.setattr("service.storage.silence.PATIENCE", 0.05)
        with watch.watching(Connection()):  # type: ignore[arg-type]
            assert asked.wait(10)
    finally:
        watch.stop()
