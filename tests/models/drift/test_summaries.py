"""A column read once: numbers sorted and categories counted, the same in threads as without."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from models.drift import summaries
from models.drift.forms import OTHERS, Clipped, Equal, Form, Joined
from models.drift.summaries import MISSING, Categories, Numbers, read_side, summarise

FRAME = pd.DataFrame(
    {
        "n": [3.0, np.nan, 1.0, 2.0, 2.0],
        "c": pd.Series(["b", None, "a", float("nan"), "b"], dtype=object),
    }
)


def test_numbers_rise_and_missing_ones_are_counted() -> None:
    numbers = read_side(FRAME).summaries["n"]
    assert isinstance(numbers, Numbers)
    assert (numbers.values.tolist(), numbers.rows, numbers.missing) == ([1.0, 2.0, 2.0, 3.0], 5, 1)
    assert (numbers.distinct, numbers.count(2.0), numbers.count(9.0)) == (3, 2, 0)
    assert numbers.share_up == pytest.approx(1 / 3)


def test_categories_are_counted_in_the_order_in_which_they_come() -> None:
    categories = read_side(FRAME).summaries["c"]
    assert isinstance(categories, Categories)
    assert list(categories.counts.items()) == [("b", 2), (None, 2), ("a", 1)]
    assert list(categories.marked.items()) == [("b", 2), (MISSING, 2), ("a", 1)]
    assert (categories.missing, categories.rows, dict(categories.present)) == (2, 5, {"b": 2, "a": 1})
    named = summarise(np.array([None, MISSING], dtype=object))
    assert isinstance(named, Categories)
    assert named.marked == {MISSING: 2}


def test_only_the_rows_that_are_taken_are_read_and_drawn() -> None:
    side = read_side(FRAME, np.array([0, 2, 4]))
    assert side.rows == 3
    assert side.summaries["c"] == Categories({"b": 2, "a": 1}, 3)
    assert side.draw("n", np.array([1, 2])).tolist() == [1.0, 2.0]
    assert read_side(FRAME, slice(3, None)).summaries["c"] == Categories({None: 1, "b": 1}, 2)


def test_what_is_a_category_before_is_one_now_though_nothing_came() -> None:
    nothing = pd.DataFrame({"c": [np.nan, np.nan], "n": pd.Series([None, None], dtype=object)})
    side = read_side(nothing, categories={"c"})
    assert side.summaries["c"] == Categories({None: 2}, 2)
    numbers = side.summaries["n"]
    assert isinstance(numbers, Numbers)
    assert (numbers.missing, numbers.distinct) == (2, 0)


def test_threads_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame({f"n{place}": random.normal(size=500) for place in range(20)})
    frame["c"] = random.integers(0, 9, 500).astype(str).astype(object)
    alone = read_side(frame)
    monkeypatch.setattr(summaries, "MANY_CELLS", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1, 2}, raising=False)
    threaded = read_side(frame)
    assert list(threaded.summaries) == list(frame.columns)
    for name, one in threaded.summaries.items():
        other = alone.summaries[name]
        if isinstance(one, Numbers) and isinstance(other, Numbers):
            assert np.array_equal(one.values, other.values)
            assert one.share_up == other.share_up
        else:
            assert one == other


NUMBERS = np.array([-1e9, 3.0, np.nan, 3.0, 5.0, 1e9])
KINDS = np.array(["a", None, "b", "c", "a", MISSING], dtype=object)


@pytest.mark.parametrize(
    ("form", "values", "drawn"),
    [
        (Clipped(-10, 10), NUMBERS, [-10.0, 3.0, np.nan, 3.0, 5.0, 10.0]),
        (Clipped(-1e10, 1e10), NUMBERS, NUMBERS.tolist()),
        (Equal(3.0), NUMBERS, [OTHERS, "3.0", MISSING, "3.0", OTHERS, OTHERS]),
        (Joined(frozenset({"a", MISSING})), KINDS, ["a", MISSING, OTHERS, OTHERS, "a", MISSING]),
        (Joined(frozenset({"b"})), KINDS, [OTHERS, OTHERS, "b", OTHERS, OTHERS, OTHERS]),
    ],
)
def test_what_is_drawn_has_the_form_that_is_compared(
    form: Form, values: np.ndarray, drawn: list[object]
) -> None:
    shown = form.draw(values)
    assert [str(value) for value in shown] == [str(value) for value in drawn]
    compared, summary = form.of(summarise(values)), summarise(shown)
    if isinstance(compared, Numbers) and isinstance(summary, Numbers):
        assert np.array_equal(compared.values, summary.values)
    else:
        assert isinstance(compared, Categories)
        assert isinstance(summary, Categories)
        assert dict(compared.counts) == dict(summary.counts)
