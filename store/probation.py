"""How versions stand that were promoted: one row for each promotion that is, or was, watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb


@dataclass(frozen=True)
class StoredProbation:
    """One row of `probation`; the ledger itself never changes, so nothing refers to it."""

    move: int
    """Row of the ledger that promoted the version."""
    last_seq: int
    """Arrival of the newest label that was looked at."""
    looked_at: datetime
    ended: bool
    """No more labels are looked at."""
    evidence: Mapping[str, Any]
    """As `models.probation.evidence` has it."""


def find_probation(conn: psycopg.Connection[Any], move: int) -> StoredProbation | None:
    """How the version stands that a row of the ledger promoted; None: nobody has looked."""
    with conn.cursor(row_factory=class_row(StoredProbation)) as cursor:
        return cursor.execute(
            "SELECT move, last_seq, looked_at, ended, evidence FROM probation WHERE move = %s", (move,)
        ).fetchone()


def keep_probation(
    conn: psycopg.Connection[Any],
    use_case: str,
    move: int,
    *,
    last_seq: int,
    ended: bool,
    evidence: Mapping[str, Any],
) -> None:
    """Write down how it stands, unless it has ended or newer labels were looked at. The caller commits."""
    conn.execute(
        "INSERT INTO probation AS kept (move, use_case, last_seq, ended, evidence)"
        " VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (move) DO UPDATE SET last_seq = excluded.last_seq, ended = excluded.ended,"
        " evidence = excluded.evidence, looked_at = now()"
        " WHERE NOT kept.ended AND kept.last_seq <= excluded.last_seq",
        (move, use_case, last_seq, ended, Jsonb(dict(evidence))),
    )
