"""Which connection to close where a worker has as many as it can keep: the one that its client needs least.

Only those are closed on which the worker waits for its client: none that it works for. First those on which
nothing goes on, then requests that are not whole, the slowest first, then answers that nobody reads. Of each
kind it is taken from the address that has the most of them, so that nobody pays for another's many. Behind a
proxy all have one address; then the order alone decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

from service.http.exchange import SMALL_BODY

RANKED_SECONDS = 1.0
"""A ranking is good for so long; who has done anything since is passed over."""
RANKED_SHARE = 8
"""Nor for more than the first so-manieth part of it: those who came since are not in it."""
GRACE_SECONDS = 2.0
"""A body that is younger, or not further behind, comes well."""
SLOW_BYTES = 128 * 1024
"""A second: below that a large body comes slowly, where others wait for its room."""
EMPTY_SECONDS = 0.05
"""Nor is there another look sooner, where all were at work."""


class Waits(IntEnum):
    """What a worker waits for, in the order in which it gives up on it."""

    IDLE = 0
    REQUEST = 1
    READER = 2


@dataclass(frozen=True)
class Claim:
    """How much a connection that waits is worth: of equals, the one with the least credit goes."""

    waits: Waits
    credit: float
    """0, or so many seconds below it as its client is behind."""


class Connection(Protocol):
    """What is ranked."""

    address: str
    """Of the client."""
    since: float
    """When its last request began."""
    received: int
    """Bytes of its body so far."""

    def claim(self, now: float) -> Claim | None:
        """Its worth; None while it is worked for."""


C = TypeVar("C", bound=Connection)


class Ranking(Generic[C]):
    """The order in which connections are closed; made at once for many, since many come at once."""

    def __init__(self) -> None:
        self._ranked: list[tuple[Waits, float, C]] = []
        self._made = float("-inf")
        self._empty_until = float("-inf")

    def take(self, connections: Iterable[C], newcomer: C, now: float) -> C | None:
        """The next to close, for `newcomer`; None where all are at work."""
        if now - self._made > RANKED_SECONDS:
            self._ranked.clear()
        connection = self._pop(newcomer, now)
        if connection is None and now >= self._empty_until:
            self._rank(connections, newcomer, now)
            connection = self._pop(newcomer, now)
            if connection is None:
                self._empty_until = now + EMPTY_SECONDS
        return connection

    def _pop(self, newcomer: C, now: float) -> C | None:
        while self._ranked:
            waits, since, one = self._ranked.pop()
            claim = one.claim(now)
            if one is not newcomer and one.since == since and claim is not None and claim.waits <= waits:
                return one
        return None

    def _rank(self, connections: Iterable[C], newcomer: C, now: float) -> None:
        groups: dict[tuple[Waits, str], list[tuple[float, C]]] = defaultdict(list)
        for one in connections:
            if one is not newcomer and (claim := one.claim(now)) is not None:
                groups[claim.waits, one.address].append((claim.credit, one))
        order: list[tuple[Waits, int, float, C]] = []
        for (waits, _), members in groups.items():
            members.sort(key=lambda member: member[0])
            # Taken one by one, always from the address that has the most left.
            order += [
                (waits, place - len(members), credit, one) for place, (credit, one) in enumerate(members)
            ]
        order.sort(key=lambda entry: entry[:3], reverse=True)
        first = order[-max(1, len(order) // RANKED_SHARE) :]
        self._ranked = [(waits, one.since, one) for waits, _, _, one in first]
        self._made = now


def slowest_body(connections: Iterable[C], asking: str, room: int, now: float) -> C | None:
    """The one whose large body is dropped where there is no room for another; None where all come well.

    It is one of the address that has sent the most. Where that holds more than half of the `room`, and
    another is `asking`, it makes room however well its bodies come.
    """
    groups: dict[str, list[tuple[float, C]]] = defaultdict(list)
    for one in connections:
        claim = one.claim(now) if one.received > SMALL_BODY and now - one.since > GRACE_SECONDS else None
        if claim is not None and claim.waits is Waits.REQUEST:
            groups[one.address].append((claim.credit, one))
    if not groups:
        return None
    address, members = max(groups.items(), key=lambda group: sum(one.received for _, one in group[1]))
    credit, slowest = min(members, key=lambda member: (member[0], member[1].received))
    slow = credit < -GRACE_SECONDS or slowest.received / (now - slowest.since) < SLOW_BYTES
    greedy = address != asking and sum(one.received for _, one in members) > room / 2
    return slowest if slow or greedy else None
