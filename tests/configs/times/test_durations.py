from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from configs.schema import ChallengerConfig
from configs.times.durations import read_duration, write_duration


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("12h", timedelta(hours=12)),
        ("90d", timedelta(days=90)),
        ("36h", timedelta(hours=36)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_a_duration_says_hours_days_or_weeks(text: str, length: timedelta) -> None:
    assert read_duration(text) == length
    assert write_duration(length) == text
    assert ChallengerConfig(name="newest", window=text).window == text


@pytest.mark.parametrize("text", ["", "0d", "1", "d", "-1d", "1.5d", "5y", "1d ", "999999d", "²d"])
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: hours, days or weeks such as 12h, 1d or 2w"):
        read_duration(text)


@pytest.mark.parametrize("window", ["5y", 0, -3, 1.5, [], "0d"])
def test_a_window_is_a_number_of_rows_or_a_duration(window: object) -> None:
    with pytest.raises(ValidationError, match="allowed: a number of rows above 0, or a time such as 12h"):
        ChallengerConfig.model_validate({"name": "newest", "window": window})
    assert ChallengerConfig(name="newest", window=500).window == 500
