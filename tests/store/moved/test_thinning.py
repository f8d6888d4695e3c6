"""What is old in a table goes by whole batches; what has a label stays, until that is taken back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.moved.asking import ask_back
from store.moved.bringing_back import bring_back
from store.moved.moving import move_old
from store.moved.thinning import thin_old
from tests.store.moved.answers import NOW, USE_CASE, in_tables, store_answers, stored

DAY = timedelta(days=1)


def label(conn: psycopg.Connection[Any], ids: list[str]) -> None:
    names = [f"p:{one}" for one in ids]
    add_feedback(
        conn, "plums", FeedbackBatch(names, ["{}"] * len(ids), ["ripe"] * len(ids), "http", prediction_id=ids)
    )
    conn.commit()


def thin(conn: psycopg.Connection[Any], home: Path, days: int, *, dry_run: bool = False) -> int:
    return thin_old(conn, home, "plums", NOW - days * DAY, dry_run=dry_run)


def test_unlabelled_ones_go_batch_by_batch(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    days = {day: store_answers(conn, range(6), NOW - day * DAY) for day in (60, 50, 40)}
    kept = [days[60][1], days[60][4], days[40][0]]
    label(conn, kept)
    before = stored(conn)
    assert move_old(conn, tmp_path, USE_CASE, NOW - 30 * DAY) == 18
    assert thin(conn, tmp_path, 61) == 0
    assert thin(conn, tmp_path, 45, dry_run=True) == 10
    assert len(in_tables(tmp_path)) == 18
    assert thin(conn, tmp_path, 45) == 10
    assert in_tables(tmp_path) == sorted([*kept, *days[40][1:]])
    rows = conn.execute("SELECT rows, thinned_at IS NOT NULL FROM prediction_batch ORDER BY batch")
    assert rows.fetchall() == [(2, True), (0, True), (6, False)]
    assert thin(conn, tmp_path, 45) == 0
    assert ask_back(conn, days[50]) == [], "none of that day is there"
    ask_back(conn, [*days[60], *days[40]])
    conn.commit()
    assert bring_back(conn, tmp_path, ["plums"]) == 8
    left = {*kept, *days[40]}
    assert stored(conn) == [row for row in before if row["id"] in left]


def test_when_its_label_is_taken_back_it_goes_too(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    ids = store_answers(conn, range(4), NOW - 60 * DAY)
    label(conn, ids[:2])
    move_old(conn, tmp_path, USE_CASE, NOW - 30 * DAY)
    assert thin(conn, tmp_path, 45) == 2
    take_back(conn, "plums", LabelSelection((ids[0],)), actor="ann", reason="wrong")
    conn.commit()
    assert thin(conn, tmp_path, 45) == 1
    assert in_tables(tmp_path) == [ids[1]]


def test_a_label_that_is_taken_back_after_the_clock_was_set_back_counts(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    ids = store_answers(conn, range(4), NOW - 60 * DAY)
    label(conn, ids[:1])
    move_old(conn, tmp_path, USE_CASE, NOW - 30 * DAY)
    assert thin(conn, tmp_path, 45) == 3
    conn.execute("UPDATE prediction_batch SET thinned_at = thinned_at + interval '2 hours'")
    take_back(conn, "plums", LabelSelection((ids[0],)), actor="ann", reason="wrong")
    conn.commit()
    assert thin(conn, tmp_path, 45) == 1
    assert in_tables(tmp_path) == []


def test_a_table_that_is_elsewhere_is_left(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    store_answers(conn, range(4), NOW - 60 * DAY)
    move_old(conn, tmp_path / "one", USE_CASE, NOW - 30 * DAY)
    assert thin(conn, tmp_path / "two", 45) == 0
    assert thin(conn, tmp_path / "one", 45) == 4
    assert in_tables(tmp_path / "one") == []
