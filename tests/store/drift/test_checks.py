"""Which records a drift check looks at: the newest, also of those that bear one time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from store.drift.checks import recent_records
from store.feedback.insertion import FeedbackBatch, add_feedback

NAME = "apples"
MORNING = datetime(2026, 11, 1, 8, tzinfo=UTC)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def predict(conn: psycopg.Connection, numbers: Sequence[int], at: datetime) -> None:
    """Answers of one request; rows may come to lie in the table in any order."""
    for number in np.random.default_rng(0).permutation(numbers).tolist():
        conn.execute(
            "INSERT INTO prediction (id, use_case, record, label, model_version, predicted_at)"
            " VALUES (%s, %s, %s, 'good', 1, %s)",
            (f"01a1fe1e-7758-7{number:03x}-9000-000000000000", NAME, json.dumps({"x": number}), at),
        )


def label(conn: psycopg.Connection, numbers: Sequence[int]) -> None:
    """Rows of one batch of a file."""
    names = [f"h:{number}" for number in numbers]
    documents = [json.dumps({"x": number}) for number in numbers]
    add_feedback(conn, NAME, FeedbackBatch(names, documents, ["good"] * len(numbers), "apples.csv"))


def newest(conn: psycopg.Connection, limit: int) -> list[int]:
    return [record["x"] for record, _ in recent_records(conn, NAME, since=None, limit=limit)]


@pytest.mark.parametrize("limit", [1, 30, 199])
def test_of_answers_to_one_request_the_last_are_the_newest(conn: psycopg.Connection, limit: int) -> None:
    predict(conn, range(200), NOON)
    predict(conn, range(200, 220), MORNING)
    conn.execute("ANALYZE prediction")
    assert newest(conn, limit) == list(range(200 - limit, 200))
    assert newest(conn, 205) == [*range(215, 220), *range(200)]


def test_of_the_rows_of_one_file_the_last_are_the_newest(conn: psycopg.Connection) -> None:
    label(conn, range(200))
    # A row that is written again comes to lie last in the table.
    conn.execute("UPDATE feedback SET source = 'pears.csv' WHERE seq < (SELECT min(seq) + 50 FROM feedback)")
    predict(conn, range(300, 320), MORNING)
    assert newest(conn, 30) == list(range(170, 200))
    assert newest(conn, 210) == [*range(310, 320), *range(200)]


def test_what_was_predicted_before_the_clock_was_set_back_hides_nothing_newer(
    conn: psycopg.Connection,
) -> None:
    now = datetime.now(UTC)
    predict(conn, range(200), now + timedelta(hours=2))
    predict(conn, range(300, 310), now)
    assert newest(conn, 30) == list(range(300, 310))
