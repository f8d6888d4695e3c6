"""What the database knows of snapshots; the rows that they froze are read by `features.snapshots`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row

from features.errors import SnapshotError


@dataclass(frozen=True)
class Snapshot:
    """One row of `snapshot`."""

    digest: str
    use_case: str
    path: Path
    rows: int
    train_rows: int
    holdout_rows: int
    first_seq: int
    last_seq: int
    created_at: datetime


def find_snapshot(conn: psycopg.Connection[Any], digest: str) -> Snapshot:
    """The snapshot of this digest.

    Raises:
        SnapshotError: there is none.
    """
    with conn.cursor(row_factory=class_row(Snapshot)) as cursor:
        found = cursor.execute(
            "SELECT digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq, created_at"
            " FROM snapshot WHERE digest = %s",
            (digest,),
        ).fetchone()
    if found is None:
        raise SnapshotError(f"no snapshot has the digest {digest}")
    return Snapshot(**{**vars(found), "path": Path(found.path)})
