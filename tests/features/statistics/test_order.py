"""Quantiles that are found in batches are those of all numbers at once, whatever the numbers are."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.statistics.counts import BoundedCounts
from features.statistics.moments import Moments
from features.statistics.order import lower_rank, quantiles_of

SHARES = (0.0, 0.25, 0.5, 0.95, 1.0)
NUMBERS = st.lists(st.sampled_from([0.0, -1.0, 1e300, 3.5]) | st.floats(-1e6, 1e6), max_size=300)


def found(numbers: list[float], sampled: int) -> list[float]:
    values = np.array(numbers, dtype=np.float64)

    def look() -> Iterator[list[np.ndarray]]:
        for start in range(0, len(values), 7):
            yield [values[start : start + 7]]

    def ranks(count: int) -> list[int]:
        return [lower_rank(share)(count) for share in SHARES]

    [one] = quantiles_of(look, [values[:sampled]], [ranks], [SHARES])
    assert one.count == len(values)
    return one.values


@settings(deadline=None)
@given(NUMBERS, st.sampled_from([0, 1, 20, 300]))
def test_they_are_those_of_all_numbers(numbers: list[float], sampled: int) -> None:
    """The sample is the first of them, and may mislead as it likes."""
    expected = np.quantile(numbers, SHARES, method="lower").tolist() if numbers else []
    assert found(numbers, sampled) == expected


def test_a_sample_spares_a_second_look() -> None:
    looks = 0
    numbers = np.random.default_rng(1).permutation(50_000).astype(float)

    def look() -> Iterator[list[np.ndarray]]:
        nonlocal looks
        looks += 1
        yield from ([part] for part in np.array_split(numbers, 9))

    [one] = quantiles_of(look, [numbers[:2000]], [lambda count: [count // 2]], [(0.5,)])
    assert (one.values, looks) == ([25_000.0], 1)


@pytest.mark.parametrize("parts", [1, 3, 50])
def test_moments_of_batches_are_those_of_all(parts: int) -> None:
    values = 1e6 + np.random.default_rng(2).normal(size=(400, 3))
    values[::5, 1] = np.nan
    moments = Moments(3)
    for part in np.array_split(values, parts):
        moments.add(part)
    np.testing.assert_allclose(moments.mean, np.nanmean(values, axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.deviation, np.nanstd(values, axis=0), rtol=1e-9)
    assert moments.count.tolist() == [400, 320, 400]


def test_no_frequent_value_is_forgotten_and_none_counted_too_often() -> None:
    random = np.random.default_rng(3)
    values = [*["often"] * 500, *(f"rare {number}" for number in range(5000))]
    random.shuffle(values)
    counts = BoundedCounts(most=300)
    for start in range(0, len(values), 100):
        counts.update(values[start : start + 100])
    assert len(counts.counts) <= 300
    assert 500 - counts.lost <= counts.counts["often"] <= 500
    assert math.isclose(counts.counts["often"], 500, abs_tol=counts.lost)
