"""Progress of a run as server-sent events, fed from the database, so that any worker can tell of any run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any

import orjson
import psycopg

from features.run_events import events_since
from features.runs import ENDED, Run, find_run
from service.database import Database
from service.errors import DatabaseAway, TooManyStreams

LOOK_SECONDS = 0.3
HEARTBEAT_SECONDS = 10.0
MOST_STREAMS = 64
"""Streams of one worker at a time."""


@dataclass(frozen=True)
class News:
    """What a look found: the run, and the events since the last look."""

    run: Run
    events: list[dict[str, Any]]


class ProgressStreams:
    """All streams of one worker; they share a thread of their own and end when the worker does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="progress")
        self._closing = False
        self._open = 0

    def close(self) -> None:
        """End every stream at its next look."""
        self._closing = True

    def stop(self) -> None:
        """Let the thread go."""
        self.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def follow(self, run_id: str, seen: int) -> AsyncIterator[bytes]:
        """The events of a run after number `seen`, until it has ended.

        Raises:
            TooManyStreams: too many streams are open.
        """
        if self._open >= MOST_STREAMS:
            raise TooManyStreams(MOST_STREAMS)
        return self._follow(run_id, seen)

    async def _follow(self, run_id: str, seen: int) -> AsyncIterator[bytes]:
        self._open += 1
        status: str | None = None
        spoken = monotonic()
        try:
            while not self._closing:
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
            self._open -= 1

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
