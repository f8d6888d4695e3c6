"""A worker that a version kills tells on it; one that is killed from outside does not."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from configs.settings import CHECKOUT
from service.watchdog.activity import ANSWERING, IDLE, LOADING, ActivityMarks
from service.watchdog.dead_workers import collect_crashes, note_crashes
from service.watchdog.troubles import Troubles

WORKER = """
import ctypes, os, sys, threading, time
from pathlib import Path
from service.watchdog.activity import ANSWERING, IDLE, LOADING, ActivityMarks
from service.watchdog.hang_watch import HangWatch
from service.watchdog.troubles import Troubles
import service.watchdog.hang_watch as hang_watch

folder = Path(sys.argv[1])
marks = ActivityMarks(folder, ["digits", "plans"])
watch = HangWatch(marks, Troubles(folder / "troubles"), lambda *_: None, threading.get_ident())
hang_watch.CHECK_SECONDS, hang_watch.FROZEN_SECONDS = 0.1, 0.5
watch.start()
watch.leave_tracebacks()
mark = marks.begin(LOADING, "digits", 6)
mark[0] = IDLE
mark = marks.begin(ANSWERING, "plans", 7)
print("running", flush=True)
"""
SEGFAULT = "ctypes.string_at(0)"
ABORT = "os.abort()"
WAIT = "time.sleep(60)"
FREEZE = "time.sleep(0.3); ctypes.PyDLL(None).sleep(60)"  # holds the interpreter while it sleeps
END = "mark[0] = IDLE; watch.stop(); marks.close()"


def run_worker(folder: Path, end: str, *, kill: signal.Signals | None = None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER + end, str(folder)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        if kill is not None:
            process.send_signal(kill)
        process.wait(30)


@pytest.mark.parametrize(
    ("end", "kind", "words"),
    [
        (SEGFAULT, "crash", "crashed while answering by it: Fatal Python error: Segmentation fault"),
        (ABORT, "crash", "crashed while answering by it: Fatal Python error: Aborted"),
        (FREEZE, "hang", "hung while answering by it: Timeout"),
    ],
    ids=["segfault", "abort", "freeze"],
)
def test_a_crash_is_held_against_the_version_that_ran(
    tmp_path: Path, end: str, kind: str, words: str
) -> None:
    run_worker(tmp_path, end)
    (trouble,) = collect_crashes(tmp_path, now=5.0)
    assert (trouble.use_case, trouble.version, trouble.kind, trouble.doing, trouble.at) == (
        "plans", 7, kind, "answering", 5.0,
    )  # fmt: skip
    assert words in trouble.detail
    assert list(collect_crashes(tmp_path, now=6.0)) == []
    assert [path.name for path in tmp_path.iterdir() if path.name != "troubles"] == []


@pytest.mark.parametrize(("end", "kill"), [(WAIT, signal.SIGKILL), (WAIT, signal.SIGTERM), (END, None)])
def test_a_kill_or_an_orderly_end_is_held_against_nobody(
    tmp_path: Path, end: str, kill: signal.Signals | None
) -> None:
    run_worker(tmp_path, end, kill=kill)
    assert list(collect_crashes(tmp_path, now=5.0)) == []
    assert list(tmp_path.iterdir()) == []


def test_workers_that_live_are_left_alone(tmp_path: Path) -> None:
    marks = ActivityMarks(tmp_path, ["digits"])
    marks.begin(ANSWERING, "digits", 3)
    troubles = Troubles(tmp_path / "troubles")
    note_crashes(tmp_path, troubles)
    assert troubles.reason("digits", 3) is None
    assert marks.path.exists()
    marks.close()


def test_what_runs_is_told_with_its_time(tmp_path: Path) -> None:
    marks = ActivityMarks(tmp_path, ["digits"])
    mark = marks.begin(LOADING, "digits", 3)
    (activity,) = marks.running()
    assert (activity.doing, activity.use_case, activity.version) == (LOADING, "digits", 3)
    assert 0 <= activity.seconds < 5
    mark[0] = IDLE
    assert marks.running() == []
    marks.begin(ANSWERING, "of_another_server", 1)
    assert marks.running() == []
    marks.close()


def test_what_runs_amid_something_else_has_a_mark_and_a_time_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks, now = ActivityMarks(tmp_path, ["digits", "plans"]), 0
    monkeypatch.setattr("service.watchdog.activity.monotonic_ns", lambda: now)

    def running() -> list[tuple[str, int, float]]:
        return [(one.use_case, one.version, one.seconds) for one in marks.running()]

    with marks.amid(ANSWERING, "plans", 1):
        assert running() == [("plans", 1, 0.0)]
    assert running() == []
    mark = marks.begin(ANSWERING, "digits", 3)
    now += 2_000_000_000
    with pytest.raises(RuntimeError), marks.amid(ANSWERING, "plans", 7):
        now += 5_000_000_000
        assert running() == [("plans", 7, 5.0)]
        raise RuntimeError
    assert running() == [("digits", 3, 2.0)]
    mark[0] = IDLE
    assert running() == []
    marks.close()
