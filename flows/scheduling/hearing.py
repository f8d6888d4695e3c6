"""What the worker hears of labels and runs: they are announced or, behind a pooler, looked up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg

from store.database.connection import connect_async
from store.database.sessions import KEEPER, has_own_session_async
from store.feedback.insertion import LABELS_CHANNEL
from store.quarantine.rows import QUARANTINE_CHANNEL
from store.runs.rows import CHANNEL
from store.runs.workers import WorkerMark, keep_worker, show_worker

POLL_SECONDS = 5.0
"""After which a round is due in any case."""
LOOK_SECONDS = 0.5
"""Between two looks where nothing is announced."""
_STATE: LiteralString = """
    SELECT (SELECT last_value FROM feedback_seq), (SELECT last_value FROM feedback_vote_seq),
        (SELECT max(requested_at) FROM run), (SELECT max(finished_at) FROM run),
        (SELECT max(retry_requested) FROM quarantine WHERE retry_requested IS NOT NULL)"""

Changed = Callable[[], Awaitable[set[str]]]
"""Waits for news, until the next round is due at the latest, and names the use cases that they are of."""
_Connection = psycopg.AsyncConnection[Any]


@asynccontextmanager
async def hearing(url: str, use_cases: Collection[str], mark: WorkerMark) -> AsyncIterator[Changed]:
    """Show that this worker lives, and hear of labels and of runs of these use cases, until the end.

    Raises:
        psycopg.Error: also of what is waited for: the connection is lost.
    """
    async with await connect_async(url) as conn:
        if await has_own_session_async(conn):
            await show_worker(conn, mark)
            for channel in (CHANNEL, LABELS_CHANNEL, QUARANTINE_CHANNEL):
                await conn.execute(f"LISTEN {channel}")
            yield lambda: _announced(conn)
            return
        await keep_worker(conn, mark)
        async with await connect_async(url) as looking:
            looks = _Looks(conn, looking, use_cases)
            await looks.has_changed()
            yield looks.wait


async def _announced(conn: _Connection) -> set[str]:
    """The use case of the next notice, if one comes before the next round is due."""
    return {note.payload async for note in conn.notifies(timeout=POLL_SECONDS, stop_after=1)}


class _Looks:
    """Looks whether anything has changed, at what would have been announced."""

    def __init__(self, keeper: _Connection, conn: _Connection, use_cases: Collection[str]) -> None:
        self._keeper = keeper
        self._conn = conn
        self._use_cases = use_cases
        self._state: Any = None

    async def has_changed(self) -> bool:
        """Whether there are news since the last look."""
        before, self._state = self._state, await (await self._conn.execute(_STATE)).fetchone()
        return bool(before != self._state)

    async def wait(self) -> set[str]:
        """Every use case, as soon as anything has changed; none when the next round is due."""
        until = asyncio.get_running_loop().time() + POLL_SECONDS
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(LOOK_SECONDS)
            if await self.has_changed():
                return set(self._use_cases)
        await self._keeper.execute(f"{KEEPER}SELECT 1")
        return set()
