"""Laws of the split: nothing is judged on that was learned from, and new rows are always learned from too."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import HoldoutConfig
from store.snapshots.splits import HOLDOUT, TRAIN, UNUSED, Split, hashed_share, split_rows

TIME = HoldoutConfig(by="time", fraction=0.2, min_rows=20, max_rows=100)
HASH = HoldoutConfig(by="hash", fraction=0.3, min_rows=20, max_rows=100)


def split(
    config: HoldoutConfig, rows: int, *, since: int | None = None, learned: frozenset[str] = frozenset()
) -> Split:
    identities = np.array([f"row-{number}" for number in range(rows)], dtype=object)
    return split_rows(config, identities, np.arange(1, rows + 1), since_seq=since, learned=learned)


def learned_by_production(rows: int) -> frozenset[str]:
    parts = split(TIME, rows)
    return frozenset(f"row-{number}" for number in range(rows) if parts[number] == TRAIN)


@given(
    rows=st.integers(0, 600),
    first_rows=st.integers(0, 600),
    config=st.sampled_from([TIME, HASH]),
    learned=st.sets(st.integers(0, 600)),
)
def test_what_was_learned_is_never_judged_and_bounds_hold(
    rows: int, first_rows: int, config: HoldoutConfig, learned: set[int]
) -> None:
    names = frozenset(f"row-{number}" for number in learned)
    parts = split(config, rows, since=min(first_rows, rows) or None, learned=names)
    held_out = np.flatnonzero(parts == HOLDOUT)
    assert set(held_out.tolist()) & learned == set()
    assert len(held_out) <= config.max_rows
    assert set(parts.tolist()) <= {TRAIN, HOLDOUT, UNUSED}
    if config.by == "time":
        assert len(held_out) <= rows // 2
        assert UNUSED not in parts.tolist()


def test_the_first_snapshot_holds_out_its_newest_rows() -> None:
    parts = split(TIME, 400)
    assert np.flatnonzero(parts == HOLDOUT).tolist() == list(range(320, 400))


def test_later_snapshots_hold_out_the_newest_of_the_new_and_learn_from_the_rest() -> None:
    learned = learned_by_production(400)
    parts = split(TIME, 600, since=400, learned=learned)
    assert np.flatnonzero(parts == HOLDOUT).tolist() == list(range(560, 600))
    assert (parts[400:560] == TRAIN).all()


def test_few_new_rows_are_topped_up_with_rows_that_nobody_learned_from() -> None:
    learned = learned_by_production(400)
    parts = split(TIME, 410, since=400, learned=learned)
    held_out = np.flatnonzero(parts == HOLDOUT).tolist()
    assert held_out == [*range(385, 400), *range(405, 410)]
    assert (parts[400:405] == TRAIN).all()


def test_by_hash_those_that_came_since_are_judged_on_and_topped_up_to_the_least() -> None:
    config = HASH.model_copy(update={"min_rows": 40})
    kept = np.flatnonzero(split(config, 500) != TRAIN)
    new, old = kept[kept >= 400].tolist(), kept[kept < 400].tolist()
    assert 20 < len(new) < 40
    few = np.flatnonzero(split(config, 500, since=400) == HOLDOUT).tolist()
    assert few == [*old[len(new) - 40 :], *new]
    many = np.flatnonzero(split(config, 500, since=200) == HOLDOUT).tolist()
    assert many == [row for row in kept.tolist() if row >= 200]
    assert np.flatnonzero(split(config, 500) == HOLDOUT).tolist() == kept[-100:].tolist()


@given(rows=st.integers(0, 500), more=st.integers(0, 500))
def test_a_row_kept_by_hash_is_never_learned_from_however_many_come_later(rows: int, more: int) -> None:
    before, after = split(HASH, rows), split(HASH, rows + more)
    assert not np.any((before != TRAIN) & (after[:rows] == TRAIN))
    assert not np.any((before == TRAIN) & (after[:rows] != TRAIN))


def test_hashed_shares_are_spread_evenly_and_never_change() -> None:
    shares = np.array([hashed_share(f"row-{number}") for number in range(20_000)])
    assert abs(float((shares < 0.3).mean()) - 0.3) < 0.02
    assert hashed_share("row-1") == hashed_share("row-1")
