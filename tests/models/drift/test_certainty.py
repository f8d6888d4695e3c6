"""How seldom chance parts two samples as far: the level holds at any size, and what has moved is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from models.drift import certainty
from models.drift.certainty import FALSE_ALARMS, column_p_values, correct_for_many
from models.drift.summaries import read_side

Draw = Callable[[np.random.Generator, int], NDArray[Any]]
SHAPES: dict[str, Draw] = {
    "normal": lambda random, rows: random.normal(size=rows),
    "long tail": lambda random, rows: random.standard_cauchy(rows),
    "counts": lambda random, rows: random.poisson(30, rows).astype(np.float64),
    "ratings": lambda random, rows: random.integers(1, 6, rows).astype(np.float64),
    "mostly 0": lambda random, rows: np.where(random.random(rows) < 0.97, 0.0, random.normal(size=rows)),
    "two categories": lambda random, rows: np.where(random.random(rows) < 0.95, "a", "b").astype(object),
    "eight categories": lambda random, rows: random.integers(0, 8, rows).astype(str).astype(object),
    "rare categories": lambda random, rows: (
        np.minimum(random.zipf(1.4, rows), 9999).astype(str).astype(object)
    ),
}


def p_value(before: NDArray[Any], now: NDArray[Any]) -> float:
    return of_frames(pd.DataFrame({"x": before}), pd.DataFrame({"x": now}))["x"]


def of_frames(before: pd.DataFrame, now: pd.DataFrame) -> dict[str, float]:
    return column_p_values(read_side(before), read_side(now), list(before.columns))


@pytest.mark.parametrize("shape", SHAPES)
def test_samples_of_the_same_seldom_part(shape: str) -> None:
    random = np.random.default_rng(1)
    p_values = [
        p_value(SHAPES[shape](random, 400), SHAPES[shape](random, rows)) for rows in (30, 100, 400) * 50
    ]
    for level in (0.1, 0.02):
        most = 150 * level + 3 * (150 * level) ** 0.5
        assert sum(p <= level for p in p_values) <= most
    assert min(p_values) > FALSE_ALARMS / 30


@pytest.mark.parametrize(("columns", "rows"), [(5, 30), (40, 30), (40, 200)])
def test_checks_of_many_columns_do_not_cry_wolf(columns: int, rows: int) -> None:
    random = np.random.default_rng(2)
    names = [f"{shape} {place}" for place, shape in zip(range(columns), list(SHAPES) * columns, strict=False)]

    def draw(n: int) -> pd.DataFrame:
        return pd.DataFrame({name: SHAPES[name.rpartition(" ")[0]](random, n) for name in names})

    least = [min(correct_for_many(of_frames(draw(400), draw(rows))).values()) for _ in range(20)]
    assert min(least) > FALSE_ALARMS
    assert sum(p <= 0.1 for p in least) <= 7


@pytest.mark.parametrize("shape", ["normal", "long tail", "counts"])
@pytest.mark.parametrize("change", ["location", "spread"])
def test_numbers_that_move_or_spread_are_found(shape: str, change: str) -> None:
    random = np.random.default_rng(3)
    before, now = SHAPES[shape](random, 2000), SHAPES[shape](random, 500)
    middle, far = np.quantile(before, [0.5, 0.84])
    now = now + 0.3 * (far - middle) if change == "location" else middle + 1.6 * (now - middle)
    assert p_value(before, now) < FALSE_ALARMS / 20


def test_numbers_of_another_shape_about_the_same_middle_are_found() -> None:
    random = np.random.default_rng(4)
    now = np.where(random.random(500) < 0.5, -1.0, 1.0) + 0.2 * random.normal(size=500)
    assert p_value(random.normal(size=2000), now) < FALSE_ALARMS / 20


def test_a_number_that_is_0_less_often_is_found_though_the_others_stay() -> None:
    random = np.random.default_rng(5)

    def draw(rows: int, zeros: float) -> NDArray[np.float64]:
        return np.where(random.random(rows) < zeros, 0.0, random.normal(size=rows))

    assert p_value(draw(2000, 0.9), draw(200, 0.7)) < FALSE_ALARMS / 20
    assert p_value(draw(2000, 0.9), draw(200, 0.9)) > 0.05


@pytest.mark.parametrize("steps", [[0.3, 0, 0, 0, 0, 0, 0, -0.3], [0.06, -0.06] * 4])
def test_one_category_that_moves_is_found_and_many_that_do_a_little(steps: list[float]) -> None:
    random = np.random.default_rng(6)
    even = np.full(8, 1 / 8)
    shares = np.maximum(even + steps, 0)

    def draw(rows: int, p: NDArray[np.float64]) -> NDArray[np.object_]:
        return random.choice(8, rows, p=p / p.sum()).astype(str).astype(object)

    assert p_value(draw(2000, even), draw(500, shares)) < FALSE_ALARMS / 20


def test_missing_categories_are_one_of_their_own_and_missing_numbers_none() -> None:
    kinds = np.array(["a", None] * 200, dtype=object)
    assert p_value(kinds, np.array(["a"] * 100, dtype=object)) < 1e-9
    numbers = np.random.default_rng(7).normal(size=400)
    assert p_value(numbers, np.where(np.arange(400) % 2, numbers, np.nan)) > 0.05


def test_constants_and_nothing_say_nothing() -> None:
    assert p_value(np.full(50, 3.0), np.full(50, 3.0)) == 1.0
    assert correct_for_many({}) == {}


SMALL, LARGE = (400, 150), (50_000, 50_000)
EXPECTED: dict[tuple[int, int], list[float]] = {
    SMALL: [
        0.06104798848939712, 0.9628192477768376, 0.005433633536519866, 0.10602116676093114,
        5.4090234788692295e-06, 0.7413450265477504, 4.865375678379036e-06, 5.497874516568311e-05,
    ],
    LARGE: [
        0.23714304086276813, 0.02747649944910234, 0.0012409658000198164, 0.0028348562918328653,
        3.2396395639033696e-33, 0.8824717264131492, 2.3049801790061945e-128, 6.80199650824728e-126,
    ],
}  # fmt: skip
"""Of the tests on ranks and counts of single rows, in the order of `SHAPES`."""


def partly_changed(place: int, sizes: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A shape, and the same with a part of it, the first, all one value; some are missing."""
    random = np.random.default_rng([place, sizes[1]])
    before, now = (list(SHAPES.values())[place](random, rows) for rows in sizes)
    now[: len(now) // (10 if sizes == SMALL else 100)] = "a" if now.dtype == object else 1.0
    for side in (before, now):
        side[::7] = None if side.dtype == object else np.nan
    return before, now


@pytest.mark.parametrize("place", range(len(SHAPES)), ids=SHAPES)
@pytest.mark.parametrize("sizes", [SMALL, LARGE])
def test_up_to_50_000_rows_of_either_side_every_row_has_its_own_rank(
    sizes: tuple[int, int], place: int
) -> None:
    p = p_value(*partly_changed(place, sizes))
    assert p == pytest.approx(EXPECTED[sizes][place], rel=1e-12, abs=0)


def test_ranks_that_neighbours_share_say_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(8)
    before = random.normal(size=60_000)
    changes: dict[str, NDArray[np.float64]] = {
        "nothing": random.normal(size=50_000),
        "location": random.normal(0.02, 1, 50_000),
        "spread": random.normal(0, 1.02, 50_000),
        "one number": np.where(random.random(50_000) < 0.003, 0.5, random.normal(size=50_000)),
    }
    shared = {name: p_value(before, now) for name, now in changes.items()}
    monkeypatch.setattr(certainty, "RANKED", 10**9)
    own = {name: p_value(before, now) for name, now in changes.items()}
    assert shared != own
    assert np.log(list(shared.values())) == pytest.approx(np.log(list(own.values())), rel=0.02, abs=0.02)


def test_samples_of_the_same_seldom_part_where_neighbours_share_ranks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(certainty, "RANKED", 100)
    monkeypatch.setattr(certainty, "RANKS", 30)
    random = np.random.default_rng(9)
    shapes = ("normal", "long tail", "counts", "mostly 0")
    p_values = [p_value(SHAPES[shape](random, 500), SHAPES[shape](random, 300)) for shape in shapes * 60]
    for level in (0.1, 0.02):
        most = 240 * level + 3 * (240 * level) ** 0.5
        assert sum(p <= level for p in p_values) <= most
    moved = SHAPES["normal"](random, 300) + 0.4
    assert p_value(SHAPES["normal"](random, 500), moved) < FALSE_ALARMS


def test_a_common_number_among_very_many_is_counted_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certainty, "RANKED", 100)
    monkeypatch.setattr(certainty, "RANKS", 30)
    random = np.random.default_rng(10)
    sides = [np.sort(np.where(random.random(900) < 0.3, 0.0, random.normal(size=900))) for _ in range(2)]
    values, *counts = certainty._count_values(*sides)
    assert len(values) < 100
    for side, count in zip(sides, counts, strict=True):
        assert count[values == 0.0] == (side == 0.0).sum()
        assert count.sum() == 900
