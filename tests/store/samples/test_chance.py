"""What is drawn depends on the rows and the seed alone, and is spread over them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.samples.chance import Lots, draw


def test_all_are_drawn_where_there_are_no_more_and_never_one_twice() -> None:
    numbers = np.arange(10, 20)
    assert sorted(draw(numbers, 10, 1).tolist()) == list(range(10, 20))
    assert len(set(draw(numbers, 4, 1).tolist()) & set(numbers.tolist())) == 4
    assert draw(np.array([], dtype=np.int64), 3, 1).tolist() == []


@given(
    numbers=st.sets(st.integers(1, 2**62), max_size=60),
    count=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    cuts=st.lists(st.integers(0, 60), max_size=4),
)
def test_neither_order_nor_portions_change_what_is_drawn(
    numbers: set[int], count: int, seed: int, cuts: list[int]
) -> None:
    listed = np.array(sorted(numbers), dtype=np.int64)
    lots = Lots(count, seed)
    for part in np.split(np.random.default_rng(seed).permutation(listed), sorted(cuts)):
        lots.add(part)
    assert lots.drawn.tolist() == sorted(draw(listed, count, seed).tolist())
    assert lots.put_in == len(numbers)


def test_another_seed_draws_others() -> None:
    numbers = np.arange(10_000)
    both = np.intersect1d(draw(numbers, 1000, 1), draw(numbers, 1000, 2))
    assert len(both) == pytest.approx(100, abs=40), "a tenth of them, by chance"


@pytest.mark.parametrize("step", [1, 2, 7, 1000, 2**20])
def test_no_part_of_the_rows_is_preferred(step: int) -> None:
    """Counts of a hundred parts of the rows, and of their remainders by small numbers, as chance has them."""
    numbers = np.arange(1, 100_001, dtype=np.int64) * step
    places = np.searchsorted(numbers, draw(numbers, 20_000, 3))
    for groups, labels in ((100, places // 1000), (64, places % 64), (97, places % 97)):
        counts = np.bincount(labels, minlength=groups)
        expected = (
            np.bincount(np.arange(100_000) // 1000 if groups == 100 else np.arange(100_000) % groups) / 5
        )
        chi_square = float(((counts - expected) ** 2 / (expected * 0.8)).sum())
        assert chi_square < groups + 5 * np.sqrt(2 * groups)


def test_a_row_more_puts_one_other_out_at_most() -> None:
    numbers = np.arange(5000)
    before, after = draw(numbers[:-1], 100, 5), draw(numbers, 100, 5)
    assert len(np.setdiff1d(before, after)) <= 1
