"""Laws of the split: nothing is judged on that was learned from, and new rows are always learned from too."""

from __future__ import annotations

import numpy as np
import pytest
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


@given(
    entities=st.lists(st.integers(0, 60), max_size=400),
    since=st.integers(0, 400),
    config=st.sampled_from([TIME, HASH]),
    learned=st.sets(st.integers(0, 400)),
)
def test_a_record_is_on_one_side_and_never_judged_on_once_production_has_learned_from_it(
    entities: list[int], since: int, config: HoldoutConfig, learned: set[int]
) -> None:
    of_row = np.array(entities, dtype=np.int64)
    identities = np.array([f"row-{number}" for number in range(len(of_row))], dtype=object)
    names = frozenset(f"row-{number}" for number in learned)
    seq = np.arange(1, len(of_row) + 1)
    parts = split_rows(config, identities, seq, entities=of_row, since_seq=since or None, learned=names)
    held_out, trained = set(of_row[parts == HOLDOUT].tolist()), set(of_row[parts == TRAIN].tolist())
    assert held_out & trained == set()
    assert held_out & {entities[row] for row in learned if row < len(entities)} == set()
    assert (parts == HOLDOUT).sum() <= config.max_rows


@pytest.mark.parametrize("order", ["in turn", "one after the other"])
@pytest.mark.parametrize("config", [TIME.model_copy(update={"min_rows": 100, "max_rows": 200}), HASH])
def test_sixty_texts_five_times_each_are_split_by_text(config: HoldoutConfig, order: str) -> None:
    of_row = np.arange(300) % 60 if order == "in turn" else np.arange(300) // 5
    identities = np.array([f"h:{text}#{row}" for row, text in enumerate(of_row)], dtype=object)
    parts = split_rows(
        config, identities, np.arange(1, 301), entities=of_row, since_seq=None, learned=frozenset()
    )
    held_out = (parts == HOLDOUT).reshape((5, 60) if order == "in turn" else (60, 5))
    texts = held_out.all(axis=0 if order == "in turn" else 1)
    assert texts.sum() * 5 == (parts == HOLDOUT).sum() >= 50
    assert (parts == TRAIN).sum() >= 150


def test_a_record_with_most_of_the_rows_is_learned_from() -> None:
    of_row = np.where(np.arange(400) % 10 < 8, 0, np.arange(400))
    identities = np.array([f"row-{row}" for row in range(400)], dtype=object)
    parts = split_rows(TIME, identities, np.arange(400), entities=of_row, since_seq=None, learned=frozenset())
    assert (parts == HOLDOUT).sum() == 80
    assert set(parts[of_row == 0]) == {TRAIN}


def test_of_two_records_the_newer_one_is_judged_on() -> None:
    of_row = np.arange(400) // 200
    identities = np.array([f"row-{row}" for row in range(400)], dtype=object)
    parts = split_rows(TIME, identities, np.arange(400), entities=of_row, since_seq=None, learned=frozenset())
    assert [parts[:200].tolist().count(TRAIN), (parts[200:] == HOLDOUT).sum()] == [200, 80]
    assert set(parts[200:320]) == {UNUSED}


def test_each_source_has_its_share_of_what_is_judged_on() -> None:
    """However late the rows of one come; of one source the newest are held out, as ever."""
    identities = np.array([f"i:{number}" for number in range(400)], dtype=object)
    sources = ["shop"] * 300 + ["mallory"] * 100
    config = HoldoutConfig(fraction=0.2, min_rows=10, max_rows=1000)
    split = split_rows(config, identities, np.arange(400), sources=sources, since_seq=None, learned=())
    held = np.flatnonzero(split == HOLDOUT).tolist()
    assert held == [*range(240, 300), *range(380, 400)]
    alone = split_rows(config, identities, np.arange(400), sources=["a"] * 400, since_seq=None, learned=())
    assert (
        alone.tolist() == split_rows(config, identities, np.arange(400), since_seq=None, learned=()).tolist()
    )
