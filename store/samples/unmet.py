"""Rows of a snapshot whose records nobody has met before, of which only those that are taken are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from configs.schema import UseCase
from store.errors import HistoryDamaged
from store.feedback.rows import FeedbackRows
from store.history.places import table_of
from store.snapshots.index import Snapshot
from store.snapshots.learned import AnyLearned, Learned, LearnedRows
from store.snapshots.opening import SnapshotRows
from store.snapshots.restoring import made_good
from store.splits.records import unmet_rows
from store.splits.row_keys import read_row_keys


def read_unmet(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    home: Path,
    snapshot: Snapshot,
    *,
    since: int,
    met: AnyLearned,
    most: int,
) -> FeedbackRows:
    """Rows of a snapshot that has just been taken, one of each record that was not met before, oldest first.

    Rows of sources whose labels do not count are among them: whoever asks says which do.

    Args:
        since: arrival of the last row that is not looked at; 0: all are.
        met: rows that were met before.
        most: so many rows at most, drawn by chance.

    Raises:
        SnapshotError: the table is damaged, and cannot be made again.
    """
    assert snapshot.rule is not None
    table = table_of(home, use_case.name, use_case.record)
    rule = replace(snapshot.rule, held_sources=())
    rows = SnapshotRows(table, rule, snapshot.digest, home / "work")
    asked = _Asked(rows, use_case, since, met, most)
    return made_good(conn, rows, asked.read)


@dataclass(frozen=True)
class _Asked:
    rows: SnapshotRows
    use_case: UseCase
    since: int
    met: AnyLearned
    most: int

    def read(self) -> FeedbackRows:
        """
        Raises:
            HistoryDamaged: the table is not what it was.
        """
        types = {field.type for field in self.use_case.record.fields}
        with self.rows.reader() as reader:
            which = f"{self.rows.rule.members(reader)} AND seq > {self.since}"
            known = "false" if _has_any(self.met) else "true"
            keys, _, _ = read_row_keys(reader, "lines", which, known=known)
            near = self.met if isinstance(self.met, Learned) else self.met.near_in(reader, keys)
        taken = keys.take(unmet_rows(keys, types, near, most=self.most, seed=self.use_case.training.seed))
        read = self.rows.rows_of(taken.seq)
        if not np.array_equal(read.seq, taken.seq):
            raise HistoryDamaged(
                f"the table of labelled rows at {self.rows.table.uri} holds rows more than once: "
                f"by the numbers of {len(taken.seq)} it has {len(read.seq)}"
            )
        return replace(
            taken, columns=read.columns, labels=read.labels, identities=read.identities, time=read.time
        )


def _has_any(met: AnyLearned) -> bool:
    """Whether anything may be asked for by its identity."""
    return bool(met.parts or met.others) if isinstance(met, LearnedRows) else bool(met.identities)
