"""How many labels of a snapshot were taken back since, and how many of the one before it until then."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, LiteralString

import numpy as np
import psycopg

from store.history.batches import held_until
from store.snapshots.index import find_snapshot, read_contents
from store.snapshots.rules import Rule
from store.snapshots.uses import HOLDOUT, TRAIN

# By what they had read; by times alone those of before the clock was set back would come after it.
_READ: LiteralString = "({0}.last_seq, coalesce(({0}.history->>'batch')::int, 0), {0}.created_at)"
_BEFORE: LiteralString = (
    "SELECT p.digest FROM snapshot s JOIN snapshot p ON p.use_case = s.use_case AND "
    + _READ.replace("{0}", "p")
    + " < "
    + _READ.replace("{0}", "s")
    + " WHERE s.digest = %s ORDER BY p.last_seq DESC, coalesce((p.history->>'batch')::int, 0) DESC,"
    " p.created_at DESC LIMIT 1"
)
# A label that has been given and taken back again has another number each time.
_GONE = """
    SELECT DISTINCT t.seq FROM label_taken_back t JOIN snapshot s ON s.use_case = t.use_case
    WHERE s.digest = %s AND t.seq BETWEEN s.first_seq AND s.last_seq"""


@dataclass(frozen=True)
class TakenBack:
    """Labels that were taken back, of two snapshots; null where nobody knows any more what one held."""

    since_previous: int | None
    """Of those that the snapshot before held, the ones that this one does not hold therefore."""
    learned: int | None
    """Of those that this one holds to learn from, taken back since."""
    held_out: int | None
    """The same of those to judge on."""

    def as_dict(self) -> dict[str, int | None]:
        """As plain values, for JSON."""
        return asdict(self)


def count_taken_back(conn: psycopg.Connection[Any], digest: str) -> TakenBack:
    """What was taken back before and after a snapshot was taken."""
    own = _gone_of(conn, digest)
    before = conn.execute(_BEFORE, (digest,)).fetchone()
    earlier = {} if before is None else _gone_of(conn, before[0])
    since_previous = None
    if earlier is not None:
        since_previous = len(earlier.keys() - _still_held(conn, digest, list(earlier)))
    if own is None:
        return TakenBack(since_previous, None, None)
    uses = list(own.values())
    return TakenBack(since_previous, uses.count(TRAIN), uses.count(HOLDOUT))


def count_gone(conn: psycopg.Connection[Any], digest: str) -> int:
    """Labels that a snapshot holds and that were taken back since; 0 where nobody knows."""
    return len(_gone_of(conn, digest) or {})


def _gone_of(conn: psycopg.Connection[Any], digest: str) -> dict[int, str] | None:
    """Numbers of a snapshot's labels that were taken back since, with their use; None: unknown."""
    numbers = [row[0] for row in conn.execute(_GONE, (digest,))]
    if not numbers:  # nearly always, and what a snapshot holds takes a while to unpack
        return {}
    snapshot = find_snapshot(conn, digest)
    if snapshot.rule is not None:
        held = sorted(_held(conn, snapshot.use_case, snapshot.rule, numbers))
        uses = snapshot.rule.uses_of(np.array(held, dtype=np.int64)).tolist()
        return dict(zip(held, uses, strict=True))
    contents = read_contents(conn, digest)
    if contents is None:
        return None
    seq, split = contents
    places = np.flatnonzero(np.isin(seq, numbers))
    return dict(zip(seq[places].tolist(), split[places].tolist(), strict=True))


def _still_held(conn: psycopg.Connection[Any], digest: str, numbers: list[int]) -> set[int]:
    """Which of these a snapshot holds all the same: they were taken back after it."""
    if not numbers:
        return set()
    snapshot = find_snapshot(conn, digest)
    if snapshot.rule is not None:
        return _held(conn, snapshot.use_case, snapshot.rule, numbers)
    contents = read_contents(conn, digest)
    return set() if contents is None else set(numbers) & set(contents[0].tolist())


def _held(conn: psycopg.Connection[Any], use_case: str, rule: Rule, numbers: list[int]) -> set[int]:
    """Those of some labels that had not gone when the last batch of a snapshot was decided."""
    asked = np.unique(np.array(numbers, dtype=np.int64))
    return set(held_until(conn, use_case, rule.batch, asked).tolist())
