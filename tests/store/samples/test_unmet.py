"""Rows whose records nobody has met: chosen by keys of the table, the same as among all rows in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.schema import FieldConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from features.records.contract import LabelContract, RecordContract
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.rows import read_feedback
from store.samples.unmet import read_unmet
from store.snapshots.index import Snapshot
from store.snapshots.learned import NOTHING_LEARNED, near
from store.snapshots.learned_snapshots import learned_until
from store.splits.records import unmet_rows
from store.splits.taking import take_snapshot

USE_CASE = UseCase(
    name="pears",
    title="Pears",
    kind="tabular",
    record=RecordConfig(
        fields=(FieldConfig(name="weight", type="number"), FieldConfig(name="colour", type="category"))
    ),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
)


def send(conn: psycopg.Connection[Any], numbers: range, label: str) -> None:
    """Rows of which each fourth weighs what others do."""
    records = [json.dumps({"weight": n if n % 4 else n % 40, "colour": "red"}) for n in numbers]
    names = [f"i:{n}" for n in numbers]
    add_feedback(conn, USE_CASE.name, FeedbackBatch(names, records, [label] * len(names), "test"))
    conn.commit()


def take(conn: psycopg.Connection[Any], home: Path) -> Snapshot:
    return take_snapshot(conn, USE_CASE, home, since=None, learned=NOTHING_LEARNED)


@pytest.mark.parametrize("most", [1000, 20])
@pytest.mark.parametrize("met_before", [False, True])
def test_they_are_those_of_all_rows_in_memory(
    conn: psycopg.Connection[Any], tmp_path: Path, met_before: bool, most: int
) -> None:
    send(conn, range(120), "good")
    first = take(conn, tmp_path)
    send(conn, range(100, 260), "poor")  # some are corrected
    snapshot = take(conn, tmp_path)
    since = first.last_seq if met_before else 0
    met = learned_until(conn, USE_CASE, tmp_path, since) if met_before else NOTHING_LEARNED
    rows = read_feedback(
        conn, USE_CASE.name, RecordContract(USE_CASE.record), since, snapshot.last_seq,
        labels=LabelContract(USE_CASE.target, USE_CASE.record.missing),
    )  # fmt: skip
    types = {field.type for field in USE_CASE.record.fields}
    expected = rows.take(unmet_rows(rows, types, near(met, rows), most=most, seed=USE_CASE.training.seed))
    send(conn, range(250, 300), "good")  # what comes after the snapshot is none of its rows
    found = read_unmet(conn, USE_CASE, tmp_path, snapshot, since=since, met=met, most=most)
    assert 0 < len(found) <= min(most, len(rows) - 1)
    for key in ("seq", "labels", "identities", "time", "ids", "contents", "groups"):
        assert getattr(found, key).tolist() == getattr(expected, key).tolist()
    for name, values in expected.columns.items():
        assert found.columns[name].tolist() == values.tolist()
