"""Vectors that took long to compute, by a hash of what they were computed of, in a file of bounded size.

Several processes may use it at once, and be killed at any time. It is a cache: what cannot be read is made
anew, and a disk that is full, or a file that another has locked for long, costs time and not the training.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 2 << 30
"""Size of all vectors that are kept; of more, those unused for longest go."""
LEFT_OVER = 0.8
"""Share of that which stays when some go."""
AT_ONCE = 500
"""Keys in one question."""
WAIT_SECONDS = 30.0
"""For another process that writes."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, used REAL NOT NULL, vector BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS vectors_by_use ON vectors (used);
"""
log = logging.getLogger(__name__)

Vector = NDArray[np.float32]
T = TypeVar("T")


class KeptVectors:
    """An SQLite file; safe to use from many threads and processes."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES, *, drives_out: bool = True) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._drives_out = drives_out
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self.found = 0
        """Vectors that need not be computed again, so far."""
        self.kept = 0
        """Vectors that were added."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._close()

    def find(self, keys: Sequence[bytes], places: int) -> dict[bytes, Vector]:
        """Those of the keys that are kept and have so many places."""
        distinct = list(dict.fromkeys(keys))

        def read(connection: sqlite3.Connection) -> dict[bytes, Vector]:
            found: dict[bytes, Vector] = {}
            for start in range(0, len(distinct), AT_ONCE):
                some = distinct[start : start + AT_ONCE]
                among = f"key IN ({','.join('?' * len(some))})"
                for key, blob in connection.execute(f"SELECT key, vector FROM vectors WHERE {among}", some):
                    if len(blob) == 4 * places:
                        found[key] = np.frombuffer(blob, "<f4")
                connection.execute(f"UPDATE vectors SET used = ? WHERE {among}", [time.time(), *some])
            return found

        found = self._run(read) or {}
        self.found += len(found)
        return found

    def keep(self, vectors: Mapping[bytes, Vector]) -> None:
        """Add these: all, or none where the process is killed or, if they drive out none, room is short."""
        now = time.time()
        rows = [(key, now, np.asarray(vector, "<f4").tobytes()) for key, vector in vectors.items()]

        def write(connection: sqlite3.Connection) -> int:
            if not self._drives_out and _used_bytes(connection) >= self._most_bytes:
                return 0
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
            if self._drives_out:
                self._drop_oldest(connection)
            return len(rows)

        self.kept += self._run(write) or 0

    def _drop_oldest(self, connection: sqlite3.Connection) -> None:
        """Make room where there are too many; what went leaves its room to others: the file stays bounded."""
        used = _used_bytes(connection)
        if used <= self._most_bytes:
            return
        (rows,) = connection.execute("SELECT count(*) FROM vectors").fetchone()
        gone = rows - int(rows * LEFT_OVER * self._most_bytes / used)
        connection.execute(
            "DELETE FROM vectors WHERE key IN (SELECT key FROM vectors ORDER BY used, key LIMIT ?)", (gone,)
        )

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do this in a transaction; None where it cannot be done; a file that is damaged is thrown away."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open()
                with self._connection:
                    return work(self._connection)
            except sqlite3.OperationalError as error:  # locked, or no room: the next may do
                log.warning("vectors are not kept in %s for now: %s", self._path, error)
            except sqlite3.DatabaseError as error:
                log.warning("%s is damaged and is made anew: %s", self._path, error)
                self._close()
                self._discard()
            return None

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=WAIT_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _discard(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)


def _used_bytes(connection: sqlite3.Connection) -> int:
    """Size of what is in the file; free pages are left to what comes."""
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
    return (pages - free) * size
