"""The first worker tries a version alone; the others learn from what became of it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.watchdog.first_load import LoadHangs, load_first, within


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
    leave = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(load_first, tmp_path / "loaded", "7 abc", lambda: leave.wait(30))
        time.sleep(0.1)
        started = time.monotonic()
        assert load_first(tmp_path / "loaded", "7 abc", lambda: 1, patience=0.2) == 1
        assert 0.2 <= time.monotonic() - started < 5
        leave.set()
        assert stuck.result(10)


def test_work_that_hangs_is_left_behind() -> None:
    leave = threading.Event()
    with pytest.raises(LoadHangs, match=r"took more than 0\.1 s"):
        within(0.1, lambda: leave.wait(30))
    leave.set()
    assert within(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)
