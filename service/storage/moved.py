"""Predictions that were moved out of the database are asked back: a worker reads tables, servers do not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

from service.errors import Moved
from service.storage.database import Database
from store.moved.asking import ask_back, still_waiting, wait_back

_in_vain = threading.Event()
"""Set while nobody has looked for what the last who waited had asked for."""
_trying = threading.Lock()
"""Held by the one who waits all the same."""


def bring_back(database: Database, ids: Collection[str], use_case: str | None = None) -> None:
    """Have those of these predictions in the database that were moved; blocks.

    While workers do not look, one waits and all others are told at once: those who wait hold threads in which
    feedback of everybody is stored.

    Args:
        use_case: only its predictions count; None: those of all.

    Raises:
        Moved: no worker has looked for one.
        DatabaseAway: the database does not answer, or takes no writes.
    """
    wanted = sorted(ids)
    asked = database.run(lambda conn: ask_back(conn, wanted, use_case)) if wanted else []
    if asked and (left := _wait(lambda: database.read(lambda conn: still_waiting(conn, asked)))):
        raise Moved(left[0])


def _wait(waiting: Callable[[], Sequence[str]]) -> Sequence[str]:
    vain = _in_vain.is_set()
    tries = vain and _trying.acquire(blocking=False)
    if vain and not tries:
        return waiting()
    try:
        left = wait_back(waiting)
    finally:
        if tries:
            _trying.release()
    (_in_vain.set if left else _in_vain.clear)()
    return left
