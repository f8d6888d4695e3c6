"""Threads take turns quickly while a version is being loaded.

What runs Python in another thread holds up the event loop for as long as Python lets it, 5 ms at a time, and
again each time that the loop has waited for anything. Loading the first version of a kind imports whole
libraries, thousands of modules: for seconds each request would meet several such waits.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

QUICK_SECONDS = 0.0005
_guard = threading.Lock()
_at_it = 0
_usual = sys.getswitchinterval()


@contextmanager
def quick_turns() -> Iterator[None]:
    """Have other threads come to run soon while this one works, whatever else does at the same time."""
    _enter(1)
    try:
        yield
    finally:
        _enter(-1)


def _enter(change: int) -> None:
    global _at_it, _usual
    with _guard:
        if not _at_it:
            _usual = sys.getswitchinterval()
        _at_it += change
        sys.setswitchinterval(QUICK_SECONDS if _at_it else _usual)
