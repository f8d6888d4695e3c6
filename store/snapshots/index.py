"""The table of snapshots: where each file is and which rows it holds; `store.snapshots.files` reads them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, LiteralString

import numpy as np
import psycopg
from numpy.typing import NDArray

from store.errors import UnknownSnapshot
from store.quarantine.reasons import RefusedReason
from store.snapshots.rules import Rule
from store.snapshots.uses import HOLDOUT, TRAIN, UNUSED, Split
from store.sources.standings import SourceStanding

_SPLITS = np.array([TRAIN, HOLDOUT, UNUSED], dtype=object)
_ROW_BYTES = 9


@dataclass(frozen=True)
class Snapshot:
    """One row of `snapshot`."""

    digest: str
    use_case: str
    path: Path
    """Its file, where an earlier release took it; else its history table."""
    rows: int
    train_rows: int
    holdout_rows: int
    first_seq: int
    last_seq: int
    created_at: datetime
    records: int | None = None
    """Different records among its rows; None for a snapshot that an earlier release took."""
    settled_at: datetime | None = None
    """All rows that had arrived before could be seen; None for a snapshot that an earlier release took."""
    contradicted: int | None = None
    """Records that equal others but for the label, or that have several labels."""
    group: str | None = None
    """By which rows are of one record, where it has just been taken and there is one."""
    left_out: tuple[RefusedReason, ...] = ()
    """Why stored rows did not fit the configuration, where it has just been taken."""
    left_out_rows: int = 0
    held_back: tuple[SourceStanding, ...] = ()
    """Sources whose labels were left out, where it has just been taken."""
    taken_back: int = 0
    """Labels of the snapshot before that were taken back since, where it has just been taken."""
    rule: Rule | None = None
    """Which rows of the history table it holds; None: it is a file of an earlier release, or was pruned."""
    counted_by: str | None = None
    """What records were told apart by, besides ids and groups."""
    summed: Mapping[str, Any] | None = None
    """What the next one is summed up from (`store.splits.summed`)."""
    place: str = ""
    """The path as it was written down; of a table in an object store its address."""

    @property
    def uri(self) -> str:
        """Where it is, as an address."""
        return self.place if "://" in self.place else self.path.as_uri()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of its rows before believing a score."""
        told = []
        one = "record" if self.group is None else f"'{self.group}'"
        if self.records is not None and self.records < self.rows:
            which = "are" if self.group is None else "have"
            many = "records" if self.group is None else f"values of '{self.group}'"
            told.append(
                f"{self.rows} rows {which} {self.records} different {many}; all rows of a {one} are either "
                "learned from or held out"
            )
        if self.contradicted:
            of = "the records" if self.group is None else "these"
            told.append(f"{self.contradicted} of {of} have rows with different labels")
        if self.taken_back:
            labels = "1 label was" if self.taken_back == 1 else f"{self.taken_back:,} labels were"
            told.append(f"{labels} taken back since the previous snapshot, and left out")
        told += [
            f"{one.labels:,} labels of source '{one.name}' were left out, as it is held back: {one.reason}"
            for one in self.held_back
        ]
        return tuple(told)


_COLUMNS: LiteralString = (
    "digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq, created_at, records,"
    " settled_at, contradicted, summed, history, held_out, unused, used"
)


def find_snapshot(conn: psycopg.Connection[Any], digest: str) -> Snapshot:
    """The snapshot of this digest.

    Raises:
        UnknownSnapshot: there is none.
    """
    row = conn.execute(f"SELECT {_COLUMNS} FROM snapshot WHERE digest = %s", (digest,)).fetchone()
    if row is None:
        raise UnknownSnapshot(digest)
    return _snapshot(row)


def newest_by_rule(conn: psycopg.Connection[Any], use_case: str) -> Snapshot | None:
    """The newest snapshot that is a rule; None: there is none."""
    row = conn.execute(
        f"SELECT {_COLUMNS} FROM snapshot WHERE use_case = %s AND history IS NOT NULL"
        " ORDER BY (history->>'batch')::int DESC, created_at DESC LIMIT 1",
        (use_case,),
    ).fetchone()
    return None if row is None else _snapshot(row)


def kept_rules(conn: psycopg.Connection[Any], use_case: str) -> list[Rule]:
    """Of all snapshots that are kept as rules, what they are."""
    rows = conn.execute(
        "SELECT history, held_out, unused, used FROM snapshot WHERE use_case = %s AND history IS NOT NULL",
        (use_case,),
    ).fetchall()
    return [Rule.read(*row) for row in rows]


def _snapshot(row: tuple[Any, ...]) -> Snapshot:
    *known, summed, history, held_out, unused, used = row
    place, known[2] = known[2], Path(known[2])
    snapshot = replace(Snapshot(*known), place=place, summed=summed)
    if history is None:
        return snapshot
    rule = Rule.read(history, held_out, unused, used)
    return replace(snapshot, rule=rule, counted_by=history["counted_by"])


def pack_contents(seq: NDArray[np.int64], split: Split) -> bytes:
    """Which rows a snapshot holds, in its order, and how each is used: a bit or two a row, as a rule."""
    steps = np.diff(seq, prepend=0).astype("<i8")
    places = {name: place for place, name in enumerate(_SPLITS)}
    codes = np.array([places[use] for use in split], dtype=np.uint8)
    return zlib.compress(steps.tobytes() + codes.tobytes())


def read_contents(conn: psycopg.Connection[Any], digest: str) -> tuple[NDArray[np.int64], Split] | None:
    """What `pack_contents` was given; None for a snapshot that an earlier Ratchet took."""
    packed = _unpacked(conn, digest)
    if packed is None:
        return None
    seq = _seq_of(packed)
    return seq, _SPLITS[np.frombuffer(packed, np.uint8, len(seq), offset=8 * len(seq))]


def read_numbers(conn: psycopg.Connection[Any], digest: str) -> NDArray[np.int64] | None:
    """Which rows a snapshot holds, in its order; None for one that an earlier Ratchet took."""
    packed = _unpacked(conn, digest)
    return None if packed is None else _seq_of(packed)


def _unpacked(conn: psycopg.Connection[Any], digest: str) -> bytes | None:
    row = conn.execute("SELECT contents FROM snapshot WHERE digest = %s", (digest,)).fetchone()
    return None if row is None or row[0] is None else zlib.decompress(row[0])


def _seq_of(packed: bytes) -> NDArray[np.int64]:
    return np.cumsum(np.frombuffer(packed, "<i8", len(packed) // _ROW_BYTES)).astype(np.int64)


def keep_contents(conn: psycopg.Connection[Any], digest: str, seq: NDArray[np.int64], split: Split) -> None:
    """Write down the contents of a snapshot that an earlier Ratchet took. The caller commits."""
    conn.execute(
        "UPDATE snapshot SET contents = %s WHERE digest = %s AND contents IS NULL",
        (pack_contents(seq, split), digest),
    )
