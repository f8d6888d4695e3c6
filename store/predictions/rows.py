"""A stored prediction, and its true label where one has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True)
class StoredPrediction:
    """One row of `prediction`."""

    id: str
    use_case: str
    record_id: str | None
    record: dict[str, Any]
    label: str | None
    score: float | None
    scores: dict[str, float] | None
    model_version: int | None
    source: str | None
    predicted_at: datetime


@dataclass(frozen=True)
class TrueLabel:
    """The true label of a prediction."""

    label: str
    received_at: datetime
    event_time: datetime | None
    source: str | None
    seq: int
    """Its place among all labels; a snapshot holds those from its `first_seq` to its `last_seq`."""


@dataclass(frozen=True)
class LabelTakenBack:
    """A label of a prediction that counts no more."""

    label: str
    taken_back_at: datetime
    actor: str
    reason: str


def find_prediction(conn: psycopg.Connection[Any], prediction_id: str) -> StoredPrediction | None:
    """The prediction of this id, whatever its use case; None when none is stored."""
    with conn.cursor(row_factory=class_row(StoredPrediction)) as cursor:
        return cursor.execute(
            "SELECT id, use_case, record_id, record, label, score, scores, model_version, source, "
            "predicted_at FROM prediction WHERE id = %s",
            (prediction_id,),
        ).fetchone()


def find_true_label(conn: psycopg.Connection[Any], prediction: StoredPrediction) -> TrueLabel | None:
    """The true label of a prediction, after corrections; None while none has come."""
    with conn.cursor(row_factory=class_row(TrueLabel)) as cursor:
        return cursor.execute(
            "SELECT label, received_at, event_time, source, seq FROM feedback "
            "WHERE use_case = %s AND prediction_id = %s",
            (prediction.use_case, prediction.id),
        ).fetchone()


def find_label_taken_back(
    conn: psycopg.Connection[Any], prediction: StoredPrediction
) -> LabelTakenBack | None:
    """The last label of a prediction that was taken back; None where none was."""
    with conn.cursor(row_factory=class_row(LabelTakenBack)) as cursor:
        return cursor.execute(
            "SELECT label, taken_back_at, actor, reason FROM label_taken_back"
            " WHERE use_case = %s AND prediction_id = %s ORDER BY id DESC LIMIT 1",
            (prediction.use_case, prediction.id),
        ).fetchone()


def newest_records(conn: psycopg.Connection[Any], use_case: str, most: int) -> list[str]:
    """Records of the newest `most` answers, as JSON, each once."""
    rows = conn.execute(
        "SELECT DISTINCT record::text FROM ("
        " SELECT record FROM prediction WHERE use_case = %s ORDER BY predicted_at DESC, id DESC LIMIT %s"
        ") AS newest",
        (use_case, most),
    ).fetchall()
    return [str(record) for (record,) in rows]
