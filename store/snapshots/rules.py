"""Which rows of the history table a snapshot holds, and how each is used, as a rule: nothing is copied.

A rule names the batches that there were, whose labels did not count, and the rows that are not learned from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from store.history.batches import Numbers, pack_numbers, unpack_numbers
from store.history.kinds import IS_ROW, as_of
from store.snapshots.uses import HOLDOUT, TRAIN, UNUSED, Split

if TYPE_CHECKING:
    from store.history.reading import HistoryReader  # servers read what a rule is, and have no DuckDB

_NO_ROWS: Numbers = np.array([], dtype=np.int64)
_LANE = 2**64


@dataclass(frozen=True)
class Rule:
    """What a snapshot is."""

    table: str
    """Name of the table: the digest of the `record` section."""
    batch: int
    """The last batch that counts."""
    held_sources: tuple[str, ...] = ()
    """Sources and keys whose labels did not count."""
    wrong_labels: tuple[str, ...] = ()
    """Labels that the configuration did not allow."""
    unused_below: float | None = None
    """Records whose share is below are not learned from; None: there are none."""
    held_out: Numbers = field(default_factory=lambda: _NO_ROWS)
    """Rows to judge on."""
    unused: Numbers = field(default_factory=lambda: _NO_ROWS)
    """Other rows that are not learned from."""
    used: Numbers = field(default_factory=lambda: _NO_ROWS)
    """Rows that are learned from though their own share is below: that of their record is not."""

    def as_dict(self) -> dict[str, Any]:
        """All but the rows, for JSON."""
        return {
            "table": self.table,
            "batch": self.batch,
            "held_sources": list(self.held_sources),
            "wrong_labels": list(self.wrong_labels),
            "unused_below": self.unused_below,
        }

    def packed_rows(self) -> tuple[bytes, bytes, bytes]:
        """Rows to judge on, those that are not used, and those that are all the same."""
        return pack_numbers(self.held_out), pack_numbers(self.unused), pack_numbers(self.used)

    @classmethod
    def read(cls, document: Mapping[str, Any], held_out: bytes, unused: bytes, used: bytes) -> Rule:
        """The rule of a stored snapshot."""
        return cls(
            document["table"],
            document["batch"],
            tuple(document["held_sources"]),
            tuple(document["wrong_labels"]),
            document["unused_below"],
            unpack_numbers(held_out),
            unpack_numbers(unused),
            unpack_numbers(used),
        )

    def uses_of(self, seq: Numbers) -> Split:
        """How n rows are used that it holds, shape (n,), as far as that is told by their numbers alone."""
        uses = np.full(len(seq), TRAIN, dtype=object)
        uses[np.isin(seq, self.unused)] = UNUSED
        uses[np.isin(seq, self.held_out)] = HOLDOUT
        return uses

    def counts(self, reader: HistoryReader) -> str:
        """SQL of which lines are of sources whose labels counted."""
        if not self.held_sources:
            return "true"
        held = reader.given({"name": np.array(self.held_sources, dtype=object)})
        return (
            f"(said_by NOT IN (SELECT name FROM {held})"
            f" AND split_part(said_by, '/', 1) NOT IN (SELECT name FROM {held}))"
        )

    def members(self, reader: HistoryReader) -> str:
        """SQL of which lines the snapshot holds."""
        conditions = [IS_ROW, as_of(self.batch), self.counts(reader)]
        if self.wrong_labels:
            wrong = reader.given({"label": np.array(self.wrong_labels, dtype=object)})
            conditions.append(f"label NOT IN (SELECT label FROM {wrong})")
        return " AND ".join(conditions)

    def use(self, reader: HistoryReader) -> str:
        """SQL of how a line that it holds is used."""
        cases = []
        if len(self.held_out):
            cases.append((f"seq IN (SELECT seq FROM {reader.given({'seq': self.held_out})})", HOLDOUT))
        if len(self.unused):
            cases.append((f"seq IN (SELECT seq FROM {reader.given({'seq': self.unused})})", UNUSED))
        if self.unused_below is not None:
            below = f"share < {self.unused_below!r}"
            if len(self.used):
                below += f" AND seq NOT IN (SELECT seq FROM {reader.given({'seq': self.used})})"
            cases.append((below, UNUSED))
        if not cases:
            return f"'{TRAIN}'"
        told = " ".join(f"WHEN {one} THEN '{use}'" for one, use in cases)
        return f"CASE {told} ELSE '{TRAIN}' END"

    def learned(self, reader: HistoryReader) -> str:
        """SQL of which lines it holds to learn from."""
        return f"({self.members(reader)} AND {self.use(reader)} = '{TRAIN}')"


@dataclass(frozen=True)
class Sums:
    """Rows that are used in one way: how many, and the sums of their digests, each modulo 2**64."""

    rows: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.rows + other.rows, (self.first + other.first) % _LANE, (self.second + other.second) % _LANE
        )

    def __sub__(self, other: Sums) -> Sums:
        return self + Sums(-other.rows, -other.first, -other.second)


@dataclass(frozen=True)
class Totals:
    """What a snapshot holds, counted."""

    sums: Mapping[str, Sums]
    """By use."""
    first_seq: int
    last_seq: int

    @property
    def rows(self) -> dict[str, int]:
        """By use, where there are any."""
        return {use: one.rows for use, one in self.sums.items() if one.rows}

    @property
    def digest(self) -> str:
        """SHA-256 in hex of the number of rows and the sum of their digests, by use.

        The order in which the table has them, and in which files, does not matter.
        """
        hashed = hashlib.sha256(b"labelled rows, 1")
        for use in (TRAIN, HOLDOUT, UNUSED):
            one = self.sums.get(use, Sums())
            hashed.update(f"\n{use}:{one.rows}:{one.first:016x}:{one.second:016x}".encode())
        return hashed.hexdigest()

    def digest_of(self, use_case: str) -> str:
        """What a snapshot of a use case is known by: its digest, and without rows that of its name.

        Rows are of one use case alone; without any the digest is the same for all.
        """
        return self.digest if self.rows else hashlib.sha256(f"no rows of {use_case}".encode()).hexdigest()

    def are_of(self, use_case: str, digest: str) -> bool:
        """Whether a snapshot of this digest holds that; earlier releases knew all without rows by one."""
        return digest in (self.digest_of(use_case), self.digest)


def totals_of(reader: HistoryReader, rule: Rule, *, among: str = "lines") -> Totals:
    """Count the rows of a snapshot by use, and sum up the digests of all that it holds of them.

    Args:
        among: the table of lines to look at; default all.
    """
    counted = {
        use: (Sums(count, *(one % _LANE for one in sums)), first, last)
        for use, count, *sums, first, last in reader.rows(
            f"SELECT {rule.use(reader)} AS use, count(*), sum(digest_1::hugeint), sum(digest_2::hugeint),"
            f" min(seq), max(seq) FROM {among} WHERE {rule.members(reader)} GROUP BY 1"
        )
    }
    return Totals(
        {use: one[0] for use, one in counted.items()},
        min((one[1] for one in counted.values()), default=0),
        max((one[2] for one in counted.values()), default=0),
    )
