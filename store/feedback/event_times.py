"""When events may have happened: up to now, and a day more for clocks and time zones that are wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

TOLERANCE = timedelta(days=1)
"""Local time that is sent as UTC is at most 14 hours ahead. What is later than now counts as now."""


def latest_allowed(now: datetime | None = None) -> datetime:
    """The latest time of an event that is taken, in UTC and without a zone, as rows have it."""
    return (now or datetime.now(UTC)).replace(tzinfo=None) + TOLERANCE


def future_problem(name: str, time: str) -> str:
    """What is wrong with a time that is later than `latest_allowed`.

    >>> future_problem("event_time", "9999-12-31T00:00:00Z").partition(";")[0]
    'event_time: got 9999-12-31T00:00:00Z, which is in the future'
    """
    return (
        f"{name}: got {time}, which is in the future; allowed: up to a day from now; "
        'if it stands for "unknown", leave it out'
    )
