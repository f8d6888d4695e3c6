"""Moments of differences, and what is kept of a period."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from models.shadows.periods import Contest, Moments, Period, ages_of


def test_moments_add_up_to_those_of_all_rows() -> None:
    random = np.random.default_rng(3)
    one, other = random.normal(0.1, 1, 50), random.normal(0.3, 1, 80)
    both = Moments.of(one) + Moments.of(other)
    whole = np.concatenate([one, other])
    assert both.rows == 130
    assert both.mean == pytest.approx(whole.mean())
    assert both.error == pytest.approx(whole.std(ddof=1) / math.sqrt(130))
    rest = both - Moments.of(one)
    assert rest.rows == 80
    assert rest.mean == pytest.approx(other.mean())


def test_one_row_tells_nothing_of_the_error() -> None:
    assert Moments.of(np.array([0.5])).error == math.inf
    assert math.isnan(Moments().mean)


def test_a_period_comes_back_from_json() -> None:
    period = Period(
        3,
        900,
        120,
        (
            Contest("blend", 1, None, Moments(120, 1.5, 9.0)),
            Contest(
                "blend",
                None,
                4,
                Moments(120, -2.0, 7.0),
                {"desk": Moments(20, 1.0, 1.0)},
                Moments(120, 3.0, 5.0),
                {"desk": Moments(20, 1.0, 1.0)},
            ),
        ),
        {"blend": {"full": 0.81, "newest_1": 0.79}},
        "labels may be selected",
        {"blend": "ab" * 32},
    )
    assert Period.from_dict(3, 900, json.loads(json.dumps(period.as_dict()))) == period


def test_a_period_of_before_does_not_tell_what_was_answered_rightly() -> None:
    kept = Period(3, 900, 120, (Contest("blend", 1, None, Moments(120, 1.5, 9.0)),)).as_dict()
    for one in kept["contests"]:
        del one["right"], one["right_by_source"]
    assert Period.from_dict(3, 900, kept).contests[0].right is None


def test_rows_of_a_source_that_is_held_back_are_taken_out_once_however_it_is_named() -> None:
    north, south, desk = Moments(10, 5.0, 3.0), Moments(20, 8.0, 4.0), Moments(30, -3.0, 2.0)
    sources = {"shop": north + south, "shop/north": north, "shop/south": south, "desk": desk}
    whole = north + south + desk
    contest = Contest("blend", 1, 4, whole, sources, whole, sources)
    assert contest.without(["other"]) == contest
    for held in (["shop"], ["shop", "shop/north"]):
        left = contest.without(held)
        assert left.gain == left.right == desk
        assert left.sources == left.right_by_source == {"desk": desk}
    left = contest.without(["shop/north"])
    assert left.gain == left.right == south + desk
    assert left.sources == left.right_by_source == {"shop": south, "shop/south": south, "desk": desk}


def test_ages_count_the_ends_that_lie_between() -> None:
    seq = np.array([1, 10, 11, 25, 26, 40])
    assert ages_of(seq, [10, 25]).tolist() == [2, 2, 1, 1, 0, 0]
    assert ages_of(seq, []).tolist() == [0] * 6
