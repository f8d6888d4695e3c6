"""The inbox: what is read, what is refused, and what stays where it is."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.schema import FieldConfig, FilesConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from configs.settings import read_settings
from flows import inbox as steps
from flows.context import LoopContext
from flows.inbox import read_inbox
from flows.inbox_files import inbox_folder, is_empty, list_inbox, make_inbox
from models.production.registry import Registry
from store.errors import DatabaseUnavailable
from store.ingest.files import ingest_file
from tests.disks import fill, small_disk

APPLES = UseCase(
    name="apples",
    title="Apples",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
    files=FilesConfig(rest_seconds=0, open_end_seconds=0),
)
ROWS = "weight,label\n120,small\n240,large\n"


def context_of(home: Path, url: str, use_case: UseCase = APPLES) -> LoopContext:
    settings = read_settings({"RATCHET_HOME": str(home)})
    return LoopContext(settings, use_case, url, Registry("http://127.0.0.1:1"))


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = make_inbox(tmp_path, APPLES.name)
    assert folder == inbox_folder(tmp_path, APPLES.name)
    (folder / "rows.csv").write_text(ROWS, encoding="utf-8")
    return folder


def test_a_file_is_read_once_and_one_that_cannot_be_read_is_set_aside_with_the_reason(
    inbox: Path, database_url: str, tmp_path: Path
) -> None:
    (inbox / "other.csv").write_text("colour\nred\n", encoding="utf-8")
    report = read_inbox(context_of(tmp_path, database_url))
    assert [file.rows for file in report.read] == [2]
    assert list(report.refused) == ["other.csv"]
    assert files_of(inbox) == ["done/rows.csv", "refused/other.csv", "refused/other.csv.reason.txt"]
    why = (inbox / "refused" / "other.csv.reason.txt").read_text(encoding="utf-8")
    assert "columns 'weight', 'label' missing; present: 'colour'" in why
    assert not (inbox / "refused" / "other.csv.reason.txt").stat().st_mode & 0o077


def test_a_file_that_was_set_aside_is_told_so_where_its_reason_cannot_be_written(
    inbox: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (inbox / "other.csv").write_text("colour\nred\n", encoding="utf-8")
    monkeypatch.setattr(steps, "note_reason", full)
    report = read_inbox(context_of(tmp_path, database_url))
    assert report.left == {}
    assert report.refused["other.csv"].endswith(
        "present: 'colour'; that cannot be written beside it in refused/: No space left on device"
    )
    assert files_of(inbox) == ["done/rows.csv", "refused/other.csv"]


def test_with_the_database_away_a_file_is_not_refused_but_waits(inbox: Path, tmp_path: Path) -> None:
    away = "postgresql://ratchet@127.0.0.1:1/ratchet"
    with pytest.raises(DatabaseUnavailable):
        read_inbox(context_of(tmp_path, away))
    assert files_of(inbox) == ["rows.csv"]


def test_every_name_is_read_or_told(inbox: Path, database_url: str, tmp_path: Path) -> None:
    (inbox / "EXPORT.CSV").write_text(ROWS, encoding="utf-8")
    (inbox / "A.json").write_text('[{"weight": 1, "label": "a"}]', encoding="utf-8")
    (inbox / "notes.docx").write_bytes(b"PK\x03\x04")
    (inbox / "empty.csv").touch()
    (inbox / "no-extension").write_text(ROWS, encoding="utf-8")
    (inbox / os.fsdecode(b"\xff.csv")).write_text(ROWS, encoding="utf-8")
    (inbox / "nowhere.csv").symlink_to(tmp_path / "nowhere.csv")
    os.mkfifo(inbox / "pipe.csv")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(inbox / "socket.csv"))
    bound.close()
    (inbox / "folder.csv").mkdir()
    for name in ("rows.csv.part", ".rows.csv", "rows.tmp"):
        (inbox / name).write_text(ROWS, encoding="utf-8")
    report = read_inbox(context_of(tmp_path, database_url))
    assert sorted(file.file for file in report.read) == ["A.json", "EXPORT.CSV", "rows.csv", "\ufffd.csv"]
    assert {name: why.rpartition(": ")[2] for name, why in report.refused.items()} == {
        "notes.docx": "unknown kind of file; allowed: .csv, .csv.gz, .json, .json.gz, .jsonl, .jsonl.gz, "
        ".ndjson, .ndjson.gz, .parquet, .tsv, .tsv.gz".rpartition(": ")[2],
        "no-extension": ".csv, .csv.gz, .json, .json.gz, .jsonl, .jsonl.gz, .ndjson, .ndjson.gz, .parquet, "
        ".tsv, .tsv.gz",
        "empty.csv": "a line with the names of the columns, then rows",
        "nowhere.csv": "No such file or directory",
        "pipe.csv": "a regular file",
        "socket.csv": "a regular file",
    }
    assert set(report.left) == {"folder.csv", "rows.csv.part", ".rows.csv", "rows.tmp"}
    assert "a folder" in report.left["folder.csv"]


def test_it_is_empty_with_what_it_has_of_itself_only(inbox: Path, database_url: str, tmp_path: Path) -> None:
    assert not is_empty(inbox)
    (inbox / "other.csv").write_text("colour\nred\n", encoding="utf-8")
    read_inbox(context_of(tmp_path, database_url))
    assert (inbox / "done").is_dir() and (inbox / "refused").is_dir()
    assert is_empty(inbox)
    (inbox / ".hidden.csv").touch()
    assert not is_empty(inbox), "what stays is told"
    (inbox / ".hidden.csv").unlink()
    (inbox / "done" / "rows.csv").unlink()
    (inbox / "done").rmdir()
    (inbox / "done").write_text(ROWS, encoding="utf-8")
    assert not is_empty(inbox), "a file of that name is somebody's"


def test_the_same_name_again_is_read_and_kept_beside(inbox: Path, database_url: str, tmp_path: Path) -> None:
    context = context_of(tmp_path, database_url)
    read_inbox(context)
    (inbox / "rows.csv").write_text("weight,label\n7,small\n", encoding="utf-8")
    assert [file.new for file in read_inbox(context).read] == [1]
    assert files_of(inbox) == ["done/rows.csv", "done/rows.csv.1"]


def test_a_file_that_breaks_a_reader_is_set_aside_and_the_next_is_read(
    inbox: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    (inbox / "later.csv").write_text(ROWS, encoding="utf-8")
    os.utime(inbox / "rows.csv", (1, 1))

    def breaking(conn: psycopg.Connection[Any], use_case: UseCase, path: Path, *, door: str) -> Any:
        if path.name == "rows.csv":
            raise AssertionError("nobody thought of this")
        return ingest_file(conn, use_case, path, door=door)

    monkeypatch.setattr(steps, "ingest_file", breaking)
    report = read_inbox(context_of(tmp_path, database_url))
    assert [file.file for file in report.read] == ["later.csv"]
    assert report.refused["rows.csv"].startswith(
        "rows.csv: unexpected AssertionError: nobody thought of this"
    )
    assert "Traceback" in caplog.text
    assert "Traceback" not in (inbox / "refused" / "rows.csv.reason.txt").read_text(encoding="utf-8")


def test_a_read_only_database_is_waited_for(
    inbox: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: Any, door: str) -> Any:
        assert door == "inbox"
        raise psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction")

    monkeypatch.setattr(steps, "ingest_file", refusing)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        read_inbox(context_of(tmp_path, database_url))
    assert files_of(inbox) == ["rows.csv"]


def test_a_file_that_is_held_open_for_writing_stays_until_it_is_closed(
    inbox: Path, database_url: str, tmp_path: Path
) -> None:
    context = context_of(tmp_path, database_url)
    with (inbox / "rows.csv").open("a", encoding="utf-8") as writer:
        report = read_inbox(context)
        assert report.left == {
            "rows.csv": f"process {os.getpid()} holds it open for writing; it is read once it is closed"
        }
        writer.write("7,small\n")
    with (inbox / "rows.csv").open(encoding="utf-8"):  # a reader is no writer
        assert [file.rows for file in read_inbox(context).read] == [3]


def test_a_file_that_grows_rests_first(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, copy = inbox / "rows.csv", inbox.parent / "rows.csv"
    ended = threading.Event()

    def grow() -> None:
        rows = path.read_text(encoding="utf-8")
        while not ended.wait(0.05):
            rows += "7,small\n"
            copy.write_text(rows, encoding="utf-8")
            os.utime(copy, (1, 1))  # as a copy that keeps its times
            copy.replace(path)  # so that nobody is seen to hold it open

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        listing = list_inbox(inbox, 0.5)
    finally:
        ended.set()
        writer.join()
    assert listing.files == ()
    assert listing.left["rows.csv"].startswith("changed within 0.5 seconds")
    slept: list[float] = []
    monkeypatch.setattr("flows.inbox_files.time.sleep", slept.append)
    assert list_inbox(inbox, 0.5).files == (path,)
    assert sum(slept) <= 0.5


def test_a_file_that_changes_while_it_is_read_is_read_again(
    inbox: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def growing(conn: psycopg.Connection[Any], use_case: UseCase, path: Path, *, door: str) -> Any:
        report = ingest_file(conn, use_case, path, door=door)
        with path.open("a", encoding="utf-8") as file:
            file.write("7,small\n")
        return report

    context = context_of(tmp_path, database_url)
    monkeypatch.setattr(steps, "ingest_file", growing)
    assert "changed while it was read" in read_inbox(context).left["rows.csv"]
    assert files_of(inbox) == ["rows.csv"]
    monkeypatch.undo()
    assert [(file.rows, file.new) for file in read_inbox(context).read] == [(3, 1)]


def test_a_file_that_ends_the_process_is_set_aside_after_three_times(
    inbox: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(tmp_path, database_url)
    os.utime(inbox / "rows.csv", (1, 1))
    (inbox / "later.csv").write_text(ROWS, encoding="utf-8")
    monkeypatch.setattr(steps, "ingest_file", lambda *_, **__: os._exit(11))
    for _ in range(3):
        process = os.fork()
        if process == 0:
            read_inbox(context)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 11
    monkeypatch.undo()
    report = read_inbox(context)
    assert report.refused == {
        "rows.csv": "rows.csv: reading it ended the process 3 times, by a crash or for want of memory"
    }
    assert [file.file for file in report.read] == ["later.csv"]
    assert files_of(inbox) == ["done/later.csv", "refused/rows.csv", "refused/rows.csv.reason.txt"]


@pytest.mark.parametrize(
    ("name", "text", "waits"),
    [
        ("cut.csv", "weight,label\n120,small\n12.3", True),
        ("cut.tsv", "weight\tlabel\n120\tsma", True),
        ("cut.jsonl", '{"weight": 1, "label": "a"}\n{"weight": 2', True),
        ("whole.csv", ROWS, False),
        ("old.csv", ROWS.replace("\n", "\r"), False),
        ("whole.jsonl", '{"weight": 1, "label": "a"}', False),
        ("whole.json", '[{"weight": 1, "label": "a"}] ', False),
    ],
)
def test_a_file_whose_last_line_has_no_end_rests_longer(
    tmp_path: Path, name: str, text: str, waits: bool
) -> None:
    for encoding in ("utf-8", "utf-16", "utf-32-be"):
        folder = make_inbox(tmp_path / encoding, APPLES.name)
        (folder / name).write_text(text, encoding=encoding)
        listing = list_inbox(folder, 0, 60)
        assert (list(listing.left) == [name]) is waits
        assert all("its last line has no end" in why for why in listing.left.values())
        time.sleep(0.05)
        assert list_inbox(folder, 0, 0.02).files == (folder / name,)


def test_the_rest_of_a_file_whose_writer_paused_is_refused_and_says_what_it_is(
    inbox: Path, database_url: str, tmp_path: Path
) -> None:
    context = context_of(tmp_path, database_url)
    (inbox / "rows.csv").write_text("weight,label\n120,small\n240,lar", encoding="utf-8")
    assert any("the last line has no end" in note for note in read_inbox(context).read[0].notes)
    (inbox / "rows.csv").write_text("45,small\n7,large\n", encoding="utf-8")
    why = read_inbox(context).refused["rows.csv"]
    assert "the first line looks like a row of the data" in why
    assert "a file of this name was read before and lies in done/" in why
    (inbox / "first.csv").write_text("45,small\n7,large\n", encoding="utf-8")
    assert "read before" not in read_inbox(context).refused["first.csv"]


def test_a_writer_that_holds_another_name_of_the_file_is_waited_for(
    inbox: Path, database_url: str, tmp_path: Path
) -> None:
    context = context_of(tmp_path, database_url)
    other = tmp_path / "export.csv"
    other.hardlink_to(inbox / "rows.csv")
    with other.open("a", encoding="utf-8"):
        assert list(read_inbox(context).left) == ["rows.csv"]
    assert [file.rows for file in read_inbox(context).read] == [2]


def test_a_full_disk_refuses_no_file(database_url: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as home:
        inbox = make_inbox(home, APPLES.name)
        (inbox / "rows.csv").write_text(ROWS, encoding="utf-8")
        context = context_of(home, database_url)
        ballast = fill(home)
        report = read_inbox(context)
        assert (report.read, report.refused) == ((), {})
        assert "No space left on device" in report.left["rows.csv"]
        assert (inbox / "rows.csv").read_text(encoding="utf-8") == ROWS
        ballast.unlink()
        assert [file.rows for file in read_inbox(context).read] == [2]
