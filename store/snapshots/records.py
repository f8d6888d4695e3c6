"""Which labelled rows are of the same record, and how often a record has rows that contradict each other."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from configs.schema import FieldType
from store.feedback.rows import FeedbackRows

Entities = NDArray[np.int64]
TOLD_BY_CONTENT: frozenset[FieldType] = frozenset({"text", "image"})
"""Fields that no two different records have equal."""
FINE: frozenset[FieldType] = frozenset({"number", "datetime"})
"""Fields that two different records seldom have equal."""


def same_records(rows: FeedbackRows, types: Collection[FieldType]) -> Entities:
    """A number for each row, equal for rows of one record, shape (n,).

    A record is known by its own id, and where it has none by its content. Equal texts and images are one
    record whatever their ids, and so is all that hangs together by ids and contents. Rows without ids of a
    table of few different values, on the other hand, are each another record: they say the same of many.

    Args:
        types: of the fields.
    """
    if not TOLD_BY_CONTENT.isdisjoint(types):
        return _joined(rows)
    if FINE.isdisjoint(types) and _recurs(rows):
        own = rows.entities != rows.contents
        return np.where(own, rows.entities, -1 - np.arange(len(rows), dtype=np.int64))
    return rows.entities


def _joined(rows: FeedbackRows) -> Entities:
    """Records that hang together by ids and contents."""
    if len(rows) == 0:
        return rows.entities
    ids, contents = (np.unique(one, return_inverse=True)[1] for one in (rows.entities, rows.contents))
    size = int(ids.max()) + int(contents.max()) + 2
    edges = (np.ones(len(rows), dtype=np.int8), (ids, contents + ids.max() + 1))
    of_node = connected_components(coo_array(edges, shape=(size, size)), directed=False)[1]
    return np.asarray(of_node[ids], dtype=np.int64)


def _recurs(rows: FeedbackRows) -> bool:
    """Whether most rows hold what another one holds."""
    return 2 * len(np.unique(rows.contents)) < len(rows)


def count_contradicted(entities: Entities, labels: NDArray[np.object_]) -> int:
    """Records whose rows do not all have the same label."""
    if len(entities) == 0:
        return 0
    codes = np.unique(labels.astype(str), return_inverse=True)[1]
    pairs = np.unique(np.stack([np.unique(entities, return_inverse=True)[1], codes]), axis=1)
    return int((np.bincount(pairs[0]) > 1).sum())
