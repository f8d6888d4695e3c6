"""A snapshot of the table and one of a file say the same of their rows, and read what is asked for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow.parquet as pq
import pytest

from configs.schema import (
    FieldConfig,
    HoldoutConfig,
    ModelConfig,
    RecordConfig,
    TargetConfig,
    TrainingConfig,
    UseCase,
)
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.samples.opening import open_to_draw
from store.samples.rows import FrameRows, RowsToDraw, TableRows
from store.snapshots.frames import Frame
from store.snapshots.index import Snapshot, find_snapshot
from store.snapshots.learned import NOTHING_LEARNED
from store.snapshots.restoring import open_snapshot
from store.snapshots.uses import HOLDOUT, TRAIN
from store.splits.taking import take_snapshot

USE_CASE = UseCase(
    name="pears",
    title="Pears",
    kind="tabular",
    record=RecordConfig(
        fields=(
            FieldConfig(name="weight", type="number", nullable=True),
            FieldConfig(name="colour", type="category", nullable=True),
        )
    ),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
    training=TrainingConfig(holdout=HoldoutConfig(min_rows=20)),
)
ROWS = 200


def store(conn: psycopg.Connection[Any], label: str | None = None) -> None:
    records = [json.dumps({"weight": number / 7, "colour": f"c{number % 3}"}) for number in range(ROWS)]
    labels = [label or ("good" if number % 5 else "poor") for number in range(ROWS)]
    times = [f"2024-05-01T10:{(number * 37) % 60:02}:00Z" for number in range(ROWS)]
    names = [f"i:{number}" for number in range(ROWS)]
    add_feedback(conn, USE_CASE.name, FeedbackBatch(names, records, labels, "test", event_time=times))


@pytest.fixture
def taken(conn: psycopg.Connection[Any], tmp_path: Path) -> Snapshot:
    store(conn)
    return take_snapshot(conn, USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED)


@pytest.fixture
def frame(conn: psycopg.Connection[Any], taken: Snapshot, tmp_path: Path) -> Frame:
    return open_snapshot(conn, USE_CASE, tmp_path, taken.digest)


def same(one: Frame, other: Frame) -> None:
    assert one.seq.tolist() == other.seq.tolist()
    assert one.labels.tolist() == other.labels.tolist()
    assert one.split.tolist() == other.split.tolist()
    for name, column in one.columns.items():
        np.testing.assert_array_equal(column, other.columns[name])


@pytest.mark.parametrize("without", [0, 30])
def test_a_table_and_a_file_of_the_same_rows_answer_alike(
    conn: psycopg.Connection[Any], taken: Snapshot, frame: Frame, tmp_path: Path, without: int
) -> None:
    unseen = frame.seq[:: max(1, ROWS // without)] if without else np.array([], dtype=np.int64)
    table = open_to_draw(conn, USE_CASE, tmp_path, taken.digest, without=unseen)
    file = FrameRows(frame.take(np.flatnonzero(~np.isin(frame.seq, unseen))))
    assert isinstance(table, TableRows)
    for use in (None, TRAIN, HOLDOUT):
        for count in (7, 10_000):
            ours, theirs = (rows.draw(count, 3, use=use, one_newest_in=4) for rows in (table, file))
            assert ours.rows == theirs.rows
            assert ours.by_chance.tolist() == theirs.by_chance.tolist()
            assert ours.newest.tolist() == theirs.newest.tolist()
            same(table.read(ours.seq), file.read(theirs.seq))
            for one, other in zip(table.labels(ours.seq), file.labels(theirs.seq), strict=True):
                assert one.tolist() == other.tolist()
    assert table.held_out().tolist() == file.held_out().tolist()
    assert list(table.label_counts().items()) == list(file.label_counts().items())
    assert not np.isin(table.read(frame.seq).seq, unseen).any()


def test_nothing_is_drawn_of_a_snapshot_with_fewer_rows(
    conn: psycopg.Connection[Any], taken: Snapshot, frame: Frame, tmp_path: Path
) -> None:
    rows = open_to_draw(conn, USE_CASE, tmp_path, taken.digest)
    drawn = rows.draw(ROWS, 1, use=TRAIN)
    same(rows.read(drawn.seq), frame.train)
    same(rows.read(rows.held_out()), frame.holdout)
    assert drawn.newest.tolist() == []


def test_the_newest_are_those_of_the_latest_times(
    conn: psycopg.Connection[Any], taken: Snapshot, frame: Frame, tmp_path: Path
) -> None:
    drawn = open_to_draw(conn, USE_CASE, tmp_path, taken.digest).draw(12, 1, use=TRAIN, one_newest_in=4)
    assert drawn.newest.tolist() == sorted(frame.train.seq[-12:].tolist())
    few = open_to_draw(conn, USE_CASE, tmp_path, taken.digest).draw(ROWS, 1, use=TRAIN, one_newest_in=4)
    assert len(few.newest) == len(frame.train) // 4


def test_rows_that_came_or_were_corrected_later_change_nothing(
    conn: psycopg.Connection[Any], taken: Snapshot, frame: Frame, tmp_path: Path
) -> None:
    def told(rows: RowsToDraw) -> tuple[list[int], list[str], dict[str, int]]:
        drawn = rows.draw(50, 1)
        return drawn.seq.tolist(), rows.labels(drawn.seq)[0].tolist(), dict(rows.label_counts())

    before = told(open_to_draw(conn, USE_CASE, tmp_path, taken.digest))
    store(conn, "rotten")
    later = take_snapshot(conn, USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED)
    assert told(open_to_draw(conn, USE_CASE, tmp_path, taken.digest)) == before
    assert before[2] == dict(Counter(frame.labels.tolist()))
    assert set(open_to_draw(conn, USE_CASE, tmp_path, later.digest).label_counts()) == {"rotten"}
    assert find_snapshot(conn, later.digest).digest != taken.digest


@pytest.mark.parametrize("column", ["label", "field_weight", "time"])
def test_of_a_table_that_is_damaged_the_same_is_drawn_once_it_is_made_again(
    conn: psycopg.Connection[Any], taken: Snapshot, tmp_path: Path, column: str
) -> None:
    def told(rows: RowsToDraw) -> tuple[list[float], list[str], dict[str, int]]:
        drawn = rows.draw(50, 1, one_newest_in=4)
        weights = rows.read(drawn.seq).columns["weight"]
        return weights.tolist(), rows.labels(drawn.seq)[0].tolist(), dict(rows.label_counts())

    before = told(open_to_draw(conn, USE_CASE, tmp_path, taken.digest))
    rows = open_to_draw(conn, USE_CASE, tmp_path, taken.digest)
    for path in tmp_path.rglob("*.parquet"):
        spoil(path, column)
    assert told(rows) == before


def spoil(path: Path, column: str) -> None:
    """Overwrite all values of a column."""
    group = pq.read_metadata(path).row_group(0)
    (chunk,) = [
        group.column(place)
        for place in range(group.num_columns)
        if group.column(place).path_in_schema == column
    ]
    content = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(bytes(content))
