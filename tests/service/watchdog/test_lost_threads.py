"""Threads in which a version hangs are made up for, and nobody waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest

from models.versions.predictor import Predictor
from service.answers.pipeline import SHARE_ROWS, BatchThreads
from service.watchdog.lost_threads import ReplacingPool


class Doubling:
    """Stands for a version; tells in which threads it ran."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def run(self, x: Any) -> Any:
        self.threads.add(threading.current_thread().name.partition("_")[0])
        return 2 * x


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, thread_name_prefix="share") as made:
        yield made


def test_what_is_lent_to_a_thread_that_another_version_keeps_is_computed_here(
    pool: ThreadPoolExecutor,
) -> None:
    x = np.arange(3 * SHARE_ROWS, dtype=np.float32)
    leave = threading.Event()
    pool.submit(leave.wait, 200)
    version, answers = Doubling(), []

    def answer() -> None:
        answers.append(BatchThreads(pool, 1).run(cast("Predictor", version), x))

    asking = threading.Thread(target=answer, daemon=True)
    asking.start()
    asking.join(10)
    leave.set()
    assert len(answers) == 1, "it waits for a thread that does not come back"
    assert (answers[0] == 2 * x).all()
    assert "share" not in version.threads


def test_a_pool_whose_threads_hang_goes_on_with_what_waits_already() -> None:
    leave, begun = threading.Event(), threading.Event()
    pool = ReplacingPool(1)

    def hang() -> int:
        begun.set()
        leave.wait(200)
        return threading.get_ident()

    try:
        hung = pool.submit(hang)
        assert begun.wait(10)
        waiting = pool.submit(threading.get_ident)
        pool.replace()
        other = waiting.result(10)
        assert pool.holds(other)
        assert not pool.holds(threading.get_ident())
        leave.set()
        assert hung.result(10) != other
    finally:
        leave.set()
        pool.shutdown()
