"""When a cron line comes next, beside what Prefect's own schedules use."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect._vendor.croniter.croniter import croniter

from configs.times.cron import FIELDS, check_cron
from configs.times.cron_times import next_time

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@st.composite
def parts(draw: st.DrawFn, low: int, high: int) -> str:
    """One part of a field."""
    first, last = sorted((draw(st.integers(low, high)), draw(st.integers(low, high))))
    step = draw(st.integers(2, 9))  # nobody writes a step of one
    kinds = ["*", "*", f"*/{step}", f"{first}", f"{first}-{last}", f"{first}-{last}/{step}"]
    return draw(st.sampled_from(kinds))


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A whole line, of days that every month has."""
    most = {"day": 28, "weekday": 6}
    fields = [
        draw(st.lists(parts(low, most.get(name, high)), min_size=1, max_size=2))
        for name, low, high, _ in FIELDS
    ]
    return check_cron(" ".join(",".join(values) for values in fields))


moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)


@given(lines(), moments)
def test_it_agrees_with_what_prefect_uses(line: str, after: datetime) -> None:
    theirs: datetime = croniter(line, after).get_next(datetime)  # type: ignore[no-untyped-call]
    assert next_time(line, "UTC", after) == theirs


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        ("0 3 * * *", "UTC", NOON, "2026-11-22T03:00"),
        ("0 12 * * *", "UTC", NOON, "2026-11-22T12:00"),
        ("0 3 * * *", "Europe/Berlin", NOON, "2026-11-22T02:00"),
        ("30 2 * * *", "America/New_York", NOON, "2026-11-22T07:30"),
        ("0 0 29 feb *", "UTC", NOON, "2028-02-29T00:00"),
        ("0 0 * * 7", "UTC", NOON, "2026-11-22T00:00"),
        ("0 0 13 * fri", "UTC", NOON, "2026-11-27T00:00"),
        # Clocks go from 2 to 3: the time that is skipped comes an hour later by the clock.
        ("30 2 * * *", "Europe/Berlin", datetime(2027, 3, 27, 12, tzinfo=UTC), "2027-03-28T01:30"),
        # Clocks go from 3 back to 2: once.
        ("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2026-10-26T01:30"),
    ],
)
def test_times_are_those_of_the_zone(line: str, zone: str, after: datetime, expected: str) -> None:
    moment = next_time(line, zone, after)
    assert moment is not None
    assert moment.isoformat() == f"{expected}:00+00:00"


def test_a_day_that_never_comes() -> None:
    assert next_time("0 0 31 feb *", "UTC", NOON) is None
