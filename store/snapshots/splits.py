"""Which rows are learned from and which are held out to judge on; all rows of one record are on one side."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema import HoldoutConfig
from store.snapshots.sizes import held_out_by_time

TRAIN, HOLDOUT, UNUSED = "train", "holdout", "unused"
Split = NDArray[np.object_]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class _Records:
    """What n rows, oldest first, are of: `of_row` numbers records in the order of their newest rows."""

    of_row: NDArray[np.int64]
    rows: tuple[Places, ...]
    """Rows of each record, oldest first."""
    fresh: NDArray[np.bool_]
    """Records of which production has learned nothing."""
    came_since: NDArray[np.bool_]
    """Those of them with a row that came since production's snapshot."""


def split_rows(
    config: HoldoutConfig,
    identities: NDArray[np.object_],
    seq: NDArray[np.int64],
    *,
    entities: NDArray[np.int64] | None = None,
    since_seq: int | None,
    learned: Collection[str],
) -> Split:
    """Say of n rows, oldest first, whether each is learned from, held out or unused.

    Args:
        config: how many rows to hold out, and by what.
        identities: what each row is known by.
        seq: order of arrival of each row.
        entities: the record that each row is of, by any number; None: each is of another.
        since_seq: the newest arrival that production's snapshot held; None: there was none.
        learned: identities of rows that production has learned from; their records are never held out.

    Returns:
        `train`, `holdout` or `unused` for each row, shape (n,).
    """
    if len(seq) == 0:
        return np.array([], dtype=object)
    is_new = np.ones(len(seq), dtype=np.bool_) if since_seq is None else seq > since_seq
    is_learned = np.array([identity in learned for identity in identities], dtype=np.bool_)
    records = _group(np.arange(len(seq)) if entities is None else entities, is_learned, is_new)
    if config.by == "hash":
        return _by_hash(config, identities, records)
    return _by_time(config, records, is_new)


def _group(entities: NDArray[np.int64], is_learned: NDArray[np.bool_], is_new: NDArray[np.bool_]) -> _Records:
    _, from_newest, of_row = np.unique(entities[::-1], return_index=True, return_inverse=True)
    rank = np.empty(len(from_newest), dtype=np.int64)
    rank[np.argsort(-from_newest)] = np.arange(len(from_newest))
    of_row = rank[of_row[::-1]]
    order = np.argsort(of_row, kind="stable")
    rows = tuple(np.split(order, np.flatnonzero(np.diff(of_row[order])) + 1))
    fresh = np.bincount(of_row, weights=is_learned) == 0
    return _Records(of_row, rows, fresh, fresh & (np.bincount(of_row, weights=is_new) > 0))


def _by_time(config: HoldoutConfig, records: _Records, is_new: NDArray[np.bool_]) -> Split:
    """The newest of the records that came since, topped up with older ones that nobody has learned from.

    Never more than half of the rows that came since, or those would be judged on and not learned from. A
    record with more rows than there is room for is learned from; where all are like that, the newest rows
    of the newest one are held out, and its others are not used.
    """
    split = np.full(len(records.of_row), TRAIN, dtype=object)
    new_rows = int((is_new & records.fresh[records.of_row]).sum())
    count = held_out_by_time(config, len(split), new_rows)
    newest = np.flatnonzero(records.came_since)[::-1]
    others = np.flatnonzero(records.fresh & ~records.came_since)[::-1]
    held = _fill(min(count, new_rows // 2), (records.rows[record] for record in newest))
    held += _fill(count - sum(map(len, held)), (records.rows[record] for record in others))
    if not held and count and len(newest) + len(others):
        widest = records.rows[(newest if len(newest) else others)[0]]
        split[widest] = UNUSED
        held = [widest[-min(count, len(widest) // 2 or 1) :]]
    for rows in held:
        split[rows] = HOLDOUT
    return split


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


def _by_hash(config: HoldoutConfig, identities: NDArray[np.object_], records: _Records) -> Split:
    """A fixed share of all records is kept from learning for good; those that came since are judged on.

    A record's share is that of its oldest row. Older ones top them up to the least number of rows.
    """
    kept = [hashed_share(str(identities[rows[0]])) < config.fraction for rows in records.rows]
    reserved = np.array(kept, dtype=np.bool_)
    split = np.where(reserved[records.of_row], UNUSED, TRAIN).astype(object)
    came_since = (reserved & records.came_since)[records.of_row]
    before = (reserved & records.fresh & ~records.came_since)[records.of_row]
    newest_first = np.flatnonzero(came_since)[::-1][: config.max_rows]
    older_first = np.flatnonzero(before)[::-1]
    split[newest_first] = HOLDOUT
    split[older_first[: max(0, config.min_rows - len(newest_first))]] = HOLDOUT
    return split


def hashed_share(identity: str) -> float:
    """Place of an identity in 0..1, the same everywhere and always, and evenly spread."""
    digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
