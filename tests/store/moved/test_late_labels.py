"""Labels for moved answers by the other ways: a file of audits, and items that are tried again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from features.errors import RefusedRow
from store.database.connection import connect
from store.errors import PredictionsAway
from store.ingest.answer_labels import label_answers
from store.ingest.retrying import retry_rows
from store.moved import asking
from store.moved.bringing_back import bring_back
from store.moved.moving import move_old
from store.quarantine.rows import quarantine
from tests.store.moved.answers import NOW, USE_CASE, store_answers


@pytest.fixture
def moved(conn: psycopg.Connection[Any], tmp_path: Path) -> list[str]:
    """Four answers in the table."""
    ids = store_answers(conn, range(1, 5), NOW - timedelta(days=40))
    assert move_old(conn, tmp_path, USE_CASE, NOW - timedelta(days=30)) == 4
    return ids


@contextmanager
def a_worker(url: str, home: Path) -> Iterator[None]:
    """Brings back what is asked for."""
    done = threading.Event()

    def work() -> None:
        with connect(url) as conn:
            while not done.wait(0.05):
                bring_back(conn, home, ["plums"])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(20)


def labels(conn: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    rows = conn.execute("SELECT prediction_id, label, record->>'tree' FROM feedback ORDER BY 1").fetchall()
    conn.commit()
    return rows


def test_a_file_of_audits(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path, moved: list[str]
) -> None:
    file = tmp_path / "audits.csv"
    file.write_text("prediction_id,label\n" + "".join(f"{one},green\n" for one in [*moved[:2], "none"]))
    with a_worker(database_url, tmp_path):
        report = label_answers(conn, USE_CASE, file)
    assert (report.new, sorted(report.rejected)) == (2, [4])
    assert labels(conn) == [(moved[0], "green", "pfel"), (moved[1], "green", "fel")]


def test_items_that_are_tried_again(
    conn: psycopg.Connection[Any],
    database_url: str,
    tmp_path: Path,
    moved: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item = {"prediction_id": moved[2], "label": "green"}
    quarantine(conn, "plums", "http", [RefusedRow(None, "label: was not allowed", item, "item")])
    conn.commit()
    with monkeypatch.context() as patched:
        patched.setattr(asking, "WAIT_SECONDS", 0.2)
        with pytest.raises(PredictionsAway, match="no worker that has the table"):
            retry_rows(conn, USE_CASE)
        conn.rollback()
    assert labels(conn) == []
    with a_worker(database_url, tmp_path):
        report = retry_rows(conn, USE_CASE)
    assert (report.new, report.refused) == (1, 0)
    assert labels(conn) == [(moved[2], "green", "el")]
