"""Labels that are taken back are gone from the next snapshot, and lineages say so; older ones stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.snapshots.files import content_digest
from store.snapshots.restoring import open_snapshot
from store.snapshots.taken_back import TakenBack, count_gone, count_taken_back
from tests.store.splits.test_taking import RECORDS, USE_CASE, snap, store

ABSURD = {"weight": 9e9, "colour": "röd", "ripe": True, "picked": None}
NAMES = ("i:90", "i:91", "i:92")


def forget(conn: psycopg.Connection[Any], *names: str) -> None:
    take_back(conn, USE_CASE.name, LabelSelection(names), actor="ann", reason="absurd")


def label_absurd(conn: psycopg.Connection[Any], label: str = "bad") -> None:
    documents = [json.dumps(ABSURD | {"weight": 9e9 + number}) for number in range(len(NAMES))]
    add_feedback(conn, USE_CASE.name, FeedbackBatch(NAMES, documents, [label] * len(NAMES), "http"))


@pytest.fixture(autouse=True)
def rows(conn: psycopg.Connection[Any]) -> None:
    """A dozen rows that are as they should be."""
    store(conn, [RECORDS[0] | {"weight": float(number)} for number in range(12)])


def test_three_absurd_rows_are_gone_and_the_lineage_says_so(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    label_absurd(conn)
    taught = snap(conn, tmp_path)
    frame = open_snapshot(conn, USE_CASE, tmp_path, taught.digest)
    assert set(NAMES) <= set(frame.identities)
    assert count_taken_back(conn, taught.digest) == TakenBack(0, 0, 0)
    forget(conn, *NAMES)
    after = snap(conn, tmp_path)
    assert after.rows == taught.rows - 3
    assert not set(NAMES) & set(open_snapshot(conn, USE_CASE, tmp_path, after.digest).identities)
    assert after.warnings[-1] == "3 labels were taken back since the previous snapshot, and left out"
    assert count_taken_back(conn, after.digest) == TakenBack(3, 0, 0)
    learned = sum(name in frame.train.identities for name in NAMES)
    assert count_taken_back(conn, taught.digest) == TakenBack(0, learned, 3 - learned)
    assert (count_gone(conn, taught.digest), count_gone(conn, after.digest)) == (3, 0)


def test_the_snapshot_before_is_that_of_fewer_rows_though_the_clock_was_set_back(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    first = snap(conn, tmp_path)
    label_absurd(conn)
    store(conn, [RECORDS[0] | {"weight": 12.0}], first=12)
    taught = snap(conn, tmp_path)
    ahead = "UPDATE snapshot SET created_at = created_at + %s * interval '1 hour' WHERE digest = %s"
    conn.execute(ahead, (3, first.digest))
    conn.execute(ahead, (2, taught.digest))
    forget(conn, *NAMES)
    after = snap(conn, tmp_path)
    assert count_taken_back(conn, after.digest).since_previous == 3
    assert count_taken_back(conn, first.digest).since_previous == 0, "there was none before"
    assert after.taken_back == 3


def test_a_snapshot_of_before_is_made_again_as_it_was(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    label_absurd(conn)
    taught = snap(conn, tmp_path)
    before = open_snapshot(conn, USE_CASE, tmp_path, taught.digest)
    forget(conn, *NAMES)
    snap(conn, tmp_path)
    again = open_snapshot(conn, USE_CASE, tmp_path, taught.digest)
    assert content_digest(again, again.split) == content_digest(before, before.split)


def test_what_was_taken_back_in_between_or_after_is_not_told_of_the_next(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    first = snap(conn, tmp_path)
    label_absurd(conn)
    forget(conn, "i:90")
    second = snap(conn, tmp_path)
    assert second.taken_back == 0, "no version has seen it"
    forget(conn, "i:91")
    assert count_taken_back(conn, second.digest).since_previous == 0, "that was later"
    forget(conn, "i:92", "i:0")
    third = snap(conn, tmp_path)
    assert (third.taken_back, count_gone(conn, first.digest)) == (3, 1)


def test_one_that_is_given_anew_is_in_the_next(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    label_absurd(conn)
    snap(conn, tmp_path)
    forget(conn, *NAMES)
    label_absurd(conn, "good")
    after = snap(conn, tmp_path)
    assert set(NAMES) <= set(open_snapshot(conn, USE_CASE, tmp_path, after.digest).identities)
    assert after.taken_back == 3, "the labels that it had"


def test_of_a_snapshot_whose_rows_nobody_knows_any_more(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    label_absurd(conn)
    taught = snap(conn, tmp_path)
    forget(conn, *NAMES)
    after = snap(conn, tmp_path)
    conn.execute("UPDATE snapshot SET history = NULL WHERE digest = %s", (taught.digest,))
    assert count_taken_back(conn, taught.digest) == TakenBack(0, None, None)
    assert count_taken_back(conn, after.digest) == TakenBack(None, 0, 0)


def test_a_label_whose_row_was_grouped_anew_counts_as_held(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    label_absurd(conn)
    first = snap(conn, tmp_path)
    grouped = [json.dumps(ABSURD | {"weight": 9e9 + number}) for number in range(len(NAMES))]
    labels = ["bad"] * len(NAMES)
    add_feedback(conn, USE_CASE.name, FeedbackBatch(NAMES, grouped, labels, "http", record_group=["g"] * 3))
    store(conn, [RECORDS[0] | {"weight": 77.0}], first=50)
    second = snap(conn, tmp_path)
    assert second.digest != first.digest
    forget(conn, "i:90", "i:91")
    assert (count_gone(conn, first.digest), count_gone(conn, second.digest)) == (2, 2)
    assert snap(conn, tmp_path).taken_back == 2
