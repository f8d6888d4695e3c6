"""What drift checks found, and the recent records that they look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.drift.told import moved_columns, tell_check
from store.feedback.sources import unless_held
from store.predictions.shadow_answers import AHEAD_SECONDS

HAS_COME: LiteralString = f"predicted_at <= now() + interval '{AHEAD_SECONDS} seconds'"
"""SQL of predictions that count: what was made before the clock was set back does once its time comes.

Else nothing made until then would be among the newest.
"""
_HAD_COME: LiteralString = """EXISTS (
    SELECT FROM feedback_correction k WHERE k.use_case = feedback.use_case
        AND k.identity = feedback.identity AND k.received_at = feedback.received_at
        AND k.seq <= %(since_seq)s AND k.seq <> ALL(%(late)s))"""
"""SQL of labelled rows that have another number since they were read, and did not come anew.

What is relabelled, or of a source that is released, keeps the time of its arrival; by that alone what came
after the clock was set back would be older than what was read before.
"""


@dataclass(frozen=True)
class DriftCheck:
    """One check, as it was stored."""

    at: datetime
    verdict: str
    share: float | None
    report: dict[str, Any]
    model_version: int | None
    mlflow_run: str | None = None
    """The MLflow run that keeps its page."""

    @property
    def calls_for_retrain(self) -> bool:
        """Whether what it found starts a retrain; earlier releases looked at the data only."""
        return bool(self.report.get("retrain", self.verdict == "drift"))

    @property
    def moved(self) -> dict[str, list[str]]:
        """Part that has moved (`data`, `answers`, `labels`) to its columns that did."""
        return moved_columns(self.report, self.verdict)

    @property
    def sentence(self) -> str:
        """What moved, or why that cannot be known."""
        return tell_check(self.report, self.verdict)


COLUMNS: LiteralString = "at, verdict, share, report, model_version, mlflow_run"


def record_check(
    conn: psycopg.Connection[Any],
    use_case: str,
    *,
    verdict: str,
    share: float | None,
    report: Mapping[str, Any],
    model_version: int | None,
) -> int:
    """Store a check and return its id. The caller commits."""
    row = conn.execute(
        "INSERT INTO drift_check (use_case, verdict, share, report, model_version)"
        " VALUES (%s, %s, %s, %s, %s) RETURNING id",
        (use_case, verdict, share, Jsonb(dict(report)), model_version),
    ).fetchone()
    assert row is not None
    return int(row[0])


@dataclass(frozen=True)
class KeptPage:
    """Where Evidently's page of a check is."""

    mlflow_run: str
    digest: str | None
    """SHA-256 of the page in hex; None: an earlier Ratchet kept it."""


def keep_page(conn: psycopg.Connection[Any], check_id: int, page: KeptPage) -> None:
    """Write down which MLflow run keeps the page of a check, and what it is. The caller commits."""
    conn.execute(
        "UPDATE drift_check SET mlflow_run = %s, page_digest = %s WHERE id = %s",
        (page.mlflow_run, page.digest, check_id),
    )


def forget_page(conn: psycopg.Connection[Any], mlflow_run: str) -> None:
    """Write down that a run keeps no page any more. The caller commits."""
    conn.execute(
        "UPDATE drift_check SET mlflow_run = NULL, page_digest = NULL WHERE mlflow_run = %s", (mlflow_run,)
    )


def last_page(conn: psycopg.Connection[Any], use_case: str) -> KeptPage | None:
    """The page of the newest check that has one."""
    with conn.cursor(row_factory=class_row(KeptPage)) as cursor:
        return cursor.execute(
            "SELECT mlflow_run, page_digest AS digest FROM drift_check"
            " WHERE use_case = %s AND mlflow_run IS NOT NULL ORDER BY id DESC LIMIT 1",
            (use_case,),
        ).fetchone()


def latest_checks(conn: psycopg.Connection[Any], use_case: str, limit: int) -> list[DriftCheck]:
    """The newest checks of any version, newest first."""
    with conn.cursor(row_factory=class_row(DriftCheck)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM drift_check WHERE use_case = %s ORDER BY id DESC LIMIT %s",
            (use_case, limit),
        ).fetchall()


def recent_checks(
    conn: psycopg.Connection[Any], use_case: str, *, model_version: int | None, limit: int
) -> list[DriftCheck]:
    """The newest checks of this version, newest first."""
    with conn.cursor(row_factory=class_row(DriftCheck)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM drift_check"
            " WHERE use_case = %s AND model_version IS NOT DISTINCT FROM %s ORDER BY id DESC LIMIT %s",
            (use_case, model_version, limit),
        ).fetchall()


def last_check(conn: psycopg.Connection[Any], use_case: str) -> DriftCheck | None:
    """The newest check of any version."""
    return next(iter(latest_checks(conn, use_case, 1)), None)


def recent_records(
    conn: psycopg.Connection[Any],
    use_case: str,
    *,
    since: datetime | None,
    limit: int,
    since_seq: int = 0,
    late: Sequence[int] = (),
) -> list[tuple[dict[str, Any], int]]:
    """Newest records that were predicted on, or came with a label from elsewhere; oldest first.

    Beside each the number of its label, 0 where none has come.

    All rows of a request, and of a batch of a file, bear one time; ids of predictions and numbers of labels
    tell their order.

    Args:
        since: only records that were predicted on after this time; None: whenever.
        limit: at most this many.
        since_seq: of those that came with a label only those with a higher number than this, which have not
            come before and were relabelled since.
        late: numbers up to it of labels that count as well.
    """
    rows = conn.execute(
        "SELECT record, coalesce(seq, label_seq, 0) FROM (("
        " SELECT p.record, p.predicted_at AS seen, p.id, NULL::bigint AS seq, f.seq AS label_seq FROM ("
        " SELECT * FROM prediction WHERE use_case = %(use_case)s"
        f" AND {HAS_COME} AND predicted_at > coalesce(%(since)s::timestamptz, '-infinity')"
        " ORDER BY predicted_at DESC, id DESC LIMIT %(limit)s"
        ") AS p LEFT JOIN feedback f ON f.use_case = p.use_case AND f.prediction_id = p.id"
        ") UNION ALL ("
        " SELECT record, received_at, NULL, seq, NULL FROM feedback"
        " WHERE use_case = %(use_case)s AND prediction_id IS NULL"
        f" AND (seq > %(since_seq)s OR seq = ANY(%(late)s)) AND NOT {_HAD_COME}"
        " ORDER BY seq DESC LIMIT %(limit)s"
        ")) AS seen_records ORDER BY seen DESC, seq DESC, id DESC LIMIT %(limit)s",
        {
            "use_case": use_case,
            "since": since,
            "limit": limit,
            "since_seq": since_seq,
            "late": list(late),
        },
    ).fetchall()
    return [(record, seq) for record, seq in reversed(rows)]


@dataclass(frozen=True)
class RecentLabels:
    """Labels that came lately, in the order of arrival."""

    labels: NDArray[np.object_]
    seq: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, index: NDArray[Any]) -> RecentLabels:
        """Those that a mask or an array of positions selects."""
        return RecentLabels(self.labels[index], self.seq[index])


def recent_labels(
    conn: psycopg.Connection[Any],
    use_case: str,
    *,
    limit: int,
    since_seq: int = 0,
    late: Sequence[int] = (),
) -> RecentLabels:
    """Newest labels, whether or not of an answer; those of sources that are held back are none.

    Args:
        limit: at most this many.
        since_seq: only those with a higher number than this, of rows that have not come before and were
            relabelled since.
        late: numbers up to it of labels that count as well.
    """
    counting, parameters = unless_held(conn, use_case)
    rows = conn.execute(
        "SELECT label, seq FROM feedback WHERE use_case = %(use_case)s"
        f" AND (seq > %(since_seq)s OR seq = ANY(%(late)s)) AND NOT {_HAD_COME}{counting}"
        " ORDER BY seq DESC LIMIT %(limit)s",
        {
            "use_case": use_case,
            "since_seq": since_seq,
            "late": list(late),
            "limit": limit,
            **parameters,
        },
    ).fetchall()
    labels = np.empty(len(rows), dtype=object)
    labels[:] = [row[0] for row in reversed(rows)]
    return RecentLabels(labels, np.array([row[1] for row in reversed(rows)], dtype=np.int64))
