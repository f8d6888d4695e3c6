"""Progress of a run as server-sent events, read from the database, so that any worker can stream any run."""

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
"""Between two looks for new events."""
HEARTBEAT_SECONDS = 10.0
"""After so long without an event a comment is sent, lest proxies close the connection."""
MOST_STREAMS = 64
"""Streams of one worker at a time."""
MOST_SEQ = 2**63 - 1
"""Largest number that an event can have."""


@dataclass(frozen=True)
class ProgressUpdate:
    """A run, and its events since the last look."""

    run: Run
    events: list[dict[str, Any]]


@dataclass(eq=False)
class _OpenStream:
    """A stream to a client address; one that is dismissed ends at its next look."""

    address: str
    is_dismissed: bool = False


@dataclass
class _Position:
    """How far a stream has got: the number of its last event, and the last status it sent."""

    seq: int
    status: str | None = None


class ProgressStreams:
    """All streams of one worker; they share a thread of their own and end when the worker does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="progress")
        self._closing = False
        self._open: list[_OpenStream] = []

    def close(self) -> None:
        """End every stream at its next look."""
        self._closing = True

    def stop(self) -> None:
        """End every stream, and the thread."""
        self.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def follow(self, run_id: str, after_seq: int, address: str = "") -> AsyncIterator[bytes]:
        """The events of a run after number `after_seq`, until it has ended.

        Where no more can be open, the oldest of the address that has the most ends for one that has fewer.

        Raises:
            TooManyStreams: too many streams are open.
        """
        self._make_room(address)
        return self._follow(run_id, _Position(after_seq), _OpenStream(address))

    def _make_room(self, address: str) -> None:
        """Dismiss a stream where a worker has as many as it may."""
        active = [stream for stream in self._open if not stream.is_dismissed]
        if len(active) < MOST_STREAMS:
            return
        counts = Counter(stream.address for stream in active)
        busiest, most = (counts.most_common(1) or [(address, 0)])[0]
        if counts[address] + 1 >= most:
            raise TooManyStreams(MOST_STREAMS)
        next(stream for stream in active if stream.address == busiest).is_dismissed = True

    async def _follow(self, run_id: str, position: _Position, stream: _OpenStream) -> AsyncIterator[bytes]:
        self._open.append(stream)
        sent_at = monotonic()
        try:
            # At once, so that whoever listens, and each proxy between, sees that it has begun.
            yield b": the events of run %b\n\n" % run_id.encode()
            while not (self._closing or stream.is_dismissed):
                update = await self._read(run_id, position.seq)
                events = [] if update is None else _new_events(update, position)
                if update is not None and update.run.status in ENDED:
                    yield b"".join([*events, _event("end", describe_end(update.run))])
                    return
                if not events and monotonic() - sent_at >= HEARTBEAT_SECONDS:
                    events = [b": the run goes on\n\n" if update else b": the database does not answer\n\n"]
                if events:
                    sent_at = monotonic()
                yield b"".join(events)  # empty, it lets the caller see whether anybody listens
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._open.remove(stream)

    async def _read(self, run_id: str, after_seq: int) -> ProgressUpdate | None:
        """None where the database does not answer, or the run is gone."""

        def read(conn: psycopg.Connection[Any]) -> ProgressUpdate | None:
            run = find_run(conn, run_id)  # before its events: none may follow its end
            return None if run is None else ProgressUpdate(run, events_since(conn, run_id, after_seq))

        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._database.read, read)
        except DatabaseAway:
            return None


def describe_end(run: Run) -> dict[str, Any]:
    """Data of the event `end`; `result` holds the verdict."""
    return {"run_id": run.id, "status": run.status, "result": run.result, "error": run.error}


def _new_events(update: ProgressUpdate, position: _Position) -> list[bytes]:
    """What an update brings that was not sent yet, as server-sent events; moves the position on."""
    events = []
    if update.run.status != position.status:
        position.status = update.run.status
        events.append(_event("status", {"run_id": update.run.id, "status": position.status}))
    for event in update.events:
        events.append(_event("progress", event["payload"], event["seq"]))
        position.seq = event["seq"]
    return events


def _event(name: str, data: Any, seq: int | None = None) -> bytes:
    number = b"" if seq is None else b"id: %d\n" % seq
    return b"%bevent: %b\ndata: %b\n\n" % (number, name.encode(), orjson.dumps(data))
