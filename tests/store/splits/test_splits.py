"""Laws of the split: nothing is judged on that was learned from, and nothing that callers send chooses it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from configs.schema import HoldoutConfig
from store.history.draws import Shares, hashed_shares
from store.snapshots.uses import HOLDOUT, TRAIN, UNUSED, Split
from store.splits.records import SameRecords
from store.splits.splits import split_rows

TIME = HoldoutConfig(by="time", fraction=0.2, min_rows=20, max_rows=100)
HASH = HoldoutConfig(by="hash", fraction=0.3, min_rows=20, max_rows=100)


def drawn(rows: int, secret: str = "s") -> Shares:
    return hashed_shares(f"{secret}:{row}" for row in range(rows))


def split(
    config: HoldoutConfig,
    rows: int,
    *,
    since: int = 0,
    learned: set[int] | frozenset[int] = frozenset(),
    of_row: NDArray[np.int64] | None = None,
    secret: str = "s",
    audited: NDArray[np.bool_] | None = None,
) -> Split:
    entities = np.arange(rows) if of_row is None else of_row
    is_learned = np.isin(np.arange(rows), list(learned))
    is_new = np.arange(rows) >= since
    records = SameRecords(entities, is_learned)
    return split_rows(
        config, records, seq=np.arange(rows), shares=drawn(rows, secret), is_new=is_new, audited=audited
    )


def learned_by_production(rows: int) -> set[int]:
    return set(np.flatnonzero(split(TIME, rows) == TRAIN).tolist())


@given(
    rows=st.integers(0, 600),
    first_rows=st.integers(0, 600),
    config=st.sampled_from([TIME, HASH]),
    learned=st.sets(st.integers(0, 600)),
)
def test_what_was_learned_is_never_judged_and_bounds_hold(
    rows: int, first_rows: int, config: HoldoutConfig, learned: set[int]
) -> None:
    parts = split(config, rows, since=min(first_rows, rows), learned=learned)
    held_out = np.flatnonzero(parts == HOLDOUT)
    assert set(held_out.tolist()) & learned == set()
    assert len(held_out) <= config.max_rows
    assert set(parts.tolist()) <= {TRAIN, HOLDOUT, UNUSED}
    if config.by == "time":
        assert len(held_out) <= rows // 2
        assert UNUSED not in parts.tolist()


def test_held_out_rows_are_drawn_from_all_that_came_since() -> None:
    parts = split(TIME, 600, since=400, learned=learned_by_production(400))
    held_out = np.flatnonzero(parts == HOLDOUT)
    assert len(held_out) == 40
    assert held_out.min() >= 400
    assert set(np.argsort(drawn(600)[400:])[:40] + 400) == set(held_out.tolist())
    assert 10 <= (held_out >= 500).sum() <= 30, "neither the first nor the last of them"


@pytest.mark.parametrize("config", [TIME, HASH])
def test_whoever_sends_last_has_no_more_of_the_held_out_rows_than_of_all(config: HoldoutConfig) -> None:
    shares = []
    for secret in map(str, range(20)):
        held_out = np.flatnonzero(split(config, 850, secret=secret) == HOLDOUT)
        shares.append(float((held_out >= 680).mean()))
    assert 0.15 < float(np.mean(shares)) < 0.25
    assert max(shares) < 0.4


@given(order=st.permutations(range(60)), config=st.sampled_from([TIME, HASH]))
def test_neither_times_nor_the_order_of_arrival_choose_what_is_held_out(
    order: list[int], config: HoldoutConfig
) -> None:
    """Rows come to the split in the order of their times; what is drawn goes by what a row is."""
    places = np.array(order)
    shares = drawn(60)
    is_new = np.ones(60, dtype=np.bool_)
    nothing = np.zeros(60, dtype=np.bool_)
    before = split_rows(
        config, SameRecords(np.arange(60), nothing), seq=np.arange(60), shares=shares, is_new=is_new
    )
    by_time = split_rows(
        config, SameRecords(places, nothing), seq=places, shares=shares[places], is_new=is_new
    )
    by_arrival = split_rows(
        config, SameRecords(places, nothing), seq=np.arange(60), shares=shares[places], is_new=is_new
    )
    assert by_time.tolist() == by_arrival.tolist() == before[places].tolist()


def test_few_new_rows_are_topped_up_with_rows_that_nobody_learned_from() -> None:
    learned = learned_by_production(400)
    parts = split(TIME, 410, since=400, learned=learned)
    held_out = np.flatnonzero(parts == HOLDOUT)
    assert (held_out >= 400).sum() == 5
    assert set(held_out[held_out < 400].tolist()) <= set(range(400)) - learned
    assert len(held_out) == 20


def test_by_hash_those_that_came_since_are_judged_on_and_topped_up_to_the_least() -> None:
    config = HASH.model_copy(update={"min_rows": 40})
    kept = np.flatnonzero(drawn(500) < config.fraction)
    new, old = set(kept[kept >= 400].tolist()), set(kept[kept < 400].tolist())
    assert 20 < len(new) < 40
    few = set(np.flatnonzero(split(config, 500, since=400) == HOLDOUT).tolist())
    assert new < few
    assert len(few) == 40
    assert few - new < old
    many = np.flatnonzero(split(config, 500, since=200) == HOLDOUT).tolist()
    assert many == [row for row in kept.tolist() if row >= 200]
    most = np.flatnonzero(split(config, 500) == HOLDOUT).tolist()
    assert len(most) == 100
    assert set(most) < set(kept.tolist())


@given(rows=st.integers(0, 500), more=st.integers(0, 500))
def test_a_row_kept_by_hash_is_never_learned_from_however_many_come_later(rows: int, more: int) -> None:
    before, after = split(HASH, rows), split(HASH, rows + more)
    assert not np.any((before != TRAIN) & (after[:rows] == TRAIN))
    assert not np.any((before == TRAIN) & (after[:rows] != TRAIN))


def test_shares_are_spread_evenly_and_never_change() -> None:
    shares = drawn(20_000)
    assert abs(float((shares < 0.3).mean()) - 0.3) < 0.02
    assert (drawn(20_000) == shares).all()
    assert abs(float(np.corrcoef(shares, drawn(20_000, "another"))[0, 1])) < 0.05


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
    parts = split(config, len(of_row), since=since, learned=learned, of_row=of_row)
    held_out, trained = set(of_row[parts == HOLDOUT].tolist()), set(of_row[parts == TRAIN].tolist())
    assert held_out & trained == set()
    assert held_out & {entities[row] for row in learned if row < len(entities)} == set()
    assert (parts == HOLDOUT).sum() <= config.max_rows


@pytest.mark.parametrize("order", ["in turn", "one after the other"])
@pytest.mark.parametrize("config", [TIME.model_copy(update={"min_rows": 100, "max_rows": 200}), HASH])
def test_sixty_texts_five_times_each_are_split_by_text(config: HoldoutConfig, order: str) -> None:
    of_row = np.arange(300) % 60 if order == "in turn" else np.arange(300) // 5
    parts = split(config, 300, of_row=of_row)
    held_out = (parts == HOLDOUT).reshape((5, 60) if order == "in turn" else (60, 5))
    texts = held_out.all(axis=0 if order == "in turn" else 1)
    assert texts.sum() * 5 == (parts == HOLDOUT).sum() >= 50
    assert (parts == TRAIN).sum() >= 150


def test_a_record_with_most_of_the_rows_is_learned_from() -> None:
    of_row = np.where(np.arange(400) % 10 < 8, 0, np.arange(400))
    parts = split(TIME, 400, of_row=of_row)
    assert 0 < (parts == HOLDOUT).sum() <= 80
    assert set(parts[of_row == 0]) == {TRAIN}


def test_of_two_records_one_is_judged_on() -> None:
    of_row = np.arange(400) // 200
    parts = split(TIME, 400, of_row=of_row)
    (held,) = set(of_row[parts == HOLDOUT])
    rows = np.flatnonzero(of_row == held)
    assert (parts == TRAIN).tolist() == (of_row != held).tolist()
    assert (parts[rows[-80:]] == HOLDOUT).all()
    assert set(parts[rows[:-80]]) == {UNUSED}


@pytest.mark.parametrize("config", [TIME, HASH])
def test_the_audit_sample_is_held_out_first(config: HoldoutConfig) -> None:
    """Unless production has learned from it, and never more than there is room for."""
    learned = frozenset(range(40))
    for step, most in ((20, 20), (2, config.max_rows)):
        audited = np.arange(400) % step == 0
        held = split(config, 400, learned=learned, audited=audited) == HOLDOUT
        assert (held & audited)[40:].sum() == min(most, audited[40:].sum(), held.sum())
        assert not held[:40].any()
        assert held.sum() <= config.max_rows
        plain = split(config, 400, learned=learned) == HOLDOUT
        assert set(np.flatnonzero(held & ~audited)) <= set(np.flatnonzero(plain))


def test_all_rows_of_an_audited_record_are_held_out_with_it() -> None:
    audited = np.isin(np.arange(400), [100, 200])
    parts = split(TIME, 400, of_row=np.arange(400) // 2, audited=audited)
    assert (parts[[100, 101, 200, 201]] == HOLDOUT).all()


def test_each_source_has_its_share_of_what_is_judged_on() -> None:
    """However late the rows of one come: a draw asks for no source."""
    config = HoldoutConfig(fraction=0.2, min_rows=10, max_rows=1000)
    shares = [
        (np.flatnonzero(split(config, 400, secret=str(seed)) == HOLDOUT) >= 300).mean() for seed in range(40)
    ]
    assert 0.2 < np.mean(shares) < 0.3
