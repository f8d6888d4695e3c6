"""Rows that were on their way when a snapshot was taken come to light later, and count as new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from store.database.connection import connect
from store.drift.checks import recent_labels, recent_records
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.revisions.relabelling import RELABEL_ROWS
from store.feedback.rows import count_feedback
from store.history.batches import add_batches
from store.history.table import HistoryTable
from store.snapshots.index import Snapshot
from store.snapshots.learned_snapshots import learned_from
from store.snapshots.reach import Reach, find_reach
from store.snapshots.restoring import open_snapshot
from store.splits.taking import take_snapshot
from tests.store.splits.test_taking import USE_CASE, snap

NAME = USE_CASE.name


def send(conn: psycopg.Connection[Any], first: int, count: int, use_case: str = NAME) -> None:
    names = [f"i:{number}" for number in range(first, first + count)]
    documents = [json.dumps({"weight": number}) for number in range(first, first + count)]
    add_feedback(conn, use_case, FeedbackBatch(names, documents, ["good"] * count, "test"))


@pytest.fixture
def slow(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of which a transaction lasts until it is committed."""
    with connect(database_url) as connection:
        yield connection


@pytest.fixture
def taken(conn: psycopg.Connection[Any], slow: psycopg.Connection[Any], tmp_path: Path) -> Snapshot:
    """A snapshot that a long transaction overlaps, with rows that have lower numbers than its newest."""
    send(conn, 0, 20)
    insert(slow, 100, 5)
    insert(conn, 200, 20)
    return snap(conn, tmp_path)


def insert(conn: psycopg.Connection[Any], first: int, count: int) -> None:
    """As `send`, without its lock: others go on meanwhile."""
    for number in range(first, first + count):
        conn.execute(
            "INSERT INTO feedback (use_case, identity, record, label) VALUES (%s, %s, %s, 'good')",
            (NAME, f"i:{number}", json.dumps({"weight": number})),
        )


def test_rows_of_a_long_transaction_count_as_new(
    conn: psycopg.Connection[Any], slow: psycopg.Connection[Any], taken: Snapshot, tmp_path: Path
) -> None:
    assert find_reach(conn, [taken.digest]) == Reach(taken.last_seq)
    slow.commit()
    reach = find_reach(conn, [taken.digest])
    assert reach is not None
    assert (reach.last, len(reach.late)) == (taken.last_seq, 5)
    assert max(reach.late) < taken.last_seq
    assert count_feedback(conn, NAME, reach.last) == 0, "by their numbers alone nothing has come"
    assert count_feedback(conn, NAME, reach.last, late=sorted(reach.late)) == 5
    learned = learned_from(conn, USE_CASE, tmp_path, taken.digest)
    snapshot = take_snapshot(conn, USE_CASE, tmp_path, since=reach, learned=learned)
    later = open_snapshot(conn, USE_CASE, tmp_path, snapshot.digest)
    late = np.isin(later.seq, list(reach.late))
    assert set(later.split[late]) == {"train", "holdout"}, "they are learned from and judged on as others are"
    assert find_reach(conn, [taken.digest, later_digest(conn)]) == Reach(taken.last_seq)


def test_rows_of_a_batch_that_another_decides_meanwhile_count_as_new(
    conn: psycopg.Connection[Any],
    slow: psycopg.Connection[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send(conn, 0, 20)
    fill = HistoryTable.fill

    def overtaken(table: HistoryTable, conn: psycopg.Connection[Any], until: int) -> None:
        fill(table, conn, until)
        insert(slow, 100, 5)
        slow.commit()
        add_batches(slow, NAME, USE_CASE.record)
        slow.commit()

    monkeypatch.setattr(HistoryTable, "fill", overtaken)
    taken = snap(conn, tmp_path)
    assert taken.rows == 20
    reach = find_reach(conn, [taken.digest])
    assert reach is not None
    later = conn.execute("SELECT seq FROM feedback ORDER BY seq DESC LIMIT 5").fetchall()
    assert reach.is_beyond(np.array([seq for (seq,) in later])).all()


def later_digest(conn: psycopg.Connection[Any]) -> str:
    row = conn.execute("SELECT digest FROM snapshot ORDER BY created_at DESC LIMIT 1").fetchone()
    assert row is not None
    return str(row[0])


def test_drift_looks_at_them_too(
    conn: psycopg.Connection[Any], slow: psycopg.Connection[Any], taken: Snapshot
) -> None:
    slow.commit()
    reach = find_reach(conn, [taken.digest])
    assert reach is not None
    relabelled = {"use_case": NAME, "old": ["odd"], "new": ["fine"]}
    conn.execute("UPDATE feedback SET label = 'odd' WHERE identity = 'i:3'")
    conn.execute(RELABEL_ROWS, relabelled)
    insert(conn, 300, 1)
    records = recent_records(
        conn, NAME,
        since=taken.created_at, limit=100,
        since_seq=reach.last, late=sorted(reach.late),
    )  # fmt: skip
    seen = sorted(record["weight"] for record, _ in records)
    assert seen == [100, 101, 102, 103, 104, 300], "what was only relabelled was not seen again"


def test_drift_looks_at_labels_of_hours_that_a_clock_repeats(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    send(conn, 0, 20)
    taken = snap(conn, tmp_path)
    send(conn, 300, 800)
    ahead = "received_at = received_at - interval '2 hours'"  # the clock was set back when they came
    conn.execute(f"UPDATE feedback SET {ahead} WHERE seq > %s AND identity <> 'i:300'", (taken.last_seq,))
    correction = FeedbackBatch(["i:3"], [json.dumps({"weight": 3})], ["bad"], "test")
    add_feedback(conn, NAME, correction)
    conn.execute(RELABEL_ROWS, {"use_case": NAME, "old": ["good"], "new": ["fine"]})
    records = recent_records(conn, NAME, since=None, limit=1000, since_seq=taken.last_seq)
    assert sorted(record["weight"] for record, _ in records) == [3, *range(300, 1100)]
    labels = recent_labels(conn, NAME, limit=1000, since_seq=taken.last_seq)
    assert sorted(labels.labels) == ["bad"] + ["fine"] * 800


def test_rows_of_others_and_rows_that_were_read_are_not_late(
    conn: psycopg.Connection[Any], slow: psycopg.Connection[Any], taken: Snapshot
) -> None:
    slow.rollback()
    send(conn, 0, 20, use_case="pears")
    send(conn, 300, 3)
    assert find_reach(conn, [taken.digest]) == Reach(taken.last_seq)
    assert count_feedback(conn, NAME, taken.last_seq) == 3


def test_what_two_snapshots_have_read_together() -> None:
    old, new = Reach(10, frozenset({4, 7})), Reach(20, frozenset({7, 15}))
    assert old | new == new | old == Reach(20, frozenset({7, 15}))
    assert Reach(10) | new == Reach(20, frozenset({15}))
    assert old.is_beyond(np.array([3, 4, 10, 11])).tolist() == [False, True, False, True]


def test_no_snapshot_reaches_nowhere(conn: psycopg.Connection[Any]) -> None:
    assert find_reach(conn, []) is None


def test_one_of_an_earlier_release_reaches_up_to_its_newest_row(
    conn: psycopg.Connection[Any], slow: psycopg.Connection[Any], taken: Snapshot
) -> None:
    slow.commit()
    conn.execute("UPDATE snapshot SET settled_at = NULL")
    assert find_reach(conn, [taken.digest]) == Reach(taken.last_seq)
