"""Periods between retrains with what was scored in each, and the challengers that go on being scored.

What a period's evidence means, `models.shadows` knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb


@dataclass(frozen=True)
class StoredPeriod:
    """One row of `gate_period`."""

    number: int
    last_seq: int
    snapshot: str
    """Digest of the snapshot that its retrain took."""
    ended_at: datetime
    evidence: Mapping[str, Any]
    run_id: str | None
    """Of its retrain, as in table `run`."""


@dataclass(frozen=True)
class StoredShadow:
    """One row of `gate_shadow`: a challenger that was made at the end of a period."""

    number: int
    """Of the period."""
    challenger: str
    version: int | None
    """Where it was registered; None: another challenger of its retrain was."""
    model_uri: str
    """Where MLflow keeps it."""
    digest: str
    """Of its manifest."""


def read_periods(
    conn: psycopg.Connection[Any], use_case: str, newest: int | None = None
) -> list[StoredPeriod]:
    """The periods of a use case, or so many of the newest, oldest first."""
    with conn.cursor(row_factory=class_row(StoredPeriod)) as cursor:
        rows = cursor.execute(
            "SELECT number, last_seq, snapshot, ended_at, evidence, run_id::text FROM gate_period"
            " WHERE use_case = %s"
            " ORDER BY number DESC LIMIT %s",
            (use_case, newest),
        ).fetchall()
    return rows[::-1]


def read_shadows(conn: psycopg.Connection[Any], use_case: str) -> list[StoredShadow]:
    """The challengers of a use case that are written down, oldest first."""
    with conn.cursor(row_factory=class_row(StoredShadow)) as cursor:
        return cursor.execute(
            "SELECT number, challenger, version, model_uri, digest FROM gate_shadow WHERE use_case = %s"
            " ORDER BY number, challenger",
            (use_case,),
        ).fetchall()


def kept_shadows(conn: psycopg.Connection[Any], use_case: str, keep: int) -> list[StoredShadow]:
    """The challengers of the newest periods, which the next retrain scores, oldest first.

    Args:
        keep: those of so many periods are.
    """
    newest = read_periods(conn, use_case, newest=1)
    last = newest[0].number if newest else 0
    return [one for one in read_shadows(conn, use_case) if one.number > last - keep]


def add_period(
    conn: psycopg.Connection[Any],
    use_case: str,
    number: int,
    *,
    last_seq: int,
    snapshot: str,
    run_id: str,
    evidence: Mapping[str, Any],
    shadows: Sequence[StoredShadow],
    keep: int,
) -> None:
    """Write a period down with the challengers made at its end, once; those of older ones are let go.

    The caller commits.

    Args:
        keep: challengers of so many periods are kept.
    """
    added = conn.execute(
        "INSERT INTO gate_period (use_case, number, last_seq, snapshot, run_id, evidence)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (use_case, number, last_seq, snapshot, run_id, Jsonb(dict(evidence))),
    ).rowcount
    if not added:
        return
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO gate_shadow (use_case, number, challenger, version, model_uri, digest)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [(use_case, number, one.challenger, one.version, one.model_uri, one.digest) for one in shadows],
        )
    conn.execute("DELETE FROM gate_shadow WHERE use_case = %s AND number <= %s", (use_case, number - keep))
