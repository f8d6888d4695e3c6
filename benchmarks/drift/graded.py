"""Two large frames: most columns the same, others moved by graded amounts about the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize
from scipy.spatial import distance

from benchmarks.drift.samples import CONTINUOUS, NUMBERS, SHARES, Draw, categories

NUMERIC = 0.6
"""Share of the columns that are numbers."""
MOVED = 0.4
"""Share of the columns that are moved."""
AMOUNTS = (0.02, 0.05, 0.08, 0.085, 0.095, 0.105, 0.115, 0.12, 0.15, 0.2, 0.3, 0.5)
"""How far: numbers in deviations of Wasserstein's distance, categories in that of Jensen and Shannon."""
MISSING_EVERY, MISSING = 3, 0.02
"""In one column of so many, this share is missing, before and now."""
SHAPES: Sequence[Draw] = (*(draw for draw, _ in CONTINUOUS), *NUMBERS)


def draw_pair(rows: int, columns: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Reference and recent rows of the same columns, and by how much each is moved (0: not at all)."""
    random = np.random.default_rng(seed)
    numbers = round(NUMERIC * columns)
    names = [f"n{place}" for place in range(numbers)] + [f"c{place}" for place in range(columns - numbers)]
    moved = {name: _amount(int(name[1:])) for name in names}
    pairs = {}
    for name, amount in moved.items():
        place = int(name[1:])
        draw = _draw_numbers if name.startswith("n") else _draw_categories
        pair = draw(random, rows, place, amount)
        pairs[name] = [_thin_out(random, one) for one in pair] if place % MISSING_EVERY == 0 else pair
    reference, current = (pd.DataFrame({name: pairs[name][side] for name in names}) for side in (0, 1))
    return reference, current, moved


def _amount(place: int) -> float:
    """Two columns of five are moved, each by the next amount."""
    turn, within = divmod(place, round(2 / MOVED))
    return AMOUNTS[(2 * turn + within) % len(AMOUNTS)] if within < 2 else 0.0


def _draw_numbers(
    random: np.random.Generator, rows: int, place: int, amount: float
) -> list[NDArray[np.float64]]:
    """The first by being shifted, the second by being spread."""
    draw = SHAPES[place % len(SHAPES)]
    reference, current = draw(random, rows), draw(random, rows)
    middle, deviation = reference.mean(), reference.std()
    if place % 5 == 1:
        factor = 1 + amount * deviation / np.abs(reference - middle).mean()
        return [reference, middle + factor * (current - middle)]
    return [reference, current + amount * deviation]


def _draw_categories(
    random: np.random.Generator, rows: int, place: int, amount: float
) -> list[NDArray[np.object_]]:
    """The most common becomes less common, and the rarest more."""
    shares = np.array(SHARES[place % len(SHARES)])

    def move(part: float) -> NDArray[np.float64]:
        moved = shares.copy()
        moved[0], moved[-1] = (1 - part) * shares[0], shares[-1] + part * shares[0]
        return moved

    def miss(part: float) -> float:
        return float(distance.jensenshannon(shares, move(part))) - amount

    # As far as the shares can be moved so.
    part = 1.0 if miss(1.0) < 0 else float(optimize.brentq(miss, 0.0, 1.0)) if amount else 0.0
    return [categories(shares.tolist())(random, rows), categories(move(part).tolist())(random, rows)]


def _thin_out(random: np.random.Generator, values: NDArray[Any]) -> NDArray[Any]:
    values[random.random(len(values)) < MISSING] = None if values.dtype == object else np.nan
    return values
