"""When a version that cannot be loaded now is tried again: soon, and then ever more seldom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic

from models.errors import CannotLoadNow
from service.answers.slot import Postponed

FIRST_SECONDS = 2.0
MOST_SECONDS = 300.0
"""Between two tries; each wait is twice as long as the one before."""


def postpone(error: Exception, before: Postponed | None) -> Postponed:
    """What is to be told, and awaited, after a try that failed for what the machine lacks.

    Args:
        before: of the try before, where that failed so too.
    """
    failures = 1 if before is None else before.failures + 1
    seconds = min(MOST_SECONDS, FIRST_SECONDS if before is None else 2 * before.seconds)
    return Postponed(
        problem=_words(error),
        failures=failures,
        seconds=seconds,
        due=monotonic() + seconds,
        next_try=datetime.now(UTC) + timedelta(seconds=seconds),
    )


def _words(error: BaseException) -> str:
    """What the machine lacks.

    >>> _words(CannotLoadNow(MemoryError())), _words(MemoryError("for 2 GB"))
    ('it cannot be loaded now: MemoryError', 'MemoryError: for 2 GB')
    """
    if isinstance(error, CannotLoadNow):
        return str(error)
    return ": ".join(filter(None, (type(error).__name__, str(error))))
