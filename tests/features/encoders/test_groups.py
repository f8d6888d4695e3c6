"""Groups of rows: by content alone, whichever set a row is of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.encoders.groups import GROUPS, LEAST_ROWS, MOST_FITTED, group_alike, with_groups


def heaps(rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows near one of 16 points, and which."""
    random = np.random.default_rng(seed)
    points = np.random.default_rng(99).normal(0, 50, (GROUPS, 30))
    which = random.integers(0, GROUPS, rows)
    return points[which] + random.normal(size=(rows, 30)), which


def test_what_lies_together_is_one_group_and_the_largest_come_first() -> None:
    rows, which = heaps(800)
    found = group_alike(rows)
    assert found is not None
    sizes = np.bincount(found)
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    purity = sum(np.bincount(which[found == group]).max() for group in set(found.tolist())) / len(rows)
    assert purity > 0.8


@pytest.mark.parametrize("rows", [400, MOST_FITTED + 500])
def test_the_order_of_the_rows_says_nothing(rows: int) -> None:
    values = np.random.default_rng(1).normal(size=(rows, 12))
    order = np.random.default_rng(2).permutation(rows)
    found, again = group_alike(values), group_alike(values[order])
    assert found is not None
    assert again is not None
    np.testing.assert_array_equal(found[order], again)


def test_too_few_rows_or_too_few_that_differ_have_no_groups() -> None:
    rows, _ = heaps(LEAST_ROWS - 1)
    assert group_alike(rows) is None
    assert group_alike(np.repeat(rows[:20], 20, axis=0)) is None
    assert group_alike(np.zeros((500, 9), dtype=np.uint8)) is None
    assert group_alike(np.arange(500).reshape(-1, 1)) is None


def test_each_table_gets_the_groups_of_its_own_rows() -> None:
    before, now = pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]}, index=[7])
    first, second = with_groups(before, now, "look", ["x", "y", "z"])
    assert (first["look"].tolist(), second["look"].tolist()) == (["x", "y"], ["z"])
    assert list(before.columns) == ["a"]
