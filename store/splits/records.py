"""Which labelled rows are of the same record, and how often a record has rows that contradict each other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from configs.schema import FieldType
from store.feedback.rows import NO_KEY, FeedbackRows
from store.snapshots.learned import Learned

Entities = NDArray[np.int64]
TOLD_BY_CONTENT: frozenset[FieldType] = frozenset({"text", "image"})
"""Fields that no two different records have equal."""
FINE: frozenset[FieldType] = frozenset({"number", "datetime"})
"""Fields that two different records seldom have equal."""
FEW = 50
"""With fewer different contents equal rows of a table are different records: they say the same of many."""


@dataclass(frozen=True)
class SameRecords:
    """Which of n rows are of one record, and which records were learned from."""

    entities: Entities
    """A number for each row, equal for rows of one record, shape (n,)."""
    is_learned: NDArray[np.bool_]
    """Rows of what was learned from, under whatever identity, shape (n,)."""


@dataclass(frozen=True)
class Contents:
    """What rows hold, of all rows of a use case."""

    rows: int
    different: int
    """Different contents."""

    @classmethod
    def of(cls, rows: FeedbackRows) -> Contents:
        """Where these are all."""
        return cls(len(rows), len(np.unique(rows.contents)))

    @property
    def recur(self) -> bool:
        """Whether most rows hold what another one holds."""
        return 2 * self.different < self.rows

    @property
    def are_few(self) -> bool:
        """Whether there are fewer than tell anything."""
        return self.different < FEW


ToldBy = Literal["content", "content_without_id", "neither"]
"""Whether rows of equal content are one record: all, those without an id, or none."""


def told_by(contents: Contents, types: Collection[FieldType]) -> ToldBy:
    """What equal contents say of records, where no version has learned anything."""
    if not TOLD_BY_CONTENT.isdisjoint(types) or not contents.recur:
        return "content"
    if FINE.isdisjoint(types):
        return "neither"
    return "content_without_id" if contents.are_few else "content"


def same_records(
    rows: FeedbackRows,
    types: Collection[FieldType],
    learned: Learned,
    *,
    of: Contents | None = None,
    known: NDArray[np.bool_] | None = None,
) -> SameRecords:
    """Tell records apart: all that hangs together by ids, groups and equal contents is one.

    Contents do not tell records of a table apart in which most rows are equal to another. Of fewer than
    `FEW` different ones each row is another record. Of more, equal rows are one record among those that
    have not been learned from: what comes again and again could never be judged on otherwise.

    Args:
        types: of the fields.
        learned: what production has learned from.
        of: what all rows hold, where these are some of them.
        known: rows that were learned from for certain, shape (n,), whatever is `learned`; default none.
    """
    contents, is_learned = _told_apart(rows, types, learned, of, known)
    return SameRecords(joined(len(rows), (rows.ids, contents, rows.groups)), is_learned)


def _told_apart(
    rows: FeedbackRows,
    types: Collection[FieldType],
    learned: Learned,
    of: Contents | None,
    known: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Contents as far as they make rows one record, and which rows are of one that was learned from."""
    contents, is_fine = rows.contents, not FINE.isdisjoint(types)
    every = Contents.of(rows) if of is None else of
    certain = np.zeros(len(rows), dtype=np.bool_) if known is None else known
    by_content = not TOLD_BY_CONTENT.isdisjoint(types) or not every.recur
    if by_content:
        pass
    elif every.are_few:
        # Equal numbers without an id are one record, however few there are.
        contents = np.where(is_fine & (rows.ids == NO_KEY), contents, NO_KEY)
    elif is_fine:
        by_content = True
    else:
        contents = np.where(learned.holds(rows.identities) | certain, NO_KEY, contents)
    return contents, learned.holds_record(rows, by_content=by_content) | certain


def unmet_rows(
    rows: FeedbackRows, types: Collection[FieldType], met: Learned, *, most: int, seed: int
) -> NDArray[np.intp]:
    """Places of n rows, in their order: one of each record of which nothing was met before.

    Args:
        types: of the fields.
        met: rows that came before, whether anybody learned from them or not.
        most: so many of the places at most, drawn by chance.
        seed: of that draw.
    """
    each = one_of_each(rows, types)
    unmet = each[~_told_apart(rows.take(each), types, met, None, None)[1]]
    if len(unmet) <= most:
        return unmet
    return np.sort(np.random.default_rng(seed).choice(unmet, size=most, replace=False))


def one_of_each(rows: FeedbackRows, types: Collection[FieldType]) -> NDArray[np.intp]:
    """Places of n rows, in their order: of those that are equal the last one, where contents tell records."""
    by_content = not TOLD_BY_CONTENT.isdisjoint(types)
    if not by_content and (FINE.isdisjoint(types) or len(np.unique(rows.contents)) < FEW):
        return np.arange(len(rows))
    backwards = rows.contents[::-1]
    lasts = len(rows) - 1 - np.unique(backwards, return_index=True)[1]
    return np.union1d(lasts, np.flatnonzero(rows.contents == NO_KEY))


def joined(count: int, keys: Collection[NDArray[np.int64]]) -> Entities:
    """A number for each row, equal for those that hang together by equal keys of one kind.

    They are numbered by their first rows, from 0 on.
    """
    shared = [_shared(kind) for kind in keys]
    rows = np.unique(np.concatenate([one for one, _ in shared]))
    first = np.arange(count)
    if len(rows):
        first[rows] = rows[_first_places(rows, shared)]
    numbers = np.cumsum(first == np.arange(count)) - 1
    return np.asarray(numbers[first], dtype=np.int64)


def _shared(keys: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Rows whose key another row has too, and a number of that key for each, from 0 on."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    repeats = ranked[1:] == ranked[:-1]
    is_shared = np.zeros(len(keys), dtype=np.bool_)
    is_shared[1:] |= repeats
    is_shared[:-1] |= repeats
    is_shared &= ranked != NO_KEY
    begins = is_shared.copy()
    begins[1:] &= ~repeats
    return order[is_shared], np.cumsum(begins)[is_shared] - 1


def _first_places(
    rows: NDArray[np.intp], shared: Collection[tuple[NDArray[np.intp], NDArray[np.int64]]]
) -> NDArray[np.intp]:
    """For each of some rows, in ascending order, the place of the first one that it hangs together with."""
    starts, ends, size = [], [], len(rows)
    for some, numbers in shared:
        starts.append(np.searchsorted(rows, some))
        ends.append(numbers + size)
        size += int(numbers.max(initial=-1)) + 1
    places = (np.concatenate(starts), np.concatenate(ends))
    edges = coo_array((np.ones(len(places[0]), dtype=np.int8), places), shape=(size, size))
    parts = connected_components(edges, directed=False)[1][: len(rows)]
    _, first, numbers = np.unique(parts, return_index=True, return_inverse=True)
    return np.asarray(first[numbers], dtype=np.intp)


def count_contradicted(entities: Entities, labels: NDArray[np.int64]) -> int:
    """Records whose rows do not all have the same label.

    Args:
        entities: as `joined` numbers them.
        labels: a number for the label of each row.
    """
    least = np.full(int(entities.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    most = np.full(len(least), -1, dtype=np.int64)
    np.minimum.at(least, entities, labels)
    np.maximum.at(most, entities, labels)
    return int((least < most).sum())
