"""What versions have learned from, by all that a row may be known by: its identity, content and group.

`Learned` has it in memory; `LearnedRows` asks the history table, whatever its size, about rows in question.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from store.feedback.rows import NO_KEY, FeedbackRows
from store.history.batches import Numbers
from store.history.kinds import IS_ANY_ROW, IS_ROW, as_of
from store.history.reading import HistoryReader
from store.history.table import HistoryTable
from store.snapshots.rules import Rule

Keys = NDArray[np.int64]
_NOTHING: Keys = np.array([], dtype=np.int64)


@dataclass(frozen=True)
class Learned:
    """Rows that were learned from."""

    identities: frozenset[str] = frozenset()
    arrivals: Keys = field(default_factory=lambda: _NOTHING)
    """Numbers of the rows; one whose label was corrected since has another."""
    contents: Keys = field(default_factory=lambda: _NOTHING)
    groups: Keys = field(default_factory=lambda: _NOTHING)

    @overload
    def __or__(self, other: Learned) -> Learned: ...
    @overload
    def __or__(self, other: LearnedRows) -> LearnedRows: ...
    @overload
    def __or__(self, other: AnyLearned) -> AnyLearned: ...
    def __or__(self, other: AnyLearned) -> AnyLearned:
        if isinstance(other, LearnedRows):
            return other | self
        return Learned(
            self.identities | other.identities,
            np.union1d(self.arrivals, other.arrivals),
            np.union1d(self.contents, other.contents),
            np.union1d(self.groups, other.groups),
        )

    def holds(self, identities: Collection[str]) -> NDArray[np.bool_]:
        """Which of n rows have an identity that was learned from, shape (n,)."""
        if not self.identities:
            return np.zeros(len(identities), dtype=np.bool_)
        return np.array([identity in self.identities for identity in identities], dtype=np.bool_)

    def holds_truth(self, seq: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of n rows were learned from with the label that they have now, shape (n,)."""
        return np.isin(seq, self.arrivals)

    def holds_record(self, rows: FeedbackRows, *, by_content: bool) -> NDArray[np.bool_]:
        """Which rows are of a record that was learned from, whatever identity they have now, shape (n,).

        Args:
            by_content: whether equal records are one.
        """
        held = self.holds(rows.identities) | np.isin(rows.groups, self.groups)
        return held | np.isin(rows.contents, self.contents) if by_content else held

    @property
    def last(self) -> int:
        """The newest arrival; 0: there is none."""
        return int(self.arrivals.max(initial=0))


NOTHING_LEARNED = Learned()


@dataclass(frozen=True)
class Until:
    """All rows that had come by an arrival, also those that were corrected since."""

    last_seq: int

    def learned(self, _: HistoryReader) -> str:
        """SQL of which lines these are."""
        return f"({IS_ANY_ROW} AND seq <= {self.last_seq})"


@dataclass(frozen=True)
class Arrivals:
    """Rows by their numbers: those of a snapshot that an earlier release wrote to a file."""

    seq: Numbers

    def learned(self, reader: HistoryReader) -> str:
        """SQL of which lines these are."""
        return f"({IS_ANY_ROW} AND seq IN (SELECT seq FROM {reader.given({'seq': self.seq})}))"


Part = Rule | Until | Arrivals


@dataclass(frozen=True)
class LearnedRows:
    """Rows of the history table that were learned from."""

    table: HistoryTable
    parts: tuple[Part, ...] = ()
    others: frozenset[str] = frozenset()
    """Identities of rows that were learned from and that no table has."""
    scratch: Path | None = None
    """Where a question may write what does not fit into memory."""

    def __or__(self, other: AnyLearned) -> LearnedRows:
        if isinstance(other, LearnedRows):
            return replace(self, parts=self.parts + other.parts, others=self.others | other.others)
        if len(other.arrivals) or other.identities:
            raise TypeError("rows in memory cannot be put beside those of a table")
        return self

    def condition(self, reader: HistoryReader) -> str:
        """SQL of which lines were learned from."""
        return " OR ".join(part.learned(reader) for part in self.parts) or "false"

    def near(self, rows: FeedbackRows) -> Learned:
        """All that was learned from and has an identity, content or group of these rows, or their number."""
        with HistoryReader(self.table, folder=self.scratch) as reader:
            return self.near_in(reader, rows)

    def near_in(
        self, reader: HistoryReader, rows: FeedbackRows, *, unlearned: bool = False, among: str = "lines"
    ) -> Learned:
        """The same, of a table that is open.

        Args:
            unlearned: these rows are known to be none that were learned from as they are now: only what they
                were before is looked for by their identities.
            among: a table of all lines with a content or a group of these rows.
        """
        learned = self.condition(reader)
        keys = _keys_among(reader, f"({learned})", {"contents": rows.contents, "groups": rows.groups}, among)
        names = reader.given({"identity": rows.identities})
        lines = reader.older() if unlearned else "lines"
        found = reader.rows(
            f"SELECT DISTINCT identity FROM {lines} WHERE ({learned})"
            f" AND identity IN (SELECT identity FROM {names})"
        )
        identities = {str(row[0]) for row in found} | (self.others & set(rows.identities.tolist()))
        arrivals = _NOTHING if unlearned else self._arrivals(reader, learned, rows.seq)
        return Learned(frozenset(identities), arrivals, keys["contents"], keys["groups"])

    def ids_in(
        self, reader: HistoryReader, ids: Keys, contents: Keys, batch: int, *, among: str = "lines"
    ) -> tuple[Keys, Keys]:
        """Which of these ids, and contents without an id, rows have that stand and were learned from.

        Args:
            batch: up to which they stand.
            among: a table of all lines with one of these ids or contents.
        """
        learned = f"({self.condition(reader)}) AND {IS_ROW} AND {as_of(batch)}"
        found = _keys_among(reader, learned, {"ids": ids}, among)
        alone = _keys_among(reader, f"{learned} AND ids = {NO_KEY}", {"contents": contents}, among)
        return found["ids"], alone["contents"]

    def holds(self, identities: Collection[str]) -> NDArray[np.bool_]:
        """As `Learned.holds`."""
        with HistoryReader(self.table, folder=self.scratch) as reader:
            names = reader.given({"identity": np.array([*identities, ""], dtype=object)})
            found = reader.execute(
                f"SELECT DISTINCT identity FROM lines WHERE ({self.condition(reader)})"
                f" AND identity IN (SELECT identity FROM {names})"
            ).fetchall()
        return Learned(frozenset(str(row[0]) for row in found) | self.others).holds(identities)

    def holds_truth(self, seq: NDArray[np.int64]) -> NDArray[np.bool_]:
        """As `Learned.holds_truth`."""
        with HistoryReader(self.table, folder=self.scratch) as reader:
            return np.isin(seq, self._arrivals(reader, self.condition(reader), seq))

    @property
    def last(self) -> int:
        """The newest arrival; 0: there is none."""
        with HistoryReader(self.table, folder=self.scratch) as reader:
            return int(reader.one(f"SELECT coalesce(max(seq), 0) FROM lines WHERE {self.condition(reader)}"))

    def _arrivals(self, reader: HistoryReader, learned: str, seq: NDArray[np.int64]) -> Keys:
        asked = reader.given({"seq": seq})
        return reader.numbers(
            f"SELECT DISTINCT seq FROM lines WHERE ({learned}) AND seq IN (SELECT seq FROM {asked})"
        )


AnyLearned = Learned | LearnedRows


def near(learned: AnyLearned, rows: FeedbackRows) -> Learned:
    """What must be known of what was learned to say which of these rows are of it."""
    return learned if isinstance(learned, Learned) else learned.near(rows)


def _keys_among(reader: HistoryReader, which: str, wanted: Mapping[str, Keys], lines: str) -> dict[str, Keys]:
    """By column, which of these keys such lines have; the table `lines` is gone through once."""
    asked = {key: np.unique(values[values != NO_KEY]) for key, values in wanted.items()}
    found = dict.fromkeys(wanted, _NOTHING)
    asked = {key: values for key, values in asked.items() if len(values)}
    if not asked:
        return found
    among = {
        key: f"{key} IN (SELECT {key} FROM {reader.given({key: values})})" for key, values in asked.items()
    }
    columns = ", ".join(f"CASE WHEN {one} THEN {key} END AS {key}" for key, one in among.items())
    answer = reader.arrow(
        f"SELECT DISTINCT {columns} FROM {lines} WHERE {which} AND ({' OR '.join(among.values())})"
    )
    return found | {key: np.unique(answer[key].drop_null().to_numpy()).astype(np.int64) for key in asked}
