"""One worker at a time looks who else has one on the database, and acts by what it saw.

Two that began at once would each see nobody, and the later one would take the deployments of the other for
remainders. So the look, what follows from it, and being seen oneself are one turn, which others wait for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import psycopg

from configs.settings import Settings
from store.database.connection import connect
from store.database.faults import FAULTS, sentence
from store.database.sessions import session_url
from store.runs.cut_off import held_flow_runs
from store.runs.workers import WorkerMark, has_other_worker, take_turn

UNKNOWN = "whether others are at work cannot be told now, so what may be theirs stays: %s"

log = logging.getLogger("prefect.worker.ratchet")


@dataclass
class Turn:
    """A turn, or one that was not to be had; ends with the process at the latest."""

    _conn: psycopg.Connection | None = None
    _keeper: psycopg.Connection | None = None

    @classmethod
    def take(cls, settings: Settings) -> Turn:
        """Wait for others who have it; where the database is away, or they do not end, it is none."""
        conn = None
        try:
            conn = connect(session_url(settings), autocommit=True)
            if (keeper := take_turn(conn)) is not None:
                return cls(conn, keeper)
            log.warning(UNKNOWN, "another worker is beginning, and does not come to its end")
        except FAULTS as error:
            log.warning(UNKNOWN, sentence(error))
        if conn is not None:
            conn.close()
        return cls()

    def look(self, mark: WorkerMark) -> tuple[bool | None, frozenset[str]]:
        """Whether another worker lives (None: not known), and the flow runs at work on any machine.

        Args:
            mark: of this one.
        """
        if self._conn is None:
            return None, frozenset()
        try:
            return has_other_worker(self._conn, mark), held_flow_runs(self._conn)
        except FAULTS as error:
            log.warning(UNKNOWN, sentence(error))
            return None, frozenset()

    def end(self) -> None:
        """Let others look."""
        for conn in (self._keeper, self._conn):
            if conn is not None:
                conn.close()
        self._keeper = self._conn = None
