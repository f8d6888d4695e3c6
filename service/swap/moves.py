"""Which moves of production a worker has followed: an announcement that did not reach it is made up for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from models.production import ledger
from service.answers.slot import Slot


class FollowedMoves:
    """The last move of each use case that this worker knows of, by its row in the ledger.

    A version that this worker refuses is tried anew when it is made production again. Where that was
    announced while the worker did not listen, only the ledger tells.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def begin(self, conn: psycopg.Connection[Any], slots: Iterable[Slot]) -> None:
        """Take what has happened so far as followed, unless that was done before."""
        for slot in slots:
            if slot.name not in self._last:
                move = ledger.last_move(conn, slot.name)
                self.follow(slot.name, 0 if move is None else move.id)

    def follow(self, use_case: str, move: int) -> None:
        """Note that one was announced to this worker, or made up for."""
        self._last[use_case] = max(move, self._last.get(use_case, 0))

    def is_followed(self, use_case: str, move: int) -> bool:
        """Whether one is known of already; one without a row is not."""
        return 0 < move <= self._last.get(use_case, 0)

    def may_have_moved(self, use_case: str) -> bool:
        """Whether production ever moved; also where the ledger could not be asked yet."""
        return self._last.get(use_case, 1) > 0

    def missed(self, conn: psycopg.Connection[Any], slots: Iterable[Slot]) -> list[tuple[Slot, ledger.Entry]]:
        """Moves to versions that are refused here, later than what was followed."""
        self.begin(conn, slots)
        last = [(slot, ledger.last_move(conn, slot.name)) for slot in slots if slot.refused]
        return [
            (slot, move)
            for slot, move in last
            if move is not None and move.id > self._last[slot.name] and move.to_version in slot.refused
        ]
