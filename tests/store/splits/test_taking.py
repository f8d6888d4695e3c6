"""A snapshot is the same for the same rows, and comes back as it went in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
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
from store.errors import SnapshotError
from store.feedback.identity import identities
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.snapshots.frames import Frame
from store.snapshots.index import Snapshot, find_snapshot
from store.snapshots.learned import NOTHING_LEARNED, Learned
from store.snapshots.reach import Reach
from store.snapshots.restoring import open_snapshot
from store.snapshots.rules import Totals
from store.splits.taking import take_snapshot

USE_CASE = UseCase(
    name="apples",
    title="Apples",
    kind="tabular",
    record=RecordConfig(
        fields=(
            FieldConfig(name="weight", type="number", nullable=True),
            FieldConfig(name="colour", type="category", nullable=True),
            FieldConfig(name="ripe", type="boolean", nullable=True),
            FieldConfig(name="picked", type="datetime", nullable=True),
        )
    ),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
    training=TrainingConfig(holdout=HoldoutConfig(min_rows=2)),
)
RECORDS: list[dict[str, Any]] = [
    {"weight": 1.5, "colour": "röd", "ripe": True, "picked": "2024-05-01T10:00:00Z"},
    {"weight": None, "colour": None, "ripe": None, "picked": None},
    {"weight": -2.25, "colour": "", "ripe": False, "picked": "1999-12-31T23:59:59.123456Z"},
    {"weight": 0.1, "colour": "🍏", "ripe": True, "picked": None},
]


def store(conn: psycopg.Connection[Any], records: list[dict[str, Any]], first: int = 0) -> None:
    names = [f"i:{first + number}" for number in range(len(records))]
    labels = ["good" if number % 2 else "bad" for number in range(len(records))]
    add_feedback(
        conn,
        USE_CASE.name,
        FeedbackBatch(names, [json.dumps(record) for record in records], labels, source="test"),
    )


def snap(conn: psycopg.Connection[Any], home: Path, use_case: UseCase = USE_CASE) -> Snapshot:
    return take_snapshot(conn, use_case, home, since=None, learned=NOTHING_LEARNED)


def rows_of(
    conn: psycopg.Connection[Any], snapshot: Snapshot, home: Path, use_case: UseCase = USE_CASE
) -> Frame:
    return open_snapshot(conn, use_case, home, snapshot.digest)


def test_rows_come_back_as_they_went_in(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    store(conn, RECORDS)
    snapshot = snap(conn, tmp_path)
    frame = rows_of(conn, snapshot, tmp_path)
    np.testing.assert_array_equal(frame.columns["weight"], [1.5, np.nan, -2.25, 0.1])
    assert frame.columns["colour"].tolist() == ["röd", None, "", "🍏"]
    np.testing.assert_array_equal(frame.columns["ripe"], [1.0, np.nan, 0.0, 1.0])
    assert frame.columns["picked"].dtype == np.dtype("datetime64[us]")
    assert str(frame.columns["picked"][2]) == "1999-12-31T23:59:59.123456"
    assert frame.labels.tolist() == ["bad", "good", "bad", "good"]
    assert sorted(frame.split) == ["holdout", "holdout", "train", "train"]
    assert (snapshot.rows, snapshot.train_rows, snapshot.holdout_rows) == (4, 2, 2)
    assert (len(frame.train), len(frame.holdout)) == (2, 2)
    assert set(frame.holdout.identities) | set(frame.train.identities) == {"i:0", "i:1", "i:2", "i:3"}
    assert snapshot.last_seq == frame.seq.max()


@pytest.mark.parametrize("shape", [(2, 3), (2, 1, 3)], ids=["grey", "colour"])
def test_images_come_back_as_they_went_in(
    conn: psycopg.Connection[Any], tmp_path: Path, shape: tuple[int, ...]
) -> None:
    use_case = USE_CASE.model_copy(
        update={
            "kind": "image",
            "record": RecordConfig(fields=(FieldConfig(name="drawing", type="image", shape=shape),)),
        }
    )
    images = np.arange(24, dtype=np.uint8).reshape(4, *shape)
    from features.records.contract import RecordContract

    documents = RecordContract(use_case.record).to_json({"drawing": images})
    batch = FeedbackBatch([f"i:{n}" for n in range(4)], documents, ["a", "b", "a", "b"], source="test")
    add_feedback(conn, use_case.name, batch)
    frame = rows_of(conn, snap(conn, tmp_path, use_case), tmp_path, use_case)
    np.testing.assert_array_equal(frame.columns["drawing"], images)


def test_the_same_rows_give_the_same_snapshot_and_another_row_another(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    store(conn, RECORDS)
    first, again = snap(conn, tmp_path), snap(conn, tmp_path)
    assert first.digest == again.digest
    store(conn, RECORDS[:1], first=100)
    assert snap(conn, tmp_path).digest != first.digest
    assert find_snapshot(conn, first.digest).digest == first.digest


def test_no_rows_make_an_empty_snapshot(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    snapshot = snap(conn, tmp_path)
    assert (snapshot.rows, snapshot.last_seq) == (0, 0)
    assert len(rows_of(conn, snapshot, tmp_path)) == 0


def test_an_unknown_digest_is_named(conn: psycopg.Connection[Any]) -> None:
    with pytest.raises(SnapshotError, match="abc"):
        find_snapshot(conn, "abc")


TEXTS = UseCase(
    name="apples",
    title="Apples",
    kind="text",
    record=RecordConfig(fields=(FieldConfig(name="s", type="text"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="linear_text"),
    training=TrainingConfig(holdout=HoldoutConfig(min_rows=2)),
)


def test_groups_are_called_what_they_are(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    taken = replace(snap(conn, tmp_path), rows=30, records=10, contradicted=4, group="customer")
    assert taken.warnings == (
        "30 rows have 10 different values of 'customer'; all rows of a 'customer' are either learned from or "
        "held out",
        "4 of these have rows with different labels",
    )


@pytest.mark.parametrize("with_ids", [False, True])
def test_repeated_texts_are_on_one_side_and_told(
    conn: psycopg.Connection[Any], tmp_path: Path, with_ids: bool
) -> None:
    texts = [f"text {number % 10}" for number in range(50)]
    documents = [json.dumps({"s": text}) for text in texts]
    ids = [str(number) for number in range(50)] if with_ids else None
    labels = ["a" if number else "b" for number in range(50)]
    add_feedback(conn, TEXTS.name, FeedbackBatch(identities(documents, ids=ids), documents, labels, "test"))
    snapshot = snap(conn, tmp_path, TEXTS)
    frame = rows_of(conn, snapshot, tmp_path, TEXTS)
    assert set(frame.train.columns["s"]) & set(frame.holdout.columns["s"]) == set()
    assert len(frame.train) + len(frame.holdout) == 50
    assert [warning.partition(";")[0] for warning in snapshot.warnings] == [
        "50 rows are 10 different records",
        "1 of the records have rows with different labels",
    ]


def test_equal_rows_are_one_record_whatever_their_ids(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    store(conn, RECORDS)
    store(conn, [RECORDS[0], RECORDS[2], RECORDS[1]], first=10)
    snapshot = snap(conn, tmp_path)
    assert (snapshot.rows, snapshot.records) == (7, 5), "what holds nothing says not of whom it is"
    frame = rows_of(conn, snapshot, tmp_path)
    side = dict(zip(frame.identities, frame.split, strict=True))
    assert (side["i:0"], side["i:2"]) == (side["i:10"], side["i:11"])


def test_a_record_that_was_learned_from_under_another_identity_is_not_held_out(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    store(conn, RECORDS)
    known = [{**RECORDS[number], "weight": 9.5} for number in range(4)]
    names = [str(number) for number in range(4)]
    answers = FeedbackBatch(
        [f"p:{name}" for name in names], [json.dumps(one) for one in known], ["good"] * 4, "http",
        prediction_id=names, record_id=names,
    )  # fmt: skip
    add_feedback(conn, USE_CASE.name, answers)
    learned = Learned(frozenset({"i:1", "i:3"}))
    taken = take_snapshot(conn, USE_CASE, tmp_path, since=None, learned=learned)
    held_out = rows_of(conn, taken, tmp_path).holdout.identities
    assert {name.split(":")[1] for name in held_out} <= {"0", "2"}
    assert len(held_out) > 0


@pytest.mark.parametrize(("production", "held_out"), [(False, 30), (True, 100)])
def test_against_production_as_many_are_held_out_as_a_verdict_takes(
    conn: psycopg.Connection[Any], tmp_path: Path, production: bool, held_out: int
) -> None:
    few = USE_CASE.model_copy(
        update={"training": TrainingConfig(holdout=HoldoutConfig(min_rows=30, fraction=0.01))}
    )
    store(conn, [{"weight": number / 7, "colour": "red", "ripe": True} for number in range(400)])
    first = conn.execute("SELECT min(seq) FROM feedback").fetchone()
    assert first is not None
    since = Reach(first[0]) if production else None
    snapshot = take_snapshot(conn, few, tmp_path, since=since, learned=NOTHING_LEARNED)
    assert (snapshot.holdout_rows, few.gate.min_rows) == (held_out, 100)


def test_snapshots_without_rows_of_use_cases_with_the_same_fields_are_each_their_own(
    conn: psycopg.Connection, tmp_path: Path
) -> None:
    other = USE_CASE.model_copy(update={"name": "pears"})
    empty, others = snap(conn, tmp_path), snap(conn, tmp_path, other)
    assert [one.rows for one in (empty, others)] == [0, 0]
    assert [one.use_case for one in (empty, others)] == ["apples", "pears"]
    assert find_snapshot(conn, empty.digest).path == empty.path
    assert len(rows_of(conn, empty, tmp_path)) == 0
    store(conn, RECORDS)
    assert snap(conn, tmp_path).rows == len(RECORDS)


def test_a_snapshot_without_rows_of_an_earlier_release_is_gone_on_from(
    conn: psycopg.Connection, tmp_path: Path
) -> None:
    empty = snap(conn, tmp_path)
    earlier = Totals({}, 0, 0).digest
    conn.execute("UPDATE snapshot SET digest = %s WHERE digest = %s", (earlier, empty.digest))
    conn.commit()
    assert len(rows_of(conn, find_snapshot(conn, earlier), tmp_path)) == 0
    store(conn, RECORDS)
    assert snap(conn, tmp_path).rows == len(RECORDS)
