"""Progress of a run as server-sent events, fed from the database, so that any worker can tell of any run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any

import orjson
import psycopg

from service.errors import DatabaseAway, TooManyStreams
from service.storage.database import Database
from store.runs.events import events_since
from store.runs.rows import ENDED, Run, find_run

LOOK_SECONDS = 0.3
HEARTBEAT_SECONDS = 10.0
MOST_SEQ = 2**63 - 1
"""Largest number that an event can have."""
MOST_STREAMS = 64
"""Streams of one worker at a time."""


@dataclass(frozen=True)
class News:
    """What a look found: the run, and the events since the last look."""

    run: Run
    events: list[dict[str, Any]]


@dataclass(eq=False)
class _Listener:
    """Who follows a run."""

    address: str
    dismissed: bool = False


class ProgressStreams:
    """All streams of one worker; they share a thread of their own and end when the worker does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="progress")
        self._closing = False
        self._open: list[_Listener] = []

    def close(self) -> None:
        """End every stream at its next look."""
        self._closing = True

    def stop(self) -> None:
        """Let the thread go."""
        self.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def follow(self, run_id: str, seen: int, address: str = "") -> AsyncIterator[bytes]:
        """The events of a run after number `seen`, until it has ended.

        Where no more can be open, the oldest of the address that has the most ends for one that has fewer.

        Raises:
            TooManyStreams: too many streams are open.
        """
        heard = [one for one in self._open if not one.dismissed]
        if len(heard) >= MOST_STREAMS:
            counts = Counter(one.address for one in heard)
            crowd, most = (counts.most_common(1) or [(address, 0)])[0]
            if counts[address] + 1 >= most:
                raise TooManyStreams(MOST_STREAMS)
            next(one for one in heard if one.address == crowd).dismissed = True
        return self._follow(run_id, seen, _Listener(address))

    async def _follow(self, run_id: str, seen: int, listener: _Listener) -> AsyncIterator[bytes]:
        self._open.append(listener)
        status: str | None = None
        spoken = monotonic()
        try:
            while not (self._closing or listener.dismissed):
                news = await self._look(run_id, seen)
                parts = []
                if news is not None:
                    if news.run.status != status:
                        status = news.run.status
                        parts.append(_event("status", {"run_id": run_id, "status": status}))
                    parts += [_event("progress", one["payload"], one["seq"]) for one in news.events]
                    seen = news.events[-1]["seq"] if news.events else seen
                    if status in ENDED:
                        yield b"".join([*parts, _event("end", describe_end(news.run))])
                        return
                if not parts and monotonic() - spoken >= HEARTBEAT_SECONDS:
                    parts.append(b": the run goes on\n\n" if news else b": the database does not answer\n\n")
                if parts:
                    spoken = monotonic()
                yield b"".join(parts)  # empty, it lets the caller see whether anybody listens
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._open.remove(listener)

    async def _look(self, run_id: str, seen: int) -> News | None:
        def read(conn: psycopg.Connection[Any]) -> News | None:
            run = find_run(conn, run_id)  # before its events: none may follow its end
            return None if run is None else News(run, events_since(conn, run_id, seen))

        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._database.run, read)
        except DatabaseAway:
            return None


def describe_end(run: Run) -> dict[str, Any]:
    """What a run came to; `result` holds the verdict."""
    return {"run_id": run.id, "status": run.status, "result": run.result, "error": run.error}


def _event(name: str, data: Any, seq: int | None = None) -> bytes:
    number = b"" if seq is None else b"id: %d\n" % seq
    return b"%bevent: %b\ndata: %b\n\n" % (number, name.encode(), orjson.dumps(data))
