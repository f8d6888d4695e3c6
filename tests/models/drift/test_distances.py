"""Every distance and test gives the number that Evidently's own function gives of the same values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.drift.distances import CATEGORICAL, EXACT_ROWS, NUMERIC, measure
from models.drift.summaries import summarise

Draw = Callable[[np.random.Generator, int], NDArray[Any]]
SHAPES: dict[str, Draw] = {
    "normal": lambda random, rows: random.normal(5, 3, rows),
    "long tail": lambda random, rows: random.standard_cauchy(rows).clip(-1e4, 1e4),
    "counts": lambda random, rows: random.poisson(30, rows).astype(np.float64),
    "few values": lambda random, rows: random.integers(1, 6, rows).astype(np.float64),
    "hardly varies": lambda random, rows: 7 + 1e-7 * random.integers(0, 40, rows),
    "mostly 0": lambda random, rows: np.where(random.random(rows) < 0.97, 0.0, random.normal(size=rows)),
}


def by_evidently(method: str, before: NDArray[Any], now: NDArray[Any]) -> float:
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    kind = ColumnType.Categorical if before.dtype == object else ColumnType.Numerical
    sides = pd.Series(before).dropna(), pd.Series(now).dropna()
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(get_stattest(*sides, kind, method)(*sides, kind, 0.1).drift_score)


def hold(method: str, before: NDArray[Any], now: NDArray[Any]) -> None:
    ours = measure(method, summarise(before), summarise(now))
    assert ours == pytest.approx(by_evidently(method, before, now), rel=1e-9, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("method", NUMERIC)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sizes", [(400, 150), (150, 400), (300, 300), (EXACT_ROWS + 500, 1200)])
def test_numbers_are_as_far_apart_as_evidently_says(method: str, shape: str, sizes: tuple[int, int]) -> None:
    random = np.random.default_rng([*sizes, len(shape)])
    before, now = (SHAPES[shape](random, rows) for rows in sizes)
    now = now + 0.1 * now.std()
    before[::9] = np.nan
    hold(method, before, now)
    hold(method, before, before[: len(now)])


@pytest.mark.parametrize("method", CATEGORICAL)
@pytest.mark.parametrize("values", [2, 8, 300])
def test_categories_are_as_far_apart_as_evidently_says(method: str, values: int) -> None:
    random = np.random.default_rng(values)
    before, now = (random.zipf(a, 2000).clip(1, values).astype(str).astype(object) for a in (1.5, 1.6))
    hold(method, before, now)
    hold(method, before, np.where(random.random(2000) < 0.1, "new", now))


NUMBERS = st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=60).map(np.array)
FEW = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=60).map(np.array)


@pytest.mark.filterwarnings("ignore:ks_2samp. Exact calculation unsuccessful:RuntimeWarning")
@given(before=NUMBERS | FEW, now=NUMBERS | FEW)
@settings(deadline=None)
@pytest.mark.parametrize("method", NUMERIC)
def test_whatever_the_numbers_are(method: str, before: NDArray[Any], now: NDArray[Any]) -> None:
    hold(method, before, now)


CATEGORIES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60).map(
    lambda values: np.array(values, dtype=object)
)


@given(before=CATEGORIES, now=CATEGORIES)
@settings(deadline=None)
@pytest.mark.parametrize("method", CATEGORICAL)
def test_whatever_the_categories_are(method: str, before: NDArray[Any], now: NDArray[Any]) -> None:
    hold(method, before, now)
