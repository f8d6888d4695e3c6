"""Giving back what a version held that serves no more.

What a worker holds for good is frozen once, when it has started: the collector does not look at it again.
What is loaded later is not: a version refers to itself in places (the types that decode its requests are
classes), and only the collector frees those. It has so little to look at that requests do not feel it.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable


def reclaim() -> None:
    """Free what nothing refers to any more, and return to the system what the allocator has spare."""
    gc.collect()
    _trim()


def _find_trim() -> Callable[[], object]:
    """How the allocator gives memory back, where it can: glibc keeps what an ONNX session has freed."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return (lambda: None) if trim is None else lambda: trim(0)


_trim = _find_trim()
