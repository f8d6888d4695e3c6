"""Who asks waits for nobody else's table, and what a table has lost is not told as what never was."""

from __future__ import annotations

import shutil
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store.database.connection import connect
from store.errors import HistoryError
from store.moved import bringing_back as module
from store.moved import finding
from store.moved.asking import KNOWN_SECONDS, ask_back, still_waiting
from store.moved.bringing_back import bring_back
from store.moved.moving import move_old
from tests.store.moved.answers import NOW, USE_CASE, prediction_id, store_answers, stored

THEN = NOW - timedelta(days=40)
BEFORE = NOW - timedelta(days=30)
OTHER = USE_CASE.model_copy(update={"name": "others"})


def test_who_asks_does_not_wait_for_a_worker_that_reads_a_slow_table(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = store_answers(conn, range(3), THEN)
    move_old(conn, tmp_path, USE_CASE, BEFORE)
    ask_back(conn, ids[:2])
    conn.commit()
    find, reads, goes_on = finding.find_moved, threading.Event(), threading.Event()

    def slowly(*asked: Any) -> Any:
        reads.set()
        assert goes_on.wait(30)
        return find(*asked)

    def work() -> None:
        with connect(database_url) as own:
            bring_back(own, tmp_path, ["plums"])

    monkeypatch.setattr(module, "find_moved", slowly)
    worker = threading.Thread(target=work)
    worker.start()
    assert reads.wait(30)
    try:
        conn.execute("SET statement_timeout = '5s'")
        assert ask_back(conn, ids) == ids
        conn.commit()
        assert sorted(still_waiting(conn, ids)) == ids
    finally:
        goes_on.set()
        worker.join(30)
    assert still_waiting(conn, ids) == ids[2:]
    conn.commit()
    assert bring_back(conn, tmp_path, ["plums"]) == 1
    assert [row["id"] for row in stored(conn)] == ids


def test_a_damaged_table_of_one_use_case_keeps_nothing_of_another(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    damaged = store_answers(conn, range(3), THEN)
    whole = store_answers(conn, range(10, 13), THEN, use_case="others")
    for use_case in (USE_CASE, OTHER):
        move_old(conn, tmp_path, use_case, BEFORE)
    logs = list((tmp_path / "predictions" / "plums").rglob("*.json"))
    for log in logs:
        log.write_bytes(b"")
    ask_back(conn, [*damaged, *whole])
    conn.commit()
    with pytest.raises(HistoryError, match=r"the table of predictions at .*plums"):
        bring_back(conn, tmp_path, ["plums", "others"])
    assert [row["id"] for row in stored(conn)] == whole
    assert sorted(still_waiting(conn, [*damaged, *whole])) == damaged


def test_a_table_that_has_lost_a_batch_leaves_its_predictions_asked_for(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """As one that is back from an older backup: to say that there is no such prediction would be wrong."""
    kept = store_answers(conn, range(3), THEN)
    move_old(conn, tmp_path, USE_CASE, BEFORE)
    shutil.copytree(tmp_path / "predictions", tmp_path / "backup")
    lost = store_answers(conn, range(3), THEN + timedelta(days=1))
    move_old(conn, tmp_path, USE_CASE, BEFORE)
    shutil.rmtree(tmp_path / "predictions")
    (tmp_path / "backup").rename(tmp_path / "predictions")
    ask_back(conn, [*kept, *lost])
    conn.commit()
    assert bring_back(conn, tmp_path, ["plums"]) == 3
    assert [row["id"] for row in stored(conn)] == kept
    assert sorted(still_waiting(conn, [*kept, *lost])) == lost


def test_what_is_given_up_while_another_waits_is_not_told_as_what_never_was(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """Whoever asks again waits for what was asked for by the first, whose patience has run out."""
    ids = store_answers(conn, range(2), THEN)
    move_old(conn, tmp_path, USE_CASE, BEFORE)
    ask_back(conn, ids)
    conn.execute("UPDATE prediction_asked SET asked_at = now() - interval '59 s'")
    conn.commit()
    assert ask_back(conn, ids) == ids
    conn.execute("UPDATE prediction_asked SET asked_at = asked_at - interval '2 s'")  # by now
    conn.commit()
    (tmp_path / "predictions").rename(tmp_path / "away")
    assert bring_back(conn, tmp_path, ["plums"]) == 0
    assert still_waiting(conn, ids) == ids
    (tmp_path / "away").rename(tmp_path / "predictions")
    ask_back(conn, ids)
    conn.commit()
    assert bring_back(conn, tmp_path, ["plums"]) == 2
    assert still_waiting(conn, ids) == []


def test_ids_that_are_made_up_are_forgotten_soon(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    ids = store_answers(conn, range(2), THEN)
    move_old(conn, tmp_path, USE_CASE, BEFORE)
    made_up = [prediction_id(THEN + timedelta(milliseconds=500), number) for number in range(50)]
    ask_back(conn, [*ids, *made_up])
    conn.commit()
    assert bring_back(conn, tmp_path, ["plums"]) == 2
    assert conn.execute("SELECT count(*) FROM prediction_asked").fetchone() == (52,)
    conn.execute(
        "UPDATE prediction_asked SET settled_at = settled_at - make_interval(secs => %s)", (KNOWN_SECONDS,)
    )
    assert bring_back(conn, tmp_path, ["plums"]) == 0
    left = conn.execute("SELECT id FROM prediction_asked ORDER BY id").fetchall()
    assert [row[0] for row in left] == ids
