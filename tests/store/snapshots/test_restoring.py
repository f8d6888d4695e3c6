"""A snapshot whose file is damaged or gone comes back exactly as it was, or says why it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from configs.schema import FieldConfig, RecordConfig
from store.errors import SnapshotError
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.snapshots.files import content_digest, load_snapshot
from store.snapshots.frames import Frame
from store.snapshots.index import Snapshot, find_snapshot
from store.snapshots.learned import Learned
from store.snapshots.reach import Reach
from store.snapshots.restoring import open_snapshot, read_snapshot
from tests.store.snapshots.older import take_older
from tests.store.splits.test_taking import RECORDS, USE_CASE, store


def same(first: Frame, second: Frame) -> bool:
    return content_digest(first, first.split) == content_digest(second, second.split)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(bytes(content))


def correct(conn: psycopg.Connection, number: int, label: str, when: str | None = None) -> None:
    batch = FeedbackBatch([f"i:{number}"], [json.dumps(RECORDS[number])], [label], "test", event_time=[when])
    add_feedback(conn, USE_CASE.name, batch)


@pytest.fixture
def taken(conn: psycopg.Connection, tmp_path: Path) -> Snapshot:
    store(conn, RECORDS)
    return take_older(conn, USE_CASE, tmp_path)


@pytest.mark.parametrize("damage", ["flipped", "gone", "empty"])
def test_a_damaged_file_is_made_again(
    conn: psycopg.Connection, taken: Snapshot, tmp_path: Path, damage: str
) -> None:
    before = load_snapshot(taken.path)
    if damage == "flipped":
        flip(taken.path, taken.path.stat().st_size // 3)
    elif damage == "gone":
        taken.path.unlink()
    else:
        taken.path.chmod(0o644)
        taken.path.write_bytes(b"")
    assert same(open_snapshot(conn, USE_CASE, tmp_path, taken.digest), before)
    assert same(load_snapshot(taken.path), before), "the file too"
    assert taken.path.stat().st_mode & 0o222 == 0
    assert [path.name for path in taken.path.parent.iterdir()] == [taken.path.name]


def test_who_must_not_write_gets_the_rows_and_leaves_the_damage(
    conn: psycopg.Connection, taken: Snapshot, tmp_path: Path
) -> None:
    before = load_snapshot(taken.path)
    assert same(read_snapshot(conn, USE_CASE, tmp_path, taken.digest), before)
    taken.path.unlink()
    conn.execute("SET default_transaction_read_only = on")
    assert same(read_snapshot(conn, USE_CASE, tmp_path, taken.digest), before)
    assert list(taken.path.parent.iterdir()) == []


def test_no_flipped_byte_goes_unnoticed(conn: psycopg.Connection, taken: Snapshot, tmp_path: Path) -> None:
    whole, before = taken.path.read_bytes(), load_snapshot(taken.path)
    for place in range(0, len(whole), 37):
        flip(taken.path, place)
        assert same(open_snapshot(conn, USE_CASE, tmp_path, taken.digest), before), place


def test_rows_that_were_corrected_or_came_since_are_not_in_it(
    conn: psycopg.Connection, taken: Snapshot, tmp_path: Path
) -> None:
    before = load_snapshot(taken.path)
    correct(conn, 1, "bad", when="2001-01-01T00:00:00Z")
    correct(conn, 1, "good", when="2002-01-01T00:00:00Z")
    correct(conn, 3, "bad")
    store(conn, RECORDS, first=10)
    taken.path.unlink()
    assert same(open_snapshot(conn, USE_CASE, tmp_path, taken.digest), before)


def test_a_row_that_came_late_with_a_lower_number_is_not_in_it(
    conn: psycopg.Connection, taken: Snapshot, tmp_path: Path
) -> None:
    """Numbers are given before the rows can be seen: a snapshot may have missed one below its newest."""
    before = load_snapshot(taken.path)
    conn.execute(
        "INSERT INTO feedback (use_case, identity, seq, record, label) VALUES (%s, 'late', -5, %s, 'good')",
        (USE_CASE.name, json.dumps(RECORDS[0])),
    )
    taken.path.unlink()
    assert same(open_snapshot(conn, USE_CASE, tmp_path, taken.digest), before)


def test_the_split_is_that_of_then(conn: psycopg.Connection, tmp_path: Path) -> None:
    store(conn, RECORDS)
    held_out = load_snapshot(take_older(conn, USE_CASE, tmp_path).path).holdout.identities
    learned = Learned(frozenset(held_out[:1]))
    taken = take_older(conn, USE_CASE, tmp_path, since=Reach(1), learned=learned)
    before = load_snapshot(taken.path)
    assert before.split.tolist() != load_snapshot(take_older(conn, USE_CASE, tmp_path).path).split.tolist()
    taken.path.unlink()
    assert open_snapshot(conn, USE_CASE, tmp_path, taken.digest).split.tolist() == before.split.tolist()


def test_one_that_lay_in_another_home_is_made_again_here(
    conn: psycopg.Connection, taken: Snapshot, tmp_path: Path
) -> None:
    taken.path.unlink()
    frame = open_snapshot(conn, USE_CASE, tmp_path / "moved", taken.digest)
    path = find_snapshot(conn, taken.digest).path
    assert path.is_relative_to(tmp_path / "moved")
    assert same(load_snapshot(path), frame)


def test_of_an_earlier_ratchet_the_rows_are_noted_when_it_is_read(
    conn: psycopg.Connection, taken: Snapshot, tmp_path: Path
) -> None:
    conn.execute("UPDATE snapshot SET contents = NULL")
    before = open_snapshot(conn, USE_CASE, tmp_path, taken.digest)
    taken.path.unlink()
    assert same(open_snapshot(conn, USE_CASE, tmp_path, taken.digest), before)
    conn.execute("UPDATE snapshot SET contents = NULL")
    taken.path.unlink()
    with pytest.raises(SnapshotError, match="before the database kept which rows"):
        open_snapshot(conn, USE_CASE, tmp_path, taken.digest)


def test_what_cannot_be_made_again_says_why(
    conn: psycopg.Connection, taken: Snapshot, tmp_path: Path
) -> None:
    taken.path.unlink()
    record = RecordConfig(
        fields=(*USE_CASE.record.fields, FieldConfig(name="size", type="number", nullable=True))
    )
    with pytest.raises(SnapshotError, match="the fields of the use case, were changed"):
        open_snapshot(conn, USE_CASE.model_copy(update={"record": record}), tmp_path, taken.digest)
    conn.execute("DELETE FROM feedback WHERE identity = 'i:2'")
    with pytest.raises(SnapshotError, match="1 of its 4 rows are not in the database"):
        open_snapshot(conn, USE_CASE, tmp_path, taken.digest)
    with pytest.raises(SnapshotError, match="no snapshot has the digest"):
        open_snapshot(conn, USE_CASE, tmp_path, "0" * 64)
