"""The prediction log: files that a completed write makes safe from kill -9, moved to PostgreSQL later.

Each process has a folder of its own under the journal, with a `lock` file that it holds while
it lives. Lines are rows of table `prediction` in PostgreSQL's COPY text format, so moving
a file is streaming it. A line counts once its newline is written: a torn last line was
never acknowledged and is left out. Rows move at least once; the primary key makes that once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import errors

COLUMNS: LiteralString = (
    "id, use_case, record_id, record, label, score, scores, model_version, source, predicted_at, record_group"
)
"""Of a line; a release adds new ones at the end, so that lines of an earlier one lack the last."""
FIRST_COLUMNS = 10
"""As many had the lines of the first release."""
NULL = b"\\N"
SUFFIX = ".copy"
REJECTED = "rejected.copy"
MAX_FILE_BYTES = 32 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


def escape(value: bytes) -> bytes:
    r"""A value in COPY text format.

    >>> escape(b'a\tb"\\n"')
    b'a\\tb"\\\\n"'
    """
    if b"\\" in value:
        value = value.replace(b"\\", b"\\\\")
    if b"\t" in value or b"\n" in value or b"\r" in value:
        value = value.replace(b"\t", b"\\t").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return value


class Journal:
    """The files that this process writes; safe to use from many threads."""

    def __init__(self, root: Path, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self.root = root
        self.folder, self._lock = _own_folder(root)
        self._max = max_file_bytes
        self._mutex = threading.Lock()
        self._number = 0
        self._size = 0
        self._is_torn = False
        self._file = self._open(0)

    def append(self, lines: bytes) -> None:
        """Write whole lines with one system call; when it returns they survive kill -9.

        Raises:
            OSError: they could not be written (the disk is full, say); nothing of them stays.
        """
        with self._mutex:
            if self._is_torn and not self._undo():
                raise OSError(errno.EIO, "what a write that failed has left cannot be cut off")
            try:
                count = os.write(self._file, lines)
                if count != len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                self._undo()
                raise
            self._size += count
            if self._size >= self._max:
                self._rotate()

    def rotate(self) -> None:
        """Close the current file, if anything is in it, so that it can be moved.

        The next one is made while others go on writing: on a disk that is busy that takes long.
        """
        with self._mutex:
            number, is_empty = self._number + 1, not self._size
        if is_empty:
            return
        try:
            opened = self._open(number)
        except OSError:  # go on with the old file; the next write tells whether that works
            return
        with self._mutex:
            if self._number + 1 == number:
                opened, self._file = self._file, opened
                self._number, self._size, self._is_torn = number, 0, False
            # Otherwise a write has filled the file meanwhile, and goes on with the next one.
        os.close(opened)

    def closed_files(self) -> list[Path]:
        """Files of this process that are ready to be moved, oldest first."""
        current = self._name(self._number)
        # One that others have begun, or made, since is no older.
        return [path for path in _files(self.folder) if path < current]

    def backlog_bytes(self) -> int:
        """Bytes of this process that are not in the database yet."""
        return sum(path.stat().st_size for path in _files(self.folder) if path.exists())

    def close(self) -> None:
        """Stop writing, and let go of the folder; others may move what is left."""
        with self._mutex:
            os.close(self._file)
            if not self._size:
                self._name(self._number).unlink()
            remove_if_empty(self.folder)
            os.close(self._lock)

    def _rotate(self) -> bool:
        """Begin a new file; where that fails the old one goes on, and the next write tells if it works."""
        try:
            opened = self._open(self._number + 1)
        except OSError:
            return False
        os.close(self._file)
        self._file, self._number, self._size = opened, self._number + 1, 0
        return True

    def _undo(self) -> bool:
        """Cut off what a failed write left, or begin a new file; False: neither works, so nothing may follow.

        A line behind a torn one would be one with it, and both would be lost.
        """
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._is_torn = not self._rotate()
        else:
            self._is_torn = False
        return not self._is_torn

    def _open(self, number: int) -> int:
        return os.open(self._name(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _name(self, number: int) -> Path:
        return self.folder / f"{number:08d}{SUFFIX}"


def lock_abandoned_folders(root: Path) -> Iterator[tuple[Path, int]]:
    """Folders of processes that have ended, each with its lock, now held; the caller closes the lock."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []:
        lock = _try_lock(folder)
        if lock is not None:
            yield folder, lock


def move_folder(conn: psycopg.Connection[Any], folder: Path) -> int:
    """Move every file of a folder that nobody writes to any more, and remove it; gives the rows moved."""
    moved = sum(move_file(conn, path) for path in _files(folder))
    remove_if_empty(folder)
    return moved


def move_file(conn: psycopg.Connection[Any], path: Path) -> int:
    """Store the rows of a file and remove it; rows stored before are left alone.

    A row that the database refuses is set aside in `rejected.copy` of the journal: one
    broken row does not hold back the others.

    Raises:
        psycopg.OperationalError: the database is away; the file stays.
    """
    columns = columns_of(next(_chunks(path), b""))
    try:
        rows = _copy(conn, path, columns)
    except errors.UniqueViolation:
        rows = _merge(conn, list(_chunks(path)), columns)
    except (errors.DataError, errors.IntegrityError):
        lines = b"".join(_chunks(path)).splitlines(keepends=True)
        rows = _merge_valid(conn, lines, path.parent.parent / REJECTED, columns)
    path.unlink()
    return rows


def columns_of(lines: bytes) -> LiteralString:
    """The columns of lines, which are all of one release, by the first of them."""
    names = COLUMNS.split(", ")
    count = lines.partition(b"\n")[0].count(b"\t") + 1
    return ", ".join(names[: max(count, FIRST_COLUMNS)])


def _copy(conn: psycopg.Connection[Any], path: Path, columns: LiteralString) -> int:
    with conn.transaction(), conn.cursor() as cursor:
        with cursor.copy(f"COPY prediction ({columns}) FROM STDIN") as copy:
            for chunk in _chunks(path):
                copy.write(chunk)
        return cursor.rowcount


def _merge(conn: psycopg.Connection[Any], chunks: list[bytes], columns: LiteralString) -> int:
    with conn.transaction(), conn.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE moving (LIKE prediction) ON COMMIT DROP")
        with cursor.copy(f"COPY moving ({columns}) FROM STDIN") as copy:
            for chunk in chunks:
                copy.write(chunk)
        cursor.execute(
            f"INSERT INTO prediction ({COLUMNS}) SELECT {COLUMNS} FROM moving ON CONFLICT (id) DO NOTHING"
        )
        return cursor.rowcount


def _merge_valid(
    conn: psycopg.Connection[Any], lines: list[bytes], rejected: Path, columns: LiteralString
) -> int:
    """Store the good among `lines` by halving around the bad ones."""
    try:
        return _merge(conn, lines, columns) if lines else 0
    except (errors.DataError, errors.IntegrityError):
        if len(lines) == 1:
            with rejected.open("ab") as file:
                file.write(lines[0])
            return 0
    middle = len(lines) // 2
    halves = (lines[:middle], lines[middle:])
    return sum(_merge_valid(conn, half, rejected, columns) for half in halves)


def _chunks(path: Path) -> Iterator[bytes]:
    """The content up to the last newline."""
    unfinished = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            lines, newline, tail = chunk.rpartition(b"\n")
            if newline:
                yield unfinished + lines + newline
                unfinished = tail
            else:
                unfinished += tail


def _own_folder(root: Path) -> tuple[Path, int]:
    """A new folder and its lock; between the two, another process may take it for a dead one's."""
    while True:
        folder = root / f"{os.getpid()}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        lock = _try_lock(folder)
        if lock is not None and folder.is_dir():
            return folder, lock


def _try_lock(folder: Path) -> int | None:
    """The lock of a folder, or None while its owner lives."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # removed by another taker
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def remove_if_empty(folder: Path) -> None:
    """Remove a folder in which nothing is left to move."""
    if _files(folder):
        return
    with suppress(OSError):  # another process is at it, and will finish
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()
