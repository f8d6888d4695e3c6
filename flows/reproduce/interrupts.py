"""Ctrl-C and `kill` while a version is made again, whatever a library makes of them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def heeding_signals() -> Iterator[threading.Event]:
    """Each of the signals is a KeyboardInterrupt, and sets the event that is given.

    A library whose callback it reaches may raise an error of its own in its place, as CatBoost does.
    """
    told = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        told.set()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # which alone may
        yield told
        return
    before = {number: signal.signal(number, end) for number in SIGNALS}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
