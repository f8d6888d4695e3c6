"""Predictions that move into tables, and go from there; what reads tables is imported where there are any."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from configs.schema import UseCase
from store.moved.batches import batches_to_thin
from store.moved.counting import count_old


@dataclass(frozen=True)
class Moves:
    """What is done about predictions of one use case; everything raises `HistoryError` and `StorageError`."""

    conn: psycopg.Connection[Any]
    home: Path
    use_case: UseCase
    dry_run: bool

    def move(self, before: datetime) -> int:
        """Move what is older than a time; returns how many left the database, or would."""
        old = count_old(self.conn, self.use_case.name, before)
        self.conn.commit()
        if not old or self.dry_run:
            return old
        from store.moved.moving import move_old

        return move_old(self.conn, self.home, self.use_case, before)

    def forget(self, before: datetime) -> int:
        """Delete from tables what is older than a time and has no label; returns how many."""
        due = batches_to_thin(self.conn, self.use_case.name, before)
        self.conn.commit()
        if not due:
            return 0
        from store.moved.thinning import thin_old

        return thin_old(self.conn, self.home, self.use_case.name, before, dry_run=self.dry_run)

    def clean(self) -> None:
        """Make one of small files, and delete files that tables have not had for a while."""
        if self.dry_run:
            return
        from store.moved.places import prediction_tables

        for table in prediction_tables(self.home, self.use_case.name):
            table.clean(self.conn)
