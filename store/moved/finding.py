"""Predictions in the tables that are here, by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from store.moved.batches import MovedBatch
from store.moved.layout import Row
from store.moved.places import prediction_tables
from store.moved.table import PredictionTable


class Found(NamedTuple):
    """What became of ids that were looked for."""

    rows: dict[str, tuple[str, Row]]
    """By id, those that were found, with their use case."""
    unreached: frozenset[str]
    """Those that may lie in a table that is not here, or that has lost batches: as one of an older backup."""


@dataclass
class Tables:
    """The tables of one home, or of the storage that machines share, by what they say that they are."""

    home: Path
    _of: dict[str, dict[str, PredictionTable]] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def of(self, use_case: str) -> dict[str, PredictionTable]:
        """Those of a use case.

        Raises:
            HistoryError: one cannot be read.
            StorageError: the storage cannot be asked.
        """
        if use_case not in self._of:
            tables = [(one.identity(), one) for one in prediction_tables(self.home, use_case)]
            self._of[use_case] = {name: one for name, one in tables if name is not None}
        return self._of[use_case]

    def has(self, batch: MovedBatch) -> bool:
        """Whether a batch was appended to a table that is here.

        Raises:
            HistoryError, StorageError: as `of`.
        """
        table = self.of(batch.use_case).get(batch.table_id)
        if table is None:
            return False
        if batch.table_id not in self._last:
            self._last[batch.table_id] = table.last_batch()
        return batch.batch <= self._last[batch.table_id]


def find_moved(tables: Tables, batches: Sequence[MovedBatch], ids: Sequence[str]) -> Found:
    """Look for predictions in the tables of these batches.

    Raises:
        HistoryError: a table cannot be read.
        StorageError: the storage cannot be asked.
    """
    rows: dict[str, tuple[str, Row]] = {}
    unreached: set[str] = set()
    wanted: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    ordered = sorted(ids)
    for batch in batches:
        within = batch.among(ordered)
        if not tables.has(batch):
            unreached.update(within)
            continue
        asked, months = wanted.setdefault((batch.use_case, batch.table_id), (set(), set()))
        asked.update(within)
        months |= _months(batch)
    for (use_case, table_id), (asked, months) in wanted.items():
        found = tables.of(use_case)[table_id].find(sorted(asked), months)
        rows |= {one: (use_case, row) for one, row in found.items()}
    return Found(rows, frozenset(unreached - rows.keys()))


def _months(batch: MovedBatch) -> set[str]:
    """Months that the days of a batch are in, as the table has them."""
    return {f"{one:%Y-%m}" for one in (batch.first_at, batch.first_at + timedelta(days=1), batch.last_at)}
