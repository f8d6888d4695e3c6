"""How stored rows are read: those that are wanted, and of large ones few at a time."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import psycopg
import pytest

from features.records.contract import RecordContract
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.rows import check_versions, read_versions
from tests.store.history.test_cleaning import USE_CASE

ROWS = 2_000


@pytest.fixture
def first(conn: psycopg.Connection[Any]) -> int:
    """Number of the first of so many rows, in the middle of those of another use case."""
    for name in ("pears", USE_CASE.name, "pears"):
        names = [f"i:{place}" for place in range(ROWS)]
        records = [json.dumps({"weight": place}) for place in range(ROWS)]
        add_feedback(conn, name, FeedbackBatch(names, records, ["ripe"] * ROWS, "test"))
    row = conn.execute("SELECT min(seq) FROM feedback WHERE use_case = %s", (USE_CASE.name,)).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("step", [1, 2, 7, 900])
def test_only_rows_that_are_wanted_are_read(conn: psycopg.Connection[Any], first: int, step: int) -> None:
    read = 0

    class Cursor(psycopg.Cursor[Any]):
        def fetchall(self) -> list[Any]:
            nonlocal read
            rows = super().fetchall()
            read += len(rows)
            return rows

    conn.cursor_factory = Cursor
    wanted = np.arange(first - 3 * step, first + ROWS, step)
    found = read_versions(conn, USE_CASE.name, USE_CASE.record, wanted)
    expected = wanted[wanted >= first]
    assert [row[3] for row in found] == expected.tolist()
    versions = check_versions(RecordContract(USE_CASE.record), found)
    assert versions.rows.columns["weight"].tolist() == (expected - first).tolist()
    assert read <= 2 * len(expected)
