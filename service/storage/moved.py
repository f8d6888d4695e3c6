"""Predictions that were moved out of the database are asked back: a worker reads tables, servers do not."""

from __future__ import annotations

from collections.abc import Collection

from service.errors import Moved
from service.storage.database import Database
from store.moved.asking import ask_back, still_waiting, wait_back


def bring_back(database: Database, ids: Collection[str], use_case: str | None = None) -> None:
    """Have those of these predictions in the database that were moved; blocks.

    Args:
        use_case: only its predictions count; None: those of all.

    Raises:
        Moved: no worker has looked for one.
        DatabaseAway: the database does not answer, or takes no writes.
    """
    wanted = sorted(ids)
    asked = database.run(lambda conn: ask_back(conn, wanted, use_case)) if wanted else []
    if asked and (left := wait_back(lambda: database.read(lambda conn: still_waiting(conn, asked)))):
        raise Moved(left[0])
