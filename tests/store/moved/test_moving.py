"""Old predictions leave the database for a table, each once, killed or not; and come back as they were."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import deltalake
import psycopg
import pyarrow as pa
import pytest

from configs.schema import FieldConfig, RecordConfig
from store.errors import HistoryError, PredictionsAway
from store.moved import asking, moving
from store.moved.asking import ask_back, find_or_bring_back, still_waiting
from store.moved.bringing_back import bring_back
from store.moved.counting import count_old, whole_days
from store.moved.layout import OWN_COLUMNS
from store.moved.moving import move_old
from store.moved.places import prediction_table
from tests.store.moved.answers import (
    NOW,
    USE_CASE,
    in_tables,
    prediction_id,
    record_of,
    store_answers,
    stored,
)

DAY = timedelta(days=1)
BEFORE = NOW - 30 * DAY


@pytest.fixture
def old(conn: psycopg.Connection[Any]) -> list[str]:
    """Sixty predictions of three days, all older than `BEFORE`."""
    return [one for day in (40, 41, 42) for one in store_answers(conn, range(20), NOW - day * DAY)]


def move(conn: psycopg.Connection[Any], home: Path, most: int = 100, **changes: Any) -> int:
    return move_old(conn, home, USE_CASE.model_copy(update=changes), BEFORE, most=most)


def asked_back(conn: psycopg.Connection[Any], home: Path, ids: list[str]) -> int:
    ask_back(conn, ids)
    conn.commit()
    return bring_back(conn, home, ["plums"])


def test_old_ones_move_by_whole_days_and_young_ones_stay(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str]
) -> None:
    midnight = whole_days(BEFORE)
    young = store_answers(conn, range(3), midnight)
    (last,) = store_answers(conn, [9], midnight - timedelta(seconds=10))
    other = store_answers(conn, [90], NOW - 40 * DAY, use_case="others")
    assert count_old(conn, "plums", BEFORE) == 61
    assert move(conn, tmp_path) == 61
    assert [row["id"] for row in stored(conn)] == sorted(young + other)
    assert in_tables(tmp_path) == sorted([*old, last])
    assert count_old(conn, "plums", BEFORE) == move(conn, tmp_path) == 0
    noted = conn.execute("SELECT rows, first_id, last_id, thinned_at FROM prediction_batch ORDER BY batch")
    assert noted.fetchall() == [
        *((20, ids[0], ids[-1], None) for ids in (old[40:], old[20:40], old[:20])), (1, last, last, None)
    ]  # fmt: skip


def test_what_is_brought_back_is_what_it_was(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str]
) -> None:
    before = stored(conn)
    assert len(before) == 60
    assert {type(row["scores"]) for row in before} == {dict}
    move(conn, tmp_path)
    assert stored(conn) == []
    assert asked_back(conn, tmp_path, old[:7]) == 7
    assert stored(conn) == [row for row in before if row["id"] in old[:7]]
    assert asked_back(conn, tmp_path, old) == 60
    assert stored(conn) == before


def test_fields_are_columns_and_only_other_records_are_texts(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str]
) -> None:
    odd = [
        {"weight": "heavy", "photo": None},
        {**record_of(1), "more": [1, {"x": None}]},
        {name: value for name, value in record_of(1).items() if name != "note"},
        {**record_of(1), "Weight": 2**60 + 1},
    ]
    (plain,) = store_answers(conn, [2], NOW - 39 * DAY)
    ids = [store_answers(conn, [n], NOW - 38 * DAY, record=record)[0] for n, record in enumerate(odd)]
    before = stored(conn)
    move(conn, tmp_path)
    table = prediction_table(tmp_path, "plums", USE_CASE.record)
    lines = deltalake.DeltaTable(table.uri).to_pyarrow_table()
    assert set(lines.schema.names) == {name for name, _ in OWN_COLUMNS} | {
        "field_weight", "field_Weight__2", "field_sweet", "field_tree", "field_note", "field_picked",
        "field_photo",
    }  # fmt: skip
    by_id = {row["id"]: row for row in lines.to_pylist()}
    assert {one for one, row in by_id.items() if row["record"] is not None} == set(ids)
    assert by_id[plain]["field_weight"] == 2 / 7
    assert by_id[plain]["field_Weight__2"] == 2
    assert by_id[plain]["field_photo"] == bytes([2, 1, 2, 3])
    assert by_id[plain]["month"] == "2026-10"
    assert asked_back(conn, tmp_path, [*ids, plain, *old]) == 65
    assert stored(conn) == before


def test_predictions_of_an_earlier_configuration_are_found_in_its_table(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str]
) -> None:
    before = stored(conn)
    move(conn, tmp_path)
    later = store_answers(conn, range(3), NOW - 35 * DAY)
    other = RecordConfig(fields=(FieldConfig(name="weight", type="text"),))
    before += stored(conn, later)
    assert move(conn, tmp_path, record=other) == 3
    assert conn.execute("SELECT count(DISTINCT name) FROM prediction_batch").fetchone() == (2,)
    assert asked_back(conn, tmp_path, [*old, *later]) == 63
    assert stored(conn) == before
    assert move(conn, tmp_path, record=other) == 0, "they rest"


CHILD = """
import os, signal, sys
from pathlib import Path
from store.database.connection import connect
from store.moved import moving
from tests.store.moved.answers import USE_CASE
from tests.store.moved.test_moving import BEFORE

def die(*_args, **_more):
    os.kill(os.getpid(), signal.SIGKILL)

def dying_rows(*args):
    for number, batch in enumerate(lines(*args)):
        if number == 1:
            die()
        yield batch

lines = moving._lines
moving._CHUNK = 5
where = sys.argv[3]
if where == "between":
    moving._delete = die
elif where == "inside":
    moving.note_batch = die
else:
    moving._lines = dying_rows
with connect(sys.argv[1]) as conn:
    moving.move_old(conn, Path(sys.argv[2]), USE_CASE, BEFORE, most=100)
print("moved")
"""


@pytest.mark.parametrize(("where", "in_table"), [("writing", 0), ("between", 20), ("inside", 20)])
def test_killed_in_the_middle_none_is_lost_and_none_there_twice(
    conn: psycopg.Connection[Any],
    database_url: str,
    tmp_path: Path,
    old: list[str],
    where: str,
    in_table: int,
) -> None:
    """Killed while the table is written, before rows are deleted, and in the transaction that does."""
    before = stored(conn)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, database_url, str(tmp_path), where],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert child.returncode == -9, child.stdout + child.stderr
    assert len(in_tables(tmp_path)) == in_table
    assert stored(conn) == before, "nothing has left the database"
    assert conn.execute("SELECT count(*) FROM prediction_batch").fetchone() == (0,)
    assert move(conn, tmp_path) == 60
    assert in_tables(tmp_path) == sorted(old)
    assert stored(conn) == []
    assert conn.execute("SELECT sum(rows) FROM prediction_batch").fetchone() == (60,)
    assert asked_back(conn, tmp_path, old) == 60
    assert stored(conn) == before


def test_a_move_that_was_cut_off_is_finished_under_another_configuration(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any) -> None:
        raise psycopg.OperationalError("gone")

    with monkeypatch.context() as patched, pytest.raises(psycopg.OperationalError):
        patched.setattr(moving, "_delete", fail)
        move(conn, tmp_path)
    conn.rollback()
    other = RecordConfig(fields=(FieldConfig(name="weight", type="text"),))
    assert move(conn, tmp_path, record=other) == 60
    assert in_tables(tmp_path) == sorted(old)


def test_what_was_brought_back_or_stored_again_goes_without_being_written_twice(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str]
) -> None:
    move(conn, tmp_path)
    assert asked_back(conn, tmp_path, old[:5]) == 5
    assert move(conn, tmp_path) == 0, "they rest a day"
    conn.execute("UPDATE prediction_asked SET settled_at = settled_at - interval '25 hours'")
    store_answers(conn, range(5, 12), NOW - 40 * DAY)  # a log that was moved before, and is moved again
    (late,) = store_answers(conn, [77], NOW - 40 * DAY)
    assert move(conn, tmp_path) == 13
    assert in_tables(tmp_path) == sorted([*old, late])
    assert stored(conn) == []
    assert conn.execute("SELECT count(*) FROM prediction_asked").fetchone() == (0,)


def test_a_day_of_more_than_a_batch_moves_in_several_even_of_one_moment(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    ids = store_answers(conn, range(25), NOW - 40 * DAY)
    conn.execute("UPDATE prediction SET predicted_at = %s", (NOW - 40 * DAY,))
    conn.commit()
    assert move(conn, tmp_path, most=10) == 25
    assert in_tables(tmp_path) == sorted(ids)
    assert [row[0] for row in conn.execute("SELECT rows FROM prediction_batch ORDER BY batch")] == [10, 10, 5]


def test_only_ids_that_may_have_been_moved_are_asked_for(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str]
) -> None:
    move(conn, tmp_path)
    within = prediction_id(NOW - 40 * DAY + timedelta(seconds=3), 99)
    assert ask_back(conn, ["junk", "f" * 100, prediction_id(NOW, 1), within], "plums") == [within]
    assert ask_back(conn, [old[0]], "others") == []
    assert bring_back(conn, tmp_path, ["plums"]) == 0
    assert still_waiting(conn, [within]) == []
    assert ask_back(conn, [within]) == [within]
    assert still_waiting(conn, [within]) == [], "it was looked for a moment ago"


def test_a_table_that_is_elsewhere_is_left_to_who_has_it(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str]
) -> None:
    move(conn, tmp_path / "one")
    ask_back(conn, old[:1])
    conn.commit()
    assert bring_back(conn, tmp_path / "two", ["plums"]) == 0
    assert bring_back(conn, tmp_path / "one", ["others"]) == 0
    assert still_waiting(conn, old[:1]) == old[:1]
    store_answers(conn, range(20), NOW - 40 * DAY)
    assert move(conn, tmp_path / "two") == 0, "whether they are in the other table cannot be told"
    assert len(stored(conn)) == 20
    assert bring_back(conn, tmp_path / "one", ["plums"]) == 1
    assert still_waiting(conn, old[:1]) == []
    (tmp_path / "three").mkdir()
    (tmp_path / "one" / "predictions").rename(tmp_path / "three" / "predictions")
    assert move(conn, tmp_path / "three") == 19, "a copy is the same table; one rests"
    assert in_tables(tmp_path / "three") == sorted(old)


def test_who_asks_in_vain_is_told(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    young = store_answers(conn, [1], NOW)
    move(conn, tmp_path)
    monkeypatch.setattr(asking, "WAIT_SECONDS", 0.2)
    assert find_or_bring_back(conn, "plums", young).keys() == set(young)
    with pytest.raises(PredictionsAway, match=f"prediction '{old[0]}' is old"):
        find_or_bring_back(conn, "plums", [old[0], *young])


def test_a_damaged_table_is_told_and_nothing_is_deleted(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str]
) -> None:
    move(conn, tmp_path)
    store_answers(conn, range(3), NOW - 35 * DAY)
    table = prediction_table(tmp_path, "plums", USE_CASE.record)
    for file in Path(table.uri).rglob("*.parquet"):
        file.write_bytes(b"no Parquet")
    ask_back(conn, old[:1])
    conn.commit()
    with pytest.raises(HistoryError, match="the table of predictions at"):
        bring_back(conn, tmp_path, ["plums"])
    conn.rollback()
    for file in Path(table.uri, "_delta_log").iterdir():
        file.write_text("{")
    with pytest.raises(HistoryError, match="the table of predictions at"):
        move(conn, tmp_path)
    conn.rollback()
    assert len(stored(conn)) == 3


def test_many_small_files_are_made_one_and_ids_are_found_in_it(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    ids = [one for day in range(31, 51) for one in store_answers(conn, range(2), NOW - day * DAY)]
    before = stored(conn)
    move(conn, tmp_path)
    table = prediction_table(tmp_path, "plums", USE_CASE.record)

    def files() -> int:
        return len(pa.table(deltalake.DeltaTable(table.uri).get_add_actions(flatten=True)))

    assert files() == 20
    table.clean(conn, kept=timedelta(0))
    assert files() == len(list(Path(table.uri).rglob("month=*/*.parquet"))) < 5
    assert in_tables(tmp_path) == sorted(ids)
    assert asked_back(conn, tmp_path, ids) == 40
    assert stored(conn) == before
