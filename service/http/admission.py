"""How much work a worker takes in at a time: so many requests, so many bytes of their bodies.

What is beyond that is told to come later while that costs little: work that nobody waits for any
longer, when its turn comes, would keep the server from the rest.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from service.errors import Overloaded

HELD = "ratchet.held"
MOST_BYTES = 128 * 1024 * 1024
"""Of large bodies together, but always two of the largest allowed size."""
Relieve = Callable[[str, int, Overloaded], bool]
"""Drops a body that comes too slowly for the room that there is, for a client's address; says whether there
was one, whose room is free very soon."""


class Admission:
    """Counts what one worker has in hand; used from one event loop.

    Args:
        most: requests at a time.
        largest: the longest body that any use case allows.
    """

    def __init__(self, most: int, largest: int) -> None:
        self.most = most
        self.largest = largest
        self.most_bytes = max(MOST_BYTES, 2 * largest)
        self.in_flight = 0
        self.bytes = 0
        self.relieve: Relieve = lambda _address, _room, _error: False

    def enter(self) -> None:
        """Take a request in hand.

        Raises:
            Overloaded: there are too many.
        """
        if self.in_flight >= self.most:
            raise Overloaded(self.in_flight, self.most, "requests are in hand already")
        self.in_flight += 1

    def leave(self, scope: MutableMapping[str, Any]) -> None:
        """Let a request go that was taken in hand, and what was held of it."""
        self.in_flight -= 1
        if self.bytes:
            self.bytes -= scope.pop(HELD, 0)

    def ensure_room(self, scope: MutableMapping[str, Any], size: int) -> None:
        """See to it that so much of a large body fits in.

        Raises:
            Overloaded: it does not.
        """
        if self.bytes and self.bytes + size > self.most_bytes:
            error = Overloaded(self.bytes, self.most_bytes, "bytes of bodies are in hand already")
            client = scope.get("client")
            if not self.relieve(client[0] if client else "", self.most_bytes, error):
                raise error

    def hold(self, scope: MutableMapping[str, Any], size: int) -> None:
        """Take in hand a part of a large body that has come.

        Raises:
            Overloaded: there is no room.
        """
        self.ensure_room(scope, size)
        self.bytes += size
        scope[HELD] = scope.get(HELD, 0) + size
