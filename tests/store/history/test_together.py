"""Several processes that fill, clean and prune one table at once, killed or not: each row is there once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from deltalake import DeltaTable
from deltalake.table import TableOptimizer

from configs.settings import CHECKOUT
from store.database.connection import connect
from store.errors import HistoryBusy
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.history import delta
from store.history import table as tables
from store.history.batches import Batch, add_batches
from store.history.delta import changing_alone
from store.history.forgetting import forget_rows
from store.history.places import table_of
from store.history.table import HistoryTable
from store.moved import table as moved_tables
from store.moved.moving import move_old
from store.moved.places import prediction_table
from tests.store.history.test_cleaning import USE_CASE, fill, rows_of
from tests.store.moved import answers

AGAIN = """
import sys
from pathlib import Path
from store.database.connection import connect
from store.history import table as tables
from store.history.batches import add_batches
from store.history.forgetting import forget_rows
from store.history.places import table_of
from tests.store.history.test_cleaning import USE_CASE

tables._SMALL_FILES = 3
url, home, what = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
table = table_of(home, USE_CASE.name, USE_CASE.record)
print("begun", flush=True)
while True:
    with connect(url) as conn:
        if what == "fill":
            table.fill(conn, add_batches(conn, USE_CASE.name, USE_CASE.record))
        else:
            table.clean(conn)
"""


def waits_for_lock(conn: psycopg.Connection[Any]) -> bool:
    row = conn.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
    assert row is not None
    return bool(row[0])


def test_small_files_are_made_one_by_one_process_at_a_time(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = fill(conn, tmp_path, range(4))
    monkeypatch.setattr(tables, "_SMALL_FILES", 3)
    with connect(database_url) as other, connect(database_url, autocommit=True) as looking:
        thread = threading.Thread(target=table.clean, args=(conn,))
        with changing_alone(other, f"{USE_CASE.name}/{table.layout.name}"):
            thread.start()
            until = time.monotonic() + 30
            while not waits_for_lock(looking):
                assert time.monotonic() < until, "it went ahead"
                time.sleep(0.01)
            DeltaTable(table.uri).optimize.compact()
        thread.join(30)
    assert not thread.is_alive()
    assert rows_of(table) == 12


def meanwhile(monkeypatch: pytest.MonkeyPatch, on: Any, name: str, work: Callable[[], Any]) -> None:
    """Have others, who have lost their lock, do something just before a call, once."""
    for module in (tables, moved_tables):
        monkeypatch.setattr(module, "changing_alone", lambda *_: nullcontext())
    call, left = getattr(on, name), [work]

    def called(*args: Any, **named: Any) -> Any:
        while left:
            left.pop()()
        return call(*args, **named)

    monkeypatch.setattr(on, name, called)


@pytest.mark.parametrize("when", [(TableOptimizer, "compact"), (delta, "uuid4")])
def test_rows_stay_single_where_two_make_small_files_one(
    conn: psycopg.Connection[Any],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: tuple[Any, str],
) -> None:
    table = fill(conn, tmp_path, range(4))
    monkeypatch.setattr(tables, "_SMALL_FILES", 3)
    with connect(database_url) as other:
        meanwhile(monkeypatch, *when, lambda: table.clean(other))
        table.clean(conn)
    assert rows_of(table) == 12
    assert len(table.files()) == 1
    assert table.batches() == 4


@pytest.mark.parametrize("when", [(TableOptimizer, "compact"), (delta, "uuid4")])
def test_predictions_stay_single_where_two_make_small_files_one(
    conn: psycopg.Connection[Any],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: tuple[Any, str],
) -> None:
    days = [answers.NOW - timedelta(days=day) for day in range(31, 51)]
    ids = [one for day in days for one in answers.store_answers(conn, range(2), day)]
    move_old(conn, tmp_path, answers.USE_CASE, answers.NOW - timedelta(days=30))
    table = prediction_table(tmp_path, answers.USE_CASE.name, answers.USE_CASE.record)
    with connect(database_url) as other:
        meanwhile(monkeypatch, *when, lambda: table.clean(other))
        table.clean(conn)
    assert answers.in_tables(tmp_path) == sorted(ids)
    assert len(DeltaTable(table.uri).file_uris()) < 5


def test_a_table_that_two_begin_at_once_gets_its_first_batch_once(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, records = [f"i:{one}" for one in range(3)], ['{"weight": 1}'] * 3
    add_feedback(conn, USE_CASE.name, FeedbackBatch(names, records, ["ripe"] * 3, "test"))
    until = add_batches(conn, USE_CASE.name, USE_CASE.record)
    conn.commit()
    table = table_of(tmp_path, USE_CASE.name, USE_CASE.record)
    lines, left = HistoryTable._lines, [connect(database_url)]

    def lines_meanwhile(self: HistoryTable, *args: Any) -> Any:
        while left:  # in a thread of its own: this one is Delta's
            with left.pop() as other:
                thread = threading.Thread(target=table.fill, args=(other, until))
                thread.start()
                thread.join(30)
                assert not thread.is_alive()
        yield from lines(self, *args)

    monkeypatch.setattr(tables, "changing_alone", lambda *_: nullcontext())
    monkeypatch.setattr(HistoryTable, "_lines", lines_meanwhile)
    table.fill(conn, until)
    assert rows_of(table) == 3
    assert table.batches() == 1


def empty_batch(number: int) -> Batch:
    none = np.array([], dtype=np.int64)
    return Batch(number, none, none, none, 0, answers.NOW)


def test_what_another_has_appended_is_not_appended_again(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    table = fill(conn, tmp_path, range(2))
    with pytest.raises(HistoryBusy, match="holds batch 2, not 1"):
        table._append(empty_batch(2), 1, iter(()))
    table.delete()
    with pytest.raises(HistoryBusy, match="holds batch 0, not 2"):
        table._append(empty_batch(3), 2, iter(()))
    assert table.batches() == 0


def test_moved_predictions_that_another_has_written_are_not_written_again(
    conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = answers.store_answers(conn, range(3), answers.NOW - timedelta(days=40))

    def move() -> int:
        return move_old(conn, tmp_path, answers.USE_CASE, answers.NOW - timedelta(days=30))

    def end(*_: object) -> int:
        raise InterruptedError

    with monkeypatch.context() as another:  # which has written them, and not come to delete them
        another.setattr("store.moved.moving._delete", end)
        with pytest.raises(InterruptedError):
            move()
    with monkeypatch.context() as before:  # it was looked for what is half moved
        before.setattr("store.moved.moving.finish_moves", lambda *_: 0)
        with pytest.raises(HistoryBusy, match="got batch 1 of another process"):
            move()
    conn.rollback()
    assert move() == 3
    assert answers.in_tables(tmp_path) == sorted(ids)
    assert answers.stored(conn) == []


def test_a_change_that_came_between_is_no_damage(
    conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = fill(conn, tmp_path, range(4))
    before = DeltaTable(table.uri)
    DeltaTable(table.uri).optimize.compact()
    monkeypatch.setattr(HistoryTable, "_open", lambda _: before)
    with pytest.raises(HistoryBusy):
        forget_rows(table, {1: np.array([1])})
    monkeypatch.undo()
    assert rows_of(table) == 12


def start(words: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", AGAIN, *words],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
    )


@pytest.mark.slow
@pytest.mark.faults
def test_each_row_is_there_once_whoever_is_killed(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path
) -> None:
    chance, rows = random.Random(4), 0
    for _ in range(3):
        processes = [
            start((database_url, str(tmp_path), what)) for what in ("fill", "fill", "clean", "clean")
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                process.stdout.readline()
            until = time.monotonic() + chance.uniform(2, 5)
            while time.monotonic() < until:
                batch = FeedbackBatch([f"i:{rows}"], [json.dumps({"weight": rows})], ["ripe"], "test")
                add_feedback(conn, USE_CASE.name, batch)
                conn.commit()
                rows += 1
            assert [process.poll() for process in processes] == [None] * 4
        finally:
            for process in processes:
                process.send_signal(signal.SIGKILL)
                process.communicate()
    table = table_of(tmp_path, USE_CASE.name, USE_CASE.record)
    table.fill(conn, add_batches(conn, USE_CASE.name, USE_CASE.record))
    assert rows_of(table) == rows > 0
    operations = [one["operation"] for one in DeltaTable(table.uri).history()]
    assert operations.count("OPTIMIZE") > 1
