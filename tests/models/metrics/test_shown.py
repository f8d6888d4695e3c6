"""Figures that differ look different, whatever they are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.metrics.shown import DIGITS, MOST_DIGITS, SAME, digits_for

FIGURES = st.floats(-10, 10, allow_nan=False)


@given(FIGURES, FIGURES)
def test_what_differs_by_more_than_rounding_is_told_apart(one: float, other: float) -> None:
    digits = digits_for((one, other))
    assert DIGITS <= digits <= MOST_DIGITS
    if abs(one - other) > 2 * SAME:
        assert f"{one:.{digits}f}" != f"{other:.{digits}f}"
        assert float(f"{one - other:.{digits}f}") != 0


@pytest.mark.parametrize(
    ("pairs", "digits"),
    [
        ([], 4),
        ([(0.9, 0.8)], 4),
        ([(0.76421, 0.76424)], 5),
        ([(0.9, 0.8), (0.0000004, 0)], 7),
        ([(0.1 + 0.2, 0.3)], 4),
        ([(math.nan, 0.5)], 4),
    ],
)
def test_the_digits(pairs: list[tuple[float, float]], digits: int) -> None:
    assert digits_for(*pairs) == digits


def test_fewer_digits_may_do() -> None:
    assert (digits_for((1.5, 0), least=2), digits_for((0.004, 0), least=2)) == (2, 3)
