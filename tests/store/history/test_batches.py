"""What batches hold while others write: each row stands in the table once, as the database has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store.database.activity import oldest_open_transaction
from store.database.connection import connect
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.history import batches, delta
from store.history.batches import add_batches
from store.history.places import table_of
from store.history.reading import HistoryReader
from tests.store.history.test_cleaning import USE_CASE


def say(conn: psycopg.Connection[Any], names: str, label: str) -> None:
    documents = [json.dumps({"weight": ord(name)}) for name in names]
    identities = [f"i:{name}" for name in names]
    add_feedback(conn, USE_CASE.name, FeedbackBatch(identities, documents, [label] * len(names), "test"))
    conn.commit()


def standing(conn: psycopg.Connection[Any], home: Path) -> list[tuple[str, str]]:
    """Identity and label of the rows that stand in the table, which is brought up to date."""
    table = table_of(home, USE_CASE.name, USE_CASE.record)
    table.fill(conn, add_batches(conn, USE_CASE.name, USE_CASE.record))
    with HistoryReader(table) as reader:
        return sorted(reader.rows("SELECT identity, label FROM lines WHERE kind = 'row' AND gone_in IS NULL"))


def stored(conn: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    return conn.execute("SELECT identity, label FROM feedback ORDER BY identity").fetchall()


def interrupted(conn: psycopg.Connection[Any], at: int, do: Callable[[], None]) -> Callable[[], bool]:
    """Have something done before the statement of this number; returns what says whether it was."""
    count = 0

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, *args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                do()
            return super().execute(*args, **options)

    conn.cursor_factory = Cursor
    return lambda: count >= at


@pytest.mark.parametrize("most", [batches.MOST_ROWS, 3])
def test_a_row_that_is_corrected_between_any_two_statements_is_there_once(
    conn: psycopg.Connection[Any],
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    monkeypatch.setattr(batches, "MOST_ROWS", most)
    with connect(database_url) as other:
        say(other, "abcdefgh", "ripe")
        standing(conn, tmp_path)
        was_done, statements = True, 1
        while was_done:
            label = f"green {statements}"
            say(other, "h", label)

            def correct(label: str = label) -> None:
                say(other, "bdg", label)

            with connect(database_url) as deciding:
                done = interrupted(deciding, statements, correct)
                add_batches(deciding, USE_CASE.name, USE_CASE.record)
                deciding.commit()
                was_done = done()
            names = [name for name, _ in standing(conn, tmp_path)]
            assert names == sorted(set(names)), f"before statement {statements}"
            assert standing(conn, tmp_path) == stored(conn)
            statements += 1
    assert statements > 5


@pytest.mark.parametrize("told", ["last_change", "NULL"])
def test_a_correction_is_heard_of_by_a_clock_that_was_set_back(
    conn: psycopg.Connection[Any], tmp_path: Path, told: str
) -> None:
    """Also where a batch is of a release that did not say which change was the last."""
    say(conn, "abcd", "ripe")
    standing(conn, tmp_path)
    say(conn, "ad", "green")
    standing(conn, tmp_path)
    ahead = "at = at + interval '1 hour'"  # as if the clock had been set back by an hour since
    conn.execute(f"UPDATE history_batch SET {ahead}, settled_at = settled_at + interval '1 hour'")
    conn.execute(f"UPDATE history_batch SET last_change = {told}")
    conn.execute(f"UPDATE feedback_change SET {ahead}")
    say(conn, "bd", "green")
    say(conn, "e", "ripe")
    for _ in range(2):
        assert standing(conn, tmp_path) == stored(conn)


def test_rows_that_came_before_the_clock_was_set_back_are_there_once(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    say(conn, "ab", "ripe")
    standing(conn, tmp_path)
    say(conn, "cd", "ripe")
    ahead = "received_at = received_at + interval '2 hours'"
    conn.execute(f"UPDATE feedback SET {ahead} WHERE identity IN ('i:c', 'i:d')")
    for name in "efg":
        assert standing(conn, tmp_path) == stored(conn)
        say(conn, name, "green")
    assert standing(conn, tmp_path) == stored(conn)


def test_rows_on_their_way_while_the_clock_is_set_back_come_with_a_later_batch(
    conn: psycopg.Connection[Any], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(conn, "a", "ripe")
    standing(conn, tmp_path)
    oldest = oldest_open_transaction
    with connect(database_url) as slow, connect(database_url) as other:

        def by_a_clock_that_is_set_back_then(deciding: psycopg.Connection[Any]) -> datetime:
            settled_at = oldest(deciding) + timedelta(hours=2)
            slow.execute(
                "INSERT INTO feedback (use_case, identity, record, label) VALUES (%s, 'i:b', %s, 'ripe')",
                (USE_CASE.name, json.dumps({"weight": 98})),
            )
            say(other, "c", "ripe")
            return settled_at

        with monkeypatch.context() as patched:
            patched.setattr(batches, "oldest_open_transaction", by_a_clock_that_is_set_back_then)
            assert [name for name, _ in standing(conn, tmp_path)] == ["i:a", "i:c"]
        conn.commit()
        slow.commit()
    assert standing(conn, tmp_path) == stored(conn)
    assert len(stored(conn)) == 3


def test_what_batches_hold_that_are_settled_is_not_read_again(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    for label in ("ripe", "green"):
        say(conn, "abcd", label)
        standing(conn, tmp_path)
    conn.execute(
        "UPDATE history_batch SET rows = %(torn)s, changes = %(torn)s, gone = %(torn)s,"
        " at = at - interval '1 hour' WHERE batch < (SELECT max(batch) FROM history_batch)",
        {"torn": b"cannot be unpacked"},
    )
    say(conn, "b", "ripe")
    say(conn, "e", "green")
    assert standing(conn, tmp_path) == stored(conn)


def test_a_table_of_before_the_database_was_restored_is_made_again(
    conn: psycopg.Connection[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a dump is older than the copy of a bucket that was made after it."""
    say(conn, "abc", "ripe")
    standing(conn, tmp_path)
    for names in ("d", "ef"):
        for name in names:
            say(conn, name, "ripe")
            standing(conn, tmp_path)
        conn.execute("ALTER TABLE feedback DISABLE TRIGGER USER")
        conn.execute("DELETE FROM feedback WHERE identity = ANY(%s)", ([f"i:{name}" for name in names],))
        conn.execute("ALTER TABLE feedback ENABLE TRIGGER USER")
        conn.execute(
            "DELETE FROM history_batch WHERE batch > (SELECT max(batch) FROM history_batch) - %s",
            (len(names),),
        )
        say(conn, "xy" if names == "d" else "z", "green")
        for _ in range(2):
            assert standing(conn, tmp_path) == stored(conn)
    assert caplog.text.count("of another state of the database") == 2


def test_a_table_of_a_release_that_does_not_say_when_batches_were_decided_is_gone_on_with(
    conn: psycopg.Connection[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fill_silently(name: str) -> None:
        say(conn, name, "ripe")
        with monkeypatch.context() as earlier:
            earlier.setattr(delta, "_DECIDED", "nobody asks for this")
            standing(conn, tmp_path)

    fill_silently("a")
    say(conn, "b", "ripe")
    standing(conn, tmp_path)
    fill_silently("c")
    say(conn, "d", "ripe")
    assert standing(conn, tmp_path) == stored(conn)
    assert caplog.text == ""
    assert len(table_of(tmp_path, USE_CASE.name, USE_CASE.record).files()) == 4
