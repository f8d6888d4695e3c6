"""Rows that are nearly alike: few of them count, and of others none is lost."""

from __future__ import annotations

import numpy as np

from features.records.contract import Columns
from store.splits.alike import MOST_ALIKE, few_of_each, usual_spreads


def apples(weights: np.ndarray, colour: str = "red") -> Columns:
    return {"weight": weights, "colour": np.array([colour] * len(weights), dtype=object)}


RANDOM = np.random.default_rng(1)
SPREADS = usual_spreads(apples(RANDOM.uniform(0, 1, 400)))


def test_a_spread_is_of_numbers_and_times_that_differ() -> None:
    day = np.datetime64("2026-01-01", "us")
    times = np.array([day, day + np.timedelta64(1, "D"), np.datetime64("NaT")])
    columns = {
        "at": times,
        "flat": np.ones(3),
        "gone": np.full(3, np.nan),
        "text": np.array(["a"] * 3, object),
    }
    assert usual_spreads(columns) == {"at": 12 * 3600 * 1e6}
    assert abs(SPREADS["weight"] - 0.5) < 0.1


def test_of_a_thousand_that_differ_in_the_last_digit_few_count() -> None:
    crowd, others = 0.6 + np.arange(1000) * 1e-9, RANDOM.uniform(0, 1, 200)
    kept = few_of_each(apples(np.concatenate([crowd, others])), SPREADS, seed=1)
    assert (kept < 1000).sum() <= 2 * MOST_ALIKE, "they may lie on both sides of a line"
    assert (kept >= 1000).sum() == 200


def test_a_crowd_is_one_whatever_number_is_changed_and_another_field_makes_another() -> None:
    crowd = apples(0.6 + np.arange(50) * 1e-9)
    green = apples(0.6 + np.arange(50) * 1e-9, "green")
    both = {name: np.concatenate([crowd[name], green[name]]) for name in crowd}
    assert len(few_of_each(both, SPREADS, seed=1)) == 2 * MOST_ALIKE


def test_equal_rows_are_told_elsewhere_and_stay_together() -> None:
    assert len(few_of_each(apples(np.repeat(0.6, 300)), SPREADS, seed=1)) == 300


def test_nothing_is_lost_where_nothing_is_usual_or_no_row_is_there() -> None:
    crowd = apples(0.6 + np.arange(50) * 1e-9)
    assert len(few_of_each(crowd, {}, seed=1)) == 50
    assert len(few_of_each(apples(np.array([])), SPREADS, seed=1)) == 0


def test_missing_values_and_pixels_are_values_as_others() -> None:
    columns = apples(np.full(20, np.nan)) | {"image": RANDOM.uniform(0, 1, (20, 2, 2))}
    assert len(few_of_each(columns, SPREADS, seed=1)) == 20
