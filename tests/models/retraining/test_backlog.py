"""Where a use case stands, in the figures that are shown of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.retraining.backlog import Standing


@pytest.mark.parametrize(
    ("age", "days"),
    [
        (None, None),
        (timedelta(0), 0.0),
        (timedelta(minutes=6), 0.004),
        (timedelta(days=15, hours=1), 15.042),
    ],
)
def test_an_age_is_told_in_days_to_three_digits(age: timedelta | None, days: float | None) -> None:
    assert Standing(1, age, total_labels=0, new_labels=0, untried_labels=0).age_days == days
