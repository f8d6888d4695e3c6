"""Predictions of a use case with a field of every type, as a server would have stored them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from configs.schema import FieldConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from store.moved.places import prediction_tables
from store.predictions.labelled_answers import least_id

RECORD = RecordConfig(
    fields=(
        FieldConfig(name="weight", type="number", nullable=True),
        FieldConfig(name="Weight", type="integer", nullable=True),
        FieldConfig(name="sweet", type="boolean", nullable=True),
        FieldConfig(name="tree", type="category", nullable=True),
        FieldConfig(name="note", type="text"),
        FieldConfig(name="picked", type="datetime", nullable=True),
        FieldConfig(name="photo", type="image", shape=(2, 2)),
    )
)
USE_CASE = UseCase(
    name="plums",
    title="Plums",
    kind="tabular",
    record=RecordConfig(fields=RECORD.fields[:-1]),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
).model_copy(update={"record": RECORD})
"""With more types than a configuration may mix."""
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def prediction_id(at: datetime, number: int) -> str:
    """An id as servers make them: 48 bits of time, then what tells it from others."""
    return f"{least_id(at + timedelta(milliseconds=1))}-7000-9000-{number:012x}"


def record_of(number: int) -> dict[str, Any]:
    """A record; every fifth lacks what it may lack."""
    missing = number % 5 == 0
    return {
        "weight": None if missing else number / 7,
        "Weight": None if missing else number,
        "sweet": None if missing else number % 2 == 0,
        "tree": None if missing else "äpfel"[number % 5 :],
        "note": f'said "{number}"\n\t\\',
        "picked": None if missing else "2026-05-01T12:30:00.123456Z",
        "photo": base64.b64encode(bytes([number % 256, 1, 2, 3])).decode(),
    }


def store_answers(
    conn: psycopg.Connection[Any],
    numbers: Iterable[int],
    at: datetime,
    *,
    record: dict[str, Any] | None = None,
    use_case: str = "plums",
) -> list[str]:
    """Predictions of one moment and a little more, each a second later; returns their ids."""
    ids = []
    for number in numbers:
        time = at + timedelta(seconds=number)
        ids.append(prediction_id(time, number))
        conn.execute(
            "INSERT INTO prediction (id, use_case, record_id, record_group, record, label, score, scores,"
            " model_version, source, predicted_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                ids[-1], use_case, None if number % 3 else f"r{number}", f"g{number % 4}",
                json.dumps(record_of(number) if record is None else record),
                "ripe", 0.1 + number / 1000, json.dumps({"ripe": 0.1 + number / 1000, "gr\u00fcn": 1 / 3}),
                number % 2 + 1, None if number % 2 else "chain: model", time,
            ),
        )  # fmt: skip
    conn.commit()
    return ids


def stored(conn: psycopg.Connection[Any], ids: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """All that the database holds of these predictions, or of all."""
    rows = conn.execute(
        "SELECT to_jsonb(p) FROM prediction p WHERE %(ids)s::text[] IS NULL OR id = ANY(%(ids)s) ORDER BY id",
        {"ids": None if ids is None else list(ids)},
    ).fetchall()
    conn.commit()
    return [row[0] for row in rows]


def in_tables(home: Any, use_case: str = "plums") -> list[str]:
    """Ids of all predictions in the tables, each as often as it is there."""
    from deltalake import DeltaTable

    ids: list[str] = []
    for table in prediction_tables(home, use_case):
        ids += DeltaTable(table.uri).to_pyarrow_table(columns=["id"])["id"].to_pylist()
    return sorted(ids)
