"""The ledger of files that are answered: which part is done, by whom, and the digest of what it came to.

A part counts once it stands there, and it stands there once: whoever was given it a second time, because
the first seemed lost, finds it done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row

from store.database.sessions import let_go, try_keep_lock
from store.errors import FileBusy

KEPT_DAYS = 30
"""How long a file that was answered, or given up, is remembered."""


@dataclass(frozen=True)
class AnsweredPart:
    """One batch of a file that is answered."""

    number: int
    first_line: int
    """Where it begins in the file; -1: it has no rows."""
    rows: int
    """Rows and lines that are none."""
    refused: int
    digest: str
    """SHA-256 of the part's file."""
    answered_by: str
    """Process or worker."""
    seconds: float
    """What that took there."""


class FileLedger:
    """The ledger of one call, which until it is closed is the only one that answers into its output.

    Args:
        conn: in autocommit; used by one thread.
    """

    def __init__(self, conn: psycopg.Connection[Any], use_case: str) -> None:
        self._conn = conn
        self._use_case = use_case
        self.id = ""
        self._output = ""
        self._keeper: psycopg.Connection[Any] | None = None
        """Holds the lock of the output."""

    def open(self, id: str | None, version: int, file: str, output: str) -> dict[int, AnsweredPart]:
        """Go on with a call that was cut off, or begin one.

        Args:
            id: what the earlier call had; None: there was none.

        Returns:
            The parts that are done, by number.

        Raises:
            FileBusy: another process answers into this output.
        """
        self._output, self._keeper = output, try_keep_lock(self._conn, "file", output)
        if self._keeper is None:
            raise FileBusy(output)
        self._conn.execute(
            "DELETE FROM file_answering WHERE use_case = %s AND id IS DISTINCT FROM %s "
            "AND started_at < now() - make_interval(days => %s)",
            (self._use_case, id, KEPT_DAYS),
        )
        if id is not None and self._is_open(id, version):
            self.id = id
            return self._parts()
        self.id = str(uuid4())
        self._conn.execute(
            "INSERT INTO file_answering (id, use_case, version, file, output) VALUES (%s, %s, %s, %s, %s)",
            (self.id, self._use_case, version, file, output),
        )
        return {}

    def acknowledge(self, part: AnsweredPart) -> bool:
        """Note that a part is done and its file is safe; False: it was done before."""
        return (
            self._conn.execute(
                "INSERT INTO file_answering_part "
                "(answering, number, first_line, rows, refused, digest, answered_by, seconds) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (
                    self.id, part.number, part.first_line, part.rows, part.refused, part.digest,
                    part.answered_by, part.seconds,
                ),
            ).rowcount
            == 1
        )  # fmt: skip

    def forget(self, number: int) -> None:
        """Have a part answered again: its file is gone, or is not what it was."""
        self._conn.execute(
            "DELETE FROM file_answering_part WHERE answering = %s AND number = %s", (self.id, number)
        )

    def finish(self, rows: int, refused: int) -> None:
        """Note that the output is whole."""
        self._conn.execute(
            "UPDATE file_answering SET finished_at = now(), rows = %s, refused = %s WHERE id = %s",
            (rows, refused, self.id),
        )

    def close(self) -> None:
        """Let others answer into the output."""
        if self._keeper is not None:
            let_go(self._conn, self._keeper, "file", self._output)
            self._keeper = None

    def _is_open(self, id: str, version: int) -> bool:
        found = self._conn.execute(
            "SELECT 1 FROM file_answering WHERE id::text = %s AND use_case = %s AND version = %s "
            "AND finished_at IS NULL",
            (id, self._use_case, version),
        ).fetchone()
        return found is not None

    def _parts(self) -> dict[int, AnsweredPart]:
        with self._conn.cursor(row_factory=class_row(AnsweredPart)) as cursor:
            parts = cursor.execute(
                "SELECT number, first_line, rows, refused, digest, answered_by, seconds "
                "FROM file_answering_part WHERE answering = %s",
                (UUID(self.id),),
            ).fetchall()
        return {part.number: part for part in parts}
