"""What cleaning leaves of a table: few small files as they are, and of many one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from configs.schema import FieldConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.history import forgetting
from store.history import table as tables
from store.history.batches import add_batches, has_gone, read_mark
from store.history.places import table_of
from store.history.reading import HistoryReader

USE_CASE = UseCase(
    name="plums",
    title="Plums",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
)


def fill(conn: psycopg.Connection[Any], home: Path, batches: range) -> tables.HistoryTable:
    """A table to which these batches, of three rows each, have come one by one."""
    table = table_of(home, USE_CASE.name, USE_CASE.record)
    for batch in batches:
        names = [f"i:{3 * batch + place}" for place in range(3)]
        records = [json.dumps({"weight": place}) for place in range(3)]
        add_feedback(conn, USE_CASE.name, FeedbackBatch(names, records, ["ripe"] * 3, "test"))
        table.fill(conn, add_batches(conn, USE_CASE.name, USE_CASE.record))
    return table


def rows_of(table: tables.HistoryTable) -> int:
    with HistoryReader(table) as reader:
        return int(reader.one("SELECT count(*) FROM lines"))


def test_a_few_small_files_stay_as_they_are(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    table = fill(conn, tmp_path, range(3))
    before = table.files()
    table.clean(conn)
    assert table.files() == before
    assert len(before) == 3, "none was written again for the sake of those that came"


def test_many_small_files_are_made_one(
    conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = fill(conn, tmp_path, range(4))
    monkeypatch.setattr(tables, "_SMALL_FILES", 3)
    table.clean(conn)
    assert len(table.files()) == 1
    assert rows_of(table) == 12


def test_batches_say_whether_a_row_has_gone(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    fill(conn, tmp_path, range(2))
    assert not has_gone(conn, USE_CASE.name)
    take_back(conn, USE_CASE.name, LabelSelection(("1",)), actor="ann", reason="wrong")
    add_batches(conn, USE_CASE.name, USE_CASE.record)
    assert read_mark(conn, USE_CASE.name).number == 3
    assert has_gone(conn, USE_CASE.name)
    assert not has_gone(conn, "others")


def all_lines(table: tables.HistoryTable) -> list[tuple[Any, ...]]:
    with HistoryReader(table) as reader:
        columns = ", ".join(table.layout.schema.names)
        return reader.rows(f"SELECT {columns} FROM stored ORDER BY batch, seq, kind")


@pytest.mark.parametrize("most", [{"_MOST_BATCHES": 500}, {"_MOST_BATCHES": 1}, {"_MOST_ROWS": 2}])
def test_rows_are_forgotten_and_all_else_stays_as_it_is(
    conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: dict[str, int]
) -> None:
    table = fill(conn, tmp_path, range(4))
    take_back(conn, USE_CASE.name, LabelSelection(("1",)), actor="ann", reason="wrong")
    table.fill(conn, add_batches(conn, USE_CASE.name, USE_CASE.record))
    monkeypatch.setattr(tables, "_SMALL_FILES", 3)
    table.clean(conn)
    for name, number in most.items():
        monkeypatch.setattr(forgetting, name, number)
    lines = all_lines(table)
    assert [line[:3] for line in lines[-1:]] == [(2, 5, "gone")]
    forgetting.forget_rows(
        table, {1: np.array([1, 2, 3]), 3: np.array([8]), 5: np.array([2])}, folder=tmp_path
    )
    gone = {(1, 1), (2, 1), (3, 1), (8, 3)}
    assert all_lines(table) == [line for line in lines if line[:2] not in gone]
    assert table.batches() == 5


def test_more_rows_are_forgotten_than_a_condition_can_name(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    rows = 40_000
    names, records = [f"i:{one}" for one in range(rows)], [json.dumps({"weight": one}) for one in range(rows)]
    add_feedback(conn, USE_CASE.name, FeedbackBatch(names, records, ["ripe"] * rows, "test"))
    table = table_of(tmp_path, USE_CASE.name, USE_CASE.record)
    table.fill(conn, add_batches(conn, USE_CASE.name, USE_CASE.record))
    forgetting.forget_rows(table, {1: np.arange(1, rows)}, folder=tmp_path)
    assert [line[:2] for line in all_lines(table)] == [(rows, 1)]


def test_rows_of_a_table_in_an_object_store_are_forgotten(
    conn: psycopg.Connection[Any], tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_STORAGE", bucket)
    table = fill(conn, tmp_path, range(3))
    assert table.uri.startswith("s3://")
    forgetting.forget_rows(table, {1: np.array([1, 2]), 3: np.array([7, 8, 9])}, folder=tmp_path)
    assert [line[:2] for line in all_lines(table)] == [(3, 1), (4, 2), (5, 2), (6, 2)]
