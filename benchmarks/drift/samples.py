"""Columns of many shapes, drawn afresh: numbers, and numbers mixed with categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Kind = Literal["numbers", "mixed"]
Draw = Callable[[np.random.Generator, int], NDArray[Any]]

SHIFTED = 5
"""One column in so many is shifted, the first and each fifth after it."""
SHIFT = 0.3
"""By so many standard deviations."""


def categories(shares: Sequence[float]) -> Draw:
    """Categories with these shares; equal ones are one object, as files are read."""
    names = np.array([f"v{place}" for place in range(len(shares))], dtype=object)

    def draw(random: np.random.Generator, rows: int) -> NDArray[Any]:
        return names[random.choice(len(shares), rows, p=shares)]

    return draw


CONTINUOUS: Sequence[tuple[Draw, float]] = (
    (lambda random, rows: random.normal(size=rows), 1.0),
    (lambda random, rows: random.uniform(size=rows), 12**-0.5),
    (lambda random, rows: random.gamma(2.0, size=rows), 2**0.5),
    (lambda random, rows: random.lognormal(0.0, 1.0, rows), ((np.e - 1) * np.e) ** 0.5),
)
"""Those that can be shifted, each with its standard deviation."""
NUMBERS: Sequence[Draw] = (
    lambda random, rows: random.standard_t(3, rows),
    lambda random, rows: random.poisson(20, rows).astype(np.float64),
    lambda random, rows: random.integers(1, 6, rows).astype(np.float64),
    lambda random, rows: np.where(random.random(rows) < 0.8, 0.0, random.lognormal(0.0, 1.0, rows)),
)
SHARES: Sequence[Sequence[float]] = (
    (0.9, 0.1),
    (1 / 8,) * 8,
    (0.5, 0.2, 0.15, 0.1, 0.05),
    (lambda weights: (weights / weights.sum()).tolist())(1 / np.arange(1.0, 61.0)),
)
CATEGORIES: Sequence[Draw] = tuple(map(categories, SHARES))


def draw_frame(random: np.random.Generator, rows: int, columns: int, kind: Kind) -> pd.DataFrame:
    """Rows of columns whose number is a multiple of `SHIFTED`; of `mixed` ones two in five are categories."""
    return pd.DataFrame({f"c{place}": _draw_of(place, kind)(random, rows) for place in range(columns)})


def shift(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that are shifted, shifted."""
    places = range(0, len(frame.columns), SHIFTED)
    return pd.DataFrame({f"c{place}": frame[f"c{place}"] + SHIFT * _continuous(place)[1] for place in places})


def _continuous(place: int) -> tuple[Draw, float]:
    return CONTINUOUS[place // SHIFTED % len(CONTINUOUS)]


def _draw_of(place: int, kind: Kind) -> Draw:
    turn, within = divmod(place, SHIFTED)
    if within == 0:
        return _continuous(place)[0]
    draws = CATEGORIES if kind == "mixed" and within % 2 else NUMBERS
    return draws[(turn + within) % len(draws)]
