"""The lines of docs/history.md give what a snapshot holds, after labels were corrected and taken back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.schema import FieldConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.history.layout import OWN_COLUMNS
from store.history.places import table_of
from store.moved import layout
from store.moved.moving import move_old
from store.moved.places import prediction_tables
from store.snapshots.learned import NOTHING_LEARNED
from store.snapshots.restoring import open_snapshot
from store.splits.taking import take_snapshot
from tests.docs.pages import blocks, read
from tests.store.moved.answers import NOW, record_of, store_answers
from tests.store.moved.answers import USE_CASE as MOVED

PAGE = read("docs/history.md")
FIRST, _, SECOND = PAGE.partition("## Predictions that are old")
LINES = blocks(FIRST, "python")
LINES_OF_PREDICTIONS = blocks(SECOND, "python")
USE_CASE = UseCase(
    name="plums",
    title="Plums",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
)


def store(conn: psycopg.Connection[Any], numbers: range, label: str) -> None:
    names = [f"i:{number}" for number in numbers]
    records = [json.dumps({"weight": number / 3}) for number in numbers]
    add_feedback(conn, USE_CASE.name, FeedbackBatch(names, records, [label] * len(names), "test"))


def test_the_page_names_every_column() -> None:
    assert [name for name, _ in OWN_COLUMNS if f"`{name}`" not in FIRST] == []
    assert [name for name, _ in layout.OWN_COLUMNS if f"`{name}`" not in SECOND] == []


@pytest.mark.parametrize("library", ["duckdb", "polars", "dask.dataframe"])
def test_a_line_gives_the_rows_as_they_are_now(
    conn: psycopg.Connection[Any], tmp_path: Path, library: str
) -> None:
    pytest.importorskip(library)

    def snap() -> str:
        return take_snapshot(conn, USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED).digest

    store(conn, range(30), "ripe")
    store(conn, range(3), "green")  # superseded: no snapshot has seen the first labels
    snap()
    store(conn, range(5, 9), "green")
    snap()
    store(conn, range(5, 7), "ripe")
    take_back(conn, USE_CASE.name, LabelSelection(("20", "21")), actor="ann", reason="wrong")
    store(conn, range(30, 33), "green")
    frame = open_snapshot(conn, USE_CASE, tmp_path, snap())
    (code,) = [one for one in LINES if f"import {library}" in one]
    table = table_of(tmp_path, USE_CASE.name, USE_CASE.record)
    names: dict[str, Any] = {}
    exec(code.replace("PATH", table.uri), names)
    rows = names["rows"]
    found = rows.df() if library == "duckdb" else rows
    columns = {name: list(found[name]) for name in ("seq", "label", "identity", "field_weight")}
    by_seq = sorted(zip(*columns.values(), strict=True))
    assert len(frame) == 31
    assert [row[0] for row in by_seq] == sorted(frame.seq.tolist())
    expected = {int(seq): (label, identity, weight) for seq, label, identity, weight in zip(
        frame.seq, frame.labels, frame.identities, frame.columns["weight"], strict=True
    )}  # fmt: skip
    assert {row[0]: row[1:] for row in by_seq} == expected


@pytest.mark.parametrize("library", ["duckdb", "polars", "dask.dataframe"])
def test_a_line_gives_the_predictions_of_a_month(
    conn: psycopg.Connection[Any], tmp_path: Path, library: str
) -> None:
    pytest.importorskip(library)
    ids = [store_answers(conn, range(5), NOW - timedelta(days=days)) for days in (70, 40, 39)]
    move_old(conn, tmp_path, MOVED, NOW - timedelta(days=30))
    (code,) = [one for one in LINES_OF_PREDICTIONS if f"import {library}" in one]
    (table,) = prediction_tables(tmp_path, MOVED.name)
    names: dict[str, Any] = {}
    exec(code.replace("PATH", table.uri).replace("MONTH", "2026-10"), names)
    answers = names["answers"]
    found = answers.df() if library == "duckdb" else answers
    columns = [list(found[name]) for name in ("id", "label", "field_note")]
    assert sorted(zip(*columns, strict=True)) == [
        (one, "ripe", record_of(number)["note"])
        for part in (ids[1], ids[2])
        for number, one in enumerate(part)
    ]
