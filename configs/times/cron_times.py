"""The next time that a cron line names, by the rules of Prefect's own schedules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from configs.times.cron import FIELDS, values_of

MOST_DAYS = 366 * 8 + 1
"""A line that names February 29th comes within eight years, or it never does."""


def next_time(line: str, timezone: str, after: datetime) -> datetime | None:
    """The first time, in UTC, that a checked line names after another; None where it names none.

    Where no day is given as `*`, either of them is enough, as in cron(8). A time that the clocks skip in
    spring comes when they have been put forward; one that they repeat in autumn comes once.

    >>> next_time("0 3 * * mon", "Europe/Berlin", datetime(2026, 11, 21, 12, tzinfo=UTC)).isoformat()
    '2026-11-23T02:00:00+00:00'
    """
    zone = ZoneInfo(timezone)
    minutes, hours, days, months, weekdays = (
        values_of(text, field) for text, field in zip(line.split(), FIELDS, strict=True)
    )
    weekdays = {number % 7 for number in weekdays}
    _, _, day_text, _, weekday_text = line.split()
    any_day_field = not _is_any(days, 31, day_text, weekday_text) and not _is_any(
        weekdays, 7, weekday_text, day_text
    )
    for day in _days(after.astimezone(zone).date()):
        fits = (day.day in days, day.isoweekday() % 7 in weekdays)
        if day.month not in months or not (any(fits) if any_day_field else all(fits)):
            continue
        times = (
            datetime.combine(day, time(hour, minute), zone).astimezone(UTC)
            for hour in sorted(hours)
            for minute in sorted(minutes)
        )
        later = [moment for moment in times if moment > after]
        if later:
            return min(later)
    return None


def _is_any(values: set[int], most: int, text: str, other_text: str) -> bool:
    """Whether a field sets no limit: it is `*`, or names every value where the other field has a `*`."""
    return "*" in text.split(",") or (len(values) == most and "*" in other_text)


def _days(first: date) -> Iterator[date]:
    for number in range(MOST_DAYS):
        yield first + timedelta(days=number)
