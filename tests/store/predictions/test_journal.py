"""What is appended reaches the table once, whatever dies on the way."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import orjson
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from store.predictions import journal as journal_module
from store.predictions.journal import (
    REJECTED,
    Journal,
    escape,
    lock_abandoned_folders,
    move_file,
    move_folder,
)

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20)


def line(name: str, record: Any = None, label: str = "a", record_id: str | None = None) -> bytes:
    document = escape(orjson.dumps({"note": "x"} if record is None else record))
    own = b"\\N" if record_id is None else escape(record_id.encode())
    return b"\t".join(
        [name.encode(), b"case", own, document, escape(label.encode()), b"0.5", b'{"a":0.5}', b"3", b"model",
         b"2024-05-17T09:30:00+00:00"]
    ) + b"\n"  # fmt: skip


def stored(conn: psycopg.Connection) -> list[str]:
    return [row[0] for row in conn.execute("SELECT id FROM prediction ORDER BY id")]


def move_all(conn: psycopg.Connection, journal: Journal) -> int:
    journal.rotate()
    return sum(move_file(conn, path) for path in journal.closed_files())


def test_lines_become_rows_and_the_files_go(conn: psycopg.Connection, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(line("1") + line("2"))
    journal.append(line("3"))
    assert journal.backlog_bytes() == 3 * len(line("1"))
    assert move_all(conn, journal) == 3
    assert stored(conn) == ["1", "2", "3"]
    assert journal.backlog_bytes() == 0
    journal.close()
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(note=TEXT, label=TEXT, own_id=TEXT)
def test_any_text_survives(
    conn: psycopg.Connection, tmp_path: Path, note: str, label: str, own_id: str
) -> None:
    conn.execute("TRUNCATE prediction")
    journal = Journal(tmp_path)
    journal.append(line("1", {"note": note}, label, own_id))
    move_all(conn, journal)
    journal.close()
    row = conn.execute("SELECT record->>'note', label, record_id FROM prediction").fetchone()
    assert row == (note, label, own_id)


def test_files_change_over_when_they_are_full(conn: psycopg.Connection, tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_file_bytes=300)
    for number in range(20):
        journal.append(line(f"{number:02d}"))
    assert len(journal.closed_files()) > 1
    move_all(conn, journal)
    assert len(stored(conn)) == 20
    journal.close()


def test_a_file_that_is_begun_during_a_look_is_not_moved_before_it_is_full(
    conn: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, max_file_bytes=300)
    journal.append(line("1"))
    look = journal_module._files

    def fills_meanwhile(folder: Path) -> list[Path]:
        for number in range(2, 6):
            journal.append(line(f"{number}"))
        return look(folder)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(journal_module, "_files", fills_meanwhile)
        closed = journal.closed_files()
    for path in closed:
        move_file(conn, path)
    journal.append(line("6"))
    move_all(conn, journal)
    assert stored(conn) == ["1", "2", "3", "4", "5", "6"]
    journal.close()


def test_nothing_is_written_behind_a_torn_line_that_cannot_be_cut_off(
    conn: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, write = Journal(tmp_path), os.write
    journal.append(line("1"))

    def tear(file: int, lines: bytes) -> int:
        return write(file, lines[: len(lines) // 2])

    def fail(*_given: Any, **_named: Any) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "ftruncate", fail)
        broken.setattr(Journal, "_open", fail)
        with monkeypatch.context() as full:
            full.setattr(os, "write", tear)
            with pytest.raises(OSError, match="No space left"):
                journal.append(line("2"))
        with pytest.raises(OSError, match="cannot be cut off"):
            journal.append(line("3"))
    journal.append(line("4"))
    assert move_all(conn, journal) == 2
    assert stored(conn) == ["1", "4"]
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_moving_a_file_again_adds_nothing(conn: psycopg.Connection, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(line("1") + line("2"))
    journal.rotate()
    copy = journal.closed_files()[0].read_bytes()
    move_all(conn, journal)
    journal.append(copy + line("3"))
    assert move_all(conn, journal) == 1
    assert stored(conn) == ["1", "2", "3"]
    journal.close()


def test_a_torn_last_line_is_left_out(conn: psycopg.Connection, tmp_path: Path) -> None:
    path = tmp_path / "x" / "00000000.copy"
    path.parent.mkdir()
    path.write_bytes(line("1") + line("2")[:40])
    assert move_file(conn, path) == 1
    assert stored(conn) == ["1"]


@pytest.mark.parametrize("broken", [b"nonsense\n", line("bad").replace(b'"x"', b'"\\\\u0000"')])
def test_a_broken_line_is_set_aside_and_holds_nothing_back(
    conn: psycopg.Connection, tmp_path: Path, broken: bytes
) -> None:
    journal = Journal(tmp_path)
    journal.append(b"".join(line(f"{number}") for number in range(5)) + broken + line("7"))
    assert move_all(conn, journal) == 6
    assert stored(conn) == ["0", "1", "2", "3", "4", "7"]
    assert (tmp_path / REJECTED).read_bytes() == broken
    journal.close()


def test_lines_of_an_earlier_release_lack_the_newer_columns(conn: psycopg.Connection, tmp_path: Path) -> None:
    grouped = line("2").rstrip(b"\n") + b"\tcustomer 7\n"
    for number, lines in enumerate([line("1"), grouped]):
        journal = Journal(tmp_path / str(number))
        journal.append(lines)
        assert move_all(conn, journal) == 1
        journal.close()
    rows = conn.execute("SELECT id, record_group FROM prediction ORDER BY id").fetchall()
    assert rows == [("1", None), ("2", "customer 7")]


def test_what_a_killed_process_wrote_is_taken_over(conn: psycopg.Connection, tmp_path: Path) -> None:
    code = f"""
        import os, signal
        from pathlib import Path
        from store.predictions.journal import Journal
        journal = Journal(Path({str(tmp_path)!r}))
        journal.append({line("1")!r})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False, timeout=60)
    mine = Journal(tmp_path)
    mine.append(line("2"))
    moved = 0
    for folder, lock in lock_abandoned_folders(tmp_path):
        moved += move_folder(conn, folder)
        os.close(lock)
    assert moved == 1
    assert stored(conn) == ["1"], "a folder whose owner lives is left alone"
    mine.close()


def test_a_write_that_does_not_fit_leaves_nothing(conn: psycopg.Connection, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(line("1"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(line("1")) + 10, before[1]))
    try:
        with pytest.raises(OSError):
            journal.append(line("2"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    journal.append(line("3"))
    move_all(conn, journal)
    assert stored(conn) == ["1", "3"]
    journal.close()


def test_the_database_going_away_keeps_the_file(database_url: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(line("1"))
    journal.rotate()
    with psycopg.connect(database_url, autocommit=True) as conn:
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (conn.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            move_file(conn, journal.closed_files()[0])
    assert journal.backlog_bytes() == len(line("1"))
    journal.close()
