"""Which rows are learned from and which are held out to judge on; all rows of one record are on one side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema import HoldoutConfig
from store.history.draws import Shares
from store.snapshots.uses import HOLDOUT, TRAIN, UNUSED, Split
from store.splits.records import SameRecords
from store.splits.sizes import held_out_by_time

Places = NDArray[np.intp]


@dataclass(frozen=True)
class _Records:
    """What n rows are of; records are numbered in the order that was drawn."""

    of_row: NDArray[np.int64]
    order: Places
    """All rows, record after record, those of each in the order of arrival."""
    bounds: Places
    """Where the rows of each record begin there, and where the last ones end, shape (records + 1,)."""
    shares: Shares
    """Place of each record in 0..1: that of its first arrival."""
    fresh: NDArray[np.bool_]
    """Records of which production has learned nothing."""
    came_since: NDArray[np.bool_]
    """Those of them with a row that came since production's snapshot."""
    audited: NDArray[np.bool_]
    """Records with a row that answers the audit sample."""

    def rows(self, record: np.intp) -> Places:
        """Rows of a record, in the order of arrival."""
        rows: Places = self.order[self.bounds[record] : self.bounds[record + 1]]
        return rows

    def rows_of(self, places: Places) -> Places:
        """Rows of some records, one record after the other."""
        begins = self.bounds[places]
        counts = self.bounds[places + 1] - begins
        before = np.cumsum(counts) - counts
        rows: Places = self.order[np.repeat(begins - before, counts) + np.arange(counts.sum())]
        return rows


def split_rows(
    config: HoldoutConfig,
    records: SameRecords,
    *,
    seq: NDArray[np.int64],
    shares: Shares,
    is_new: NDArray[np.bool_],
    audited: NDArray[np.bool_] | None = None,
    others: int = 0,
) -> Split:
    """Say of n rows whether each is learned from, held out or unused.

    Neither times, which callers send, nor the order of arrival says which of the rows that came since are
    held out: a draw does.

    Args:
        config: how many rows to hold out, and by what.
        records: which rows are of one record, and which production has learned from: never held out.
        seq: order of arrival of each row.
        shares: place of each row in 0..1, as drawn (`store.history.draws`).
        is_new: rows that came since production's snapshot.
        audited: rows that answer the audit sample, which nobody has chosen: they are held out first.
        others: how many rows there are besides, all of records that production has learned from.

    Returns:
        `train`, `holdout` or `unused` for each row, shape (n,).
    """
    if len(seq) == 0:
        return np.array([], dtype=object)
    drawn = _group(records, seq, shares, is_new, np.zeros(len(seq), np.bool_) if audited is None else audited)
    if config.by == "hash":
        return _by_hash(config, drawn)
    return _by_time(config, drawn, is_new, others)


def _group(
    records: SameRecords,
    seq: NDArray[np.int64],
    shares: Shares,
    is_new: NDArray[np.bool_],
    is_audited: NDArray[np.bool_],
) -> _Records:
    by_arrival = np.argsort(seq, kind="stable")
    _, first, numbers = np.unique(records.entities[by_arrival], return_index=True, return_inverse=True)
    of_record = shares[by_arrival][first]
    drawn = np.argsort(of_record, kind="stable")
    rank = np.empty(len(drawn), dtype=np.int64)
    rank[drawn] = np.arange(len(drawn))
    of_row = np.empty(len(seq), dtype=np.int64)
    of_row[by_arrival] = rank[numbers]
    order = by_arrival[np.argsort(of_row[by_arrival], kind="stable")]
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(of_row[order])) + 1, [len(order)]])
    fresh = np.bincount(of_row, weights=records.is_learned) == 0
    came_since, audited = (np.bincount(of_row, weights=one) > 0 for one in (is_new, is_audited))
    return _Records(of_row, order, bounds, of_record[drawn], fresh, fresh & came_since, audited)


def _by_time(config: HoldoutConfig, records: _Records, is_new: NDArray[np.bool_], others: int) -> Split:
    """Some of the records that came since, topped up with older ones that nobody has learned from.

    Those of the audit sample come first: where labels are selected, only they are judged on.
    Never more than half of the rows that came since, or those would be judged on and not learned from. A
    record with more rows than there is room for is learned from; where all are like that, the last rows of
    the first one drawn are held out, and its others are not used.
    """
    split = np.full(len(records.of_row), TRAIN, dtype=object)
    new_rows = int((is_new & records.fresh[records.of_row]).sum())
    count = held_out_by_time(config, len(split) + others, new_rows)
    drawn = _audited_first(records, records.came_since)
    older = np.flatnonzero(records.fresh & ~records.came_since)
    held = _fill(min(count, new_rows // 2), map(records.rows, drawn))
    held += _fill(count - sum(map(len, held)), map(records.rows, older))
    if not held and count and len(drawn) + len(older):
        widest = records.rows((drawn if len(drawn) else older)[0])
        split[widest] = UNUSED
        held = [widest[-min(count, len(widest) // 2 or 1) :]]
    for rows in held:
        split[rows] = HOLDOUT
    return split


def _audited_first(records: _Records, chosen: NDArray[np.bool_]) -> Places:
    """Numbers of the chosen records, otherwise in the order drawn."""
    places = np.flatnonzero(chosen)
    return places[np.argsort(~records.audited[places], kind="stable")]


def _fill(room: int, records: Iterable[Places]) -> list[Places]:
    """Rows of the first records that fit whole into so many rows."""
    held: list[Places] = []
    for rows in records:
        if room <= 0:
            break
        if len(rows) <= room:
            held.append(rows)
            room -= len(rows)
    return held


def _by_hash(config: HoldoutConfig, records: _Records) -> Split:
    """A fixed share of all records is kept from learning for good; those that came since are judged on.

    The audit sample is kept as well, and judged on first. Older ones top them up to the least number of rows.
    """
    reserved = (records.shares < config.fraction) | (records.audited & records.came_since)
    split = np.where(reserved[records.of_row], UNUSED, TRAIN).astype(object)
    since = records.rows_of(_audited_first(records, reserved & records.came_since))[: config.max_rows]
    before = records.rows_of(_audited_first(records, reserved & records.fresh & ~records.came_since))
    split[since] = HOLDOUT
    split[before[: max(0, config.min_rows - len(since))]] = HOLDOUT
    return split
