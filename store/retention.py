"""Deleting old rows, a batch at a time: which, is a table of rules; when, the caller says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from store.runs.rows import LATEST

BATCH_ROWS = 5000
"""Rows deleted in one transaction: others wait for it no longer than for an insert of as many."""
KEPT_RUNS = 100


@dataclass(frozen=True)
class Rows:
    """Rows of one table that may be forgotten once they are old."""

    what: str
    """For people."""
    table: LiteralString
    time: LiteralString
    """The column that says how old a row is."""
    only: LiteralString = "true"
    """SQL of the rows that may go; parameters `use_case` and `versions`."""


PREDICTIONS = Rows(
    "predictions without a label",
    "prediction",
    "predicted_at",
    "NOT EXISTS (SELECT FROM feedback WHERE feedback.prediction_id = old.id)",
)
SHADOW_ANSWERS = Rows(
    "answers of shadow versions",
    "shadow_answer",
    "predicted_at",
    "NOT EXISTS (SELECT FROM feedback WHERE feedback.prediction_id = old.prediction_id)",
)
"""They go with the predictions that they belong to."""
QUARANTINE = Rows("refused rows", "quarantine", "at")
IDEMPOTENCY = Rows("idempotency keys", "idempotency", "at")
DRIFT_CHECKS = Rows("drift checks", "drift_check", "at", "mlflow_run IS NULL")
NOTICES = Rows("notices", "notice", "happened_at", "state <> 'due'")
RUNS = Rows(
    "runs",
    "run",
    "finished_at",
    "status NOT IN ('queued', 'running')"
    " AND id NOT IN (SELECT id FROM run WHERE use_case = %(use_case)s"
    f" {LATEST} LIMIT {KEPT_RUNS})"
    " AND id NOT IN (SELECT run_id FROM ledger WHERE use_case = %(use_case)s AND run_id IS NOT NULL"
    " AND to_version = ANY(%(versions)s))",
)


def count_rows(
    conn: psycopg.Connection[Any],
    rows: Rows,
    use_case: str,
    before: datetime,
    versions: Collection[int] = (),
) -> int:
    """How many `delete_rows` would delete."""
    row = conn.execute(
        f"SELECT count(*) FROM {rows.table} AS old WHERE {_OLD.format(rows=rows)}",
        _parameters(use_case, before, versions),
    ).fetchone()
    assert row is not None
    return int(row[0])


def delete_rows(
    conn: psycopg.Connection[Any],
    rows: Rows,
    use_case: str,
    before: datetime,
    versions: Collection[int] = (),
    batch: int = BATCH_ROWS,
) -> int:
    """Delete what is older than `before`, and return how many rows that were.

    Each batch is committed: what is cut off has deleted whole batches, and the next call goes on. Rows that
    somebody else is at work on are left to that call.

    Args:
        versions: those that are kept.
    """
    deleted = 0
    parameters = _parameters(use_case, before, versions) | {"after": None, "batch": batch}
    statement = (
        f"WITH gone AS (DELETE FROM {rows.table} WHERE ctid = ANY(ARRAY("
        f" SELECT ctid FROM {rows.table} AS old WHERE {_OLD.format(rows=rows)}"
        f" AND {rows.time} >= coalesce(%(after)s::timestamptz, '-infinity')"
        f" ORDER BY {rows.time} LIMIT %(batch)s FOR UPDATE SKIP LOCKED)) RETURNING {rows.time} AS at)"
        " SELECT count(*), max(at) FROM gone"
    )
    while True:
        # Begins where the last one ended: what stays, such as labelled predictions, is passed over once.
        row = conn.execute(statement, parameters).fetchone()
        conn.commit()
        assert row is not None
        deleted += int(row[0])
        if row[0] < batch:
            return deleted
        parameters["after"] = row[1]


_OLD: LiteralString = "use_case = %(use_case)s AND {rows.time} < %(before)s AND {rows.only}"


def _parameters(use_case: str, before: datetime, versions: Collection[int]) -> dict[str, Any]:
    return {"use_case": use_case, "before": before, "versions": list(versions)}
