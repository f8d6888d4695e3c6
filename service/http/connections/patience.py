"""How long a client may take to send and to read, and what its connection is worth while it is waited for."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import Overloaded, ServiceError, SlowClient
from service.http.connections.refusals import written
from service.http.connections.shedding import Claim, Waits

LOOK_SECONDS = 1.0
LEAST_BYTES = 16 * 1024
"""A second, that buys time for one more."""
UNREAD_SECONDS = 0.25
"""An answer that is on its way for less is being read."""


class PatientConnection(HttpToolsProtocol):
    """One connection, whose client is cut off when it is too slow.

    uvicorn waits for ever for the rest of a request, and nothing that it calls could see that. So this is its
    own protocol with a few marks added, looked over once a second.
    """

    patience: ClassVar[float]
    _looking: ClassVar[bool] = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.since = self.loop.time()
        """When it was made, or its last request began."""
        self._due = True
        """Whether the rest of a request is due from the other side."""
        self._began = False
        """Whether one has ever begun."""
        self.received = 0
        """Bytes of the body so far."""
        self._counted, self._earned = 0, 0.0
        """Those that time was given for, and that time."""
        self._unread_since = self._read_earned = 0.0
        self._unread = 0
        if not PatientConnection._looking:
            PatientConnection._looking = True
            self.loop.call_later(LOOK_SECONDS, _look_over, self.loop, self.connections)

    def pause_writing(self) -> None:
        """Much of an answer is not read yet."""
        super().pause_writing()
        self._begin_to_wait_for_reader(self.loop.time())

    def resume_writing(self) -> None:
        """Now it is."""
        super().resume_writing()
        self._unread_since = 0.0

    def look_over(self, now: float) -> None:
        """Cut off whoever is too slow."""
        unread = self.transport.get_write_buffer_size()
        if unread and (self._unread_since or self.transport.is_closing() or not self._is_answering()):
            self._look_at_reader(now, unread)
        elif not unread:
            self._unread_since = 0.0
        if self._due and not self.transport.is_closing():
            self._look_at_sender(now)

    def claim(self, now: float) -> Claim | None:
        """What it is worth while the other side is waited for; None while it is the worker's turn."""
        answering = self._is_answering()
        if self.transport.get_write_buffer_size():
            slow = now - self._unread_since if self._unread_since else 0.0
            waits = slow > UNREAD_SECONDS or not answering
            return Claim(Waits.READER, self._read_earned - slow) if waits else None
        if self.transport.is_closing():
            return None
        if answering and (not self._due or self.flow.read_paused or self.cycle.response_started):
            return None
        age = now - self.since
        if not self._due or (not self._began and age > LOOK_SECONDS):
            return Claim(Waits.IDLE, -age)
        coming = (self.received - self._counted) / LEAST_BYTES
        return Claim(Waits.REQUEST, min(age, self._earned + coming) - age)

    def shed(self, error: Overloaded) -> None:
        """Close it for the sake of another; nothing of a request that was not whole has been acted on."""
        self.connections.discard(self)
        if self._due and not self.transport.is_closing():
            self._cut_off(error)
        else:
            self._close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _look_at_sender(self, now: float) -> None:
        """Whoever sends has time for so many bytes a second, and never saves up more than its patience."""
        elapsed = now - self.since
        if self.flow.read_paused:  # what the server itself does not read yet is not the other side's fault
            self._earned = elapsed
            return
        self._earned = min(elapsed, self._earned + (self.received - self._counted) / LEAST_BYTES)
        self._counted = self.received
        if elapsed > self.patience + self._earned:
            self._cut_off(SlowClient(elapsed))

    def _begin_to_wait_for_reader(self, now: float) -> None:
        self._unread_since, self._read_earned = now, 0.0
        self._unread = self.transport.get_write_buffer_size()

    def _look_at_reader(self, now: float, unread: int) -> None:
        """The same for whoever reads, also of a connection that is closed and not read to its end."""
        if not self._unread_since:
            self._begin_to_wait_for_reader(now)
            return
        elapsed = now - self._unread_since
        self._read_earned = min(elapsed, self._read_earned + max(0, self._unread - unread) / LEAST_BYTES)
        self._unread = unread
        if elapsed > self.patience + self._read_earned:
            self.transport.abort()

    def _cut_off(self, error: ServiceError) -> None:
        cycle = self.cycle
        answering = self._is_answering()
        if self._began and not (answering and cycle.response_started):
            self.transport.write(written(error, self.url, close=True))
        if answering:
            cycle.disconnected = True
            cycle.message_event.set()
        self._close()

    def _close(self) -> None:
        """Close, without waiting for somebody who does not read."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


def _look_over(loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
    now = loop.time()
    try:
        for connection in list(connections):
            if isinstance(connection, PatientConnection):
                connection.look_over(now)
    finally:  # also where there is no memory now, say
        if connections:
            loop.call_later(LOOK_SECONDS, _look_over, loop, connections)
        else:
            PatientConnection._looking = False
