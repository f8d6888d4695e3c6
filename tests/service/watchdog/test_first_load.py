"""The first worker tries a version alone; the others learn from what became of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from configs.settings import CHECKOUT
from models.passing_faults import is_passing
from service.watchdog import first_load
from service.watchdog.first_load import LoadGoesOn, LoadHangs, Loads, load_first

LONG = 60.0
"""Seconds that no machine is too busy for."""

DYING = """
import os, sys, time
from pathlib import Path
from service.watchdog.first_load import load_first

lock = Path(sys.argv[1])

def load():
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.path.samefile(f"/proc/self/fd/{name}", lock):
                os.close(int(name))
        except OSError:
            pass
    lock.with_name("free").touch()
    time.sleep(1.0)
    os._exit(1)

load_first(lock, "7 abc", load)
"""
"""Lets go of the lock a second before it ends."""


def test_only_one_loads_until_it_is_proved(tmp_path: Path) -> None:
    together: list[int] = []
    running, most = 0, 0
    guard = threading.Lock()

    def load() -> int:
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
            together.append(running)
        time.sleep(0.1)
        with guard:
            running -= 1
        return 5

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: load_first(tmp_path / "a" / "loaded", "7 abc", load), range(3)))
    assert results == [5, 5, 5]
    assert together[0] == 1
    # The two that waited need not wait for one another.
    assert most <= 2
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: load_first(tmp_path / "a" / "loaded", "7 abc", load), range(3)))
    assert most == 3


def test_what_failed_is_not_proved_and_the_next_does_not_wait(tmp_path: Path) -> None:
    def fail() -> int:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            load_first(tmp_path / "loaded", "7 abc", fail)
    assert load_first(tmp_path / "loaded", "8 def", lambda: 8) == 8
    assert (tmp_path / "loaded").read_text() == "8 def"


def test_a_worker_that_never_ends_is_waited_for_no_longer_than_patience(tmp_path: Path) -> None:
    leave, begun = threading.Event(), threading.Event()

    def hang() -> bool:
        begun.set()
        return leave.wait(30)

    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(load_first, tmp_path / "loaded", "7 abc", hang)
        assert begun.wait(10)
        started = time.monotonic()
        with pytest.raises(LoadGoesOn):
            load_first(tmp_path / "loaded", "7 abc", lambda: pytest.fail("begun beside it"), patience=0.2)
        assert time.monotonic() - started >= 0.2
        leave.set()
        assert stuck.result(10), "it had not come to an end before"


@pytest.mark.skipif(sys.platform != "linux", reason="it finds its files in /proc")
def test_after_one_that_died_while_it_loaded_the_next_waits_until_its_process_is_gone(tmp_path: Path) -> None:
    """Its files are closed one by one, and its marks may be the last of them."""
    with subprocess.Popen([sys.executable, "-c", DYING, str(tmp_path / "loaded")], cwd=CHECKOUT) as process:
        while not (tmp_path / "free").exists():
            assert process.poll() is None
            time.sleep(0.01)
        dying = psutil.Process(process.pid)
        states: list[str] = []
        load_first(tmp_path / "loaded", "7 abc", lambda: states.append(dying.status()))
        assert states == [psutil.STATUS_ZOMBIE]


def test_what_was_proved_before_loads_at_once_while_another_version_is_tried(tmp_path: Path) -> None:
    """As a worker does that starts meanwhile."""
    load_first(tmp_path / "loaded", "6 xyz", lambda: None)
    leave, begun = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        raise ValueError("told to leave" if leave.wait(30) else "left by itself")

    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(load_first, tmp_path / "loaded", "7 abc", hang)
        assert begun.wait(10)
        load_first(tmp_path / "loaded", "6 xyz", lambda: None)
        leave.set()
        with pytest.raises(ValueError, match="told to leave"):
            stuck.result(10)
    assert (tmp_path / "loaded").read_text() == "6 xyz"


def test_a_number_that_is_another_process_now_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_load, "END_SECONDS", LONG)
    (tmp_path / "loaded").write_text(f"6 xyz\n{os.getppid()} 1")
    began = time.monotonic()
    load_first(tmp_path / "loaded", "7 abc", lambda: None)
    assert time.monotonic() - began < LONG / 2
    assert (tmp_path / "loaded").read_text() == "7 abc"


def test_a_load_that_takes_long_goes_on_and_is_taken_when_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_load, "LOAD_SECONDS", 0.1)
    leave, begun, loads = threading.Event(), [], Loads()

    def load() -> int:
        begun.append(7)
        assert leave.wait(30)
        return 7

    for _ in range(2):
        with pytest.raises(LoadGoesOn, match=r"takes more than 0\.1 s, and goes on") as told:
            loads.result("digits", "7 abc", load)
        assert is_passing(told.value)
    assert loads.result("intents", "7 abc", lambda: 1) == 1
    leave.set()
    (going_on,) = loads._going_on.values()
    going_on.thread.join(10)
    assert loads.result("digits", "7 abc", load) == 7
    assert begun == [7]
    assert loads.result("digits", "7 abc", load) == 7
    assert begun == [7, 7], "what was taken is not kept"
    with pytest.raises(ZeroDivisionError):
        loads.result("digits", "8 def", lambda: 1 // 0)


def test_a_load_that_takes_very_long_hangs_and_may_be_tried_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_load, "LOAD_SECONDS", 0.1)
    monkeypatch.setattr(first_load, "HANG_SECONDS", 0.3)
    leave, loads = threading.Event(), Loads()
    with pytest.raises(LoadGoesOn):
        loads.result("digits", "7 abc", lambda: leave.wait(30))
    time.sleep(0.3)
    with pytest.raises(LoadHangs, match=r"took more than 0\.3 s"):
        loads.result("digits", "7 abc", lambda: leave.wait(30))
    leave.set()
    assert loads.result("digits", "7 abc", lambda: 3) == 3


def test_what_came_to_an_end_when_nobody_asked_any_more_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_load, "LOAD_SECONDS", 0.1)
    leave, loads = threading.Event(), Loads()
    with pytest.raises(LoadGoesOn):
        loads.result("digits", "7 abc", lambda: leave.wait(30))
    leave.set()
    (going_on,) = loads._going_on.values()
    going_on.thread.join(10)
    assert loads.result("digits", "8 def", lambda: 8) == 8
    assert loads._going_on == {}


LATE = """
import sys, time
from pathlib import Path
from service.watchdog.first_load import LoadGoesOn, load_first

lock = Path(sys.argv[1])

def load():
    raise LoadGoesOn

try:
    load_first(lock, "7 abc", load)
except LoadGoesOn:
    lock.with_name("late").touch()
sys.stdin.read()
load_first(lock, "7 abc", lambda: None)
lock.with_name("done").touch()
sys.stdin.close()
time.sleep(60)
"""
"""A load that goes on in a thread until this is told to take its result."""


def test_what_goes_on_in_another_worker_is_not_begun_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_load, "END_SECONDS", 0.3)
    command = [sys.executable, "-c", LATE, str(tmp_path / "loaded")]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE) as process:
        try:
            while not (tmp_path / "late").exists():
                assert process.poll() is None
                time.sleep(0.01)
            for _ in range(2):
                with pytest.raises(LoadGoesOn):
                    load_first(tmp_path / "loaded", "7 abc", lambda: pytest.fail("begun beside it"))
            assert process.stdin is not None
            process.stdin.close()
            while not (tmp_path / "done").exists():
                assert process.poll() is None
                time.sleep(0.01)
            assert load_first(tmp_path / "loaded", "7 abc", lambda: 7) == 7
        finally:
            process.kill()


def test_what_went_on_in_a_worker_that_is_gone_is_begun_anew(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LATE, str(tmp_path / "loaded")]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE) as process:
        while not (tmp_path / "late").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert load_first(tmp_path / "loaded", "7 abc", lambda: 7) == 7
