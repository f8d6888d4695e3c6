"""A snapshot to draw from: a rule of the history table, or the file of an earlier release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from store.history.layout import objects
from store.history.reading import HistoryReader
from store.samples.chance import Lots, Numbers, draw
from store.snapshots.frames import Frame
from store.snapshots.opening import SnapshotRows
from store.snapshots.uses import HOLDOUT

T = TypeVar("T")
_NOTHING: Numbers = np.array([], dtype=np.int64)


@dataclass(frozen=True)
class Drawn:
    """Rows by their numbers, rising."""

    by_chance: Numbers
    newest: Numbers = field(default_factory=lambda: _NOTHING)
    rows: int = 0
    """Of how many both were drawn."""

    @property
    def seq(self) -> Numbers:
        """All of them."""
        return np.union1d(self.by_chance, self.newest)


class RowsToDraw(Protocol):
    """What a snapshot holds, without the rows that are not to be looked at."""

    def draw(self, count: int, seed: int, *, use: str | None = None, one_newest_in: int = 0) -> Drawn:
        """At most so many rows by chance: the same of the same rows and seed.

        Args:
            count: at most so many; where there are not more, all.
            seed: of the draw.
            use: only rows that are used so (`store.snapshots.uses`); None: all.
            one_newest_in: beside them the newest, at most so many as well: one in so many rows; 0: none.
        """
        ...

    def read(self, seq: Numbers) -> Frame:
        """Rows by their numbers, oldest first."""
        ...

    def labels(self, seq: Numbers) -> tuple[NDArray[np.object_], Numbers]:
        """Labels of rows by their numbers, oldest first, and the numbers."""
        ...

    def label_counts(self) -> Mapping[str, int]:
        """Label to how many rows have it, in the order in which they come first."""
        ...

    def held_out(self) -> Numbers:
        """Rows to judge on, rising."""
        ...


class MadeGood(Protocol):
    """Reads; again after a table that is damaged was made again."""

    def __call__(self, read: Callable[[], T]) -> T:
        """What is read."""
        ...


@dataclass(frozen=True)
class TableRows:
    """Of a snapshot that is a rule: what is asked for is read, and of the rest at most what decides that."""

    rows: SnapshotRows
    without: Numbers
    """Rows that are not looked at."""
    made_good: MadeGood

    def draw(self, count: int, seed: int, *, use: str | None = None, one_newest_in: int = 0) -> Drawn:
        """As `RowsToDraw.draw`; the numbers of all rows are gone through once."""
        return self.made_good(partial(self._draw, count, seed, use, one_newest_in))

    def _draw(self, count: int, seed: int, use: str | None, one_newest_in: int) -> Drawn:
        with self.rows.reader() as reader:
            which = self._which(reader)
            if use is not None:
                which += f" AND {self.rows.rule.use(reader)} = '{use}'"
            lots = Lots(count, seed)
            for batch in reader.batches(f"SELECT seq FROM lines WHERE {which}", rows=2**20):
                lots.add(batch.column(0).to_numpy())
            newest = _newest(lots.put_in, count, one_newest_in)
            recent = reader.numbers(
                f"SELECT seq FROM lines WHERE {which} ORDER BY time DESC, seq DESC LIMIT {newest}"
            )
        return Drawn(lots.drawn, np.sort(recent), lots.put_in)

    def read(self, seq: Numbers) -> Frame:
        """As `RowsToDraw.read`."""
        return self.made_good(lambda: self.rows.rows_of(np.setdiff1d(seq, self.without)))

    def labels(self, seq: Numbers) -> tuple[NDArray[np.object_], Numbers]:
        """As `RowsToDraw.labels`."""
        return self.made_good(partial(self._labels, seq))

    def _labels(self, seq: Numbers) -> tuple[NDArray[np.object_], Numbers]:
        with self.rows.reader() as reader:
            asked = reader.given({"seq": seq})
            found = reader.arrow(
                f"SELECT label, seq FROM lines WHERE {self._which(reader)}"
                f" AND seq IN (SELECT seq FROM {asked}) ORDER BY time, seq"
            )
        return objects(found["label"]), found["seq"].to_numpy()

    def label_counts(self) -> Mapping[str, int]:
        """As `RowsToDraw.label_counts`; no row comes into memory."""
        return self.made_good(self._label_counts)

    def _label_counts(self) -> Mapping[str, int]:
        with self.rows.reader() as reader:
            found = reader.rows(
                f"SELECT label, count(*) FROM lines WHERE {self._which(reader)}"
                " GROUP BY label ORDER BY min(time), min(seq)"
            )
        return {str(label): int(rows) for label, rows in found}

    def held_out(self) -> Numbers:
        """As `RowsToDraw.held_out`."""
        return np.setdiff1d(self.rows.rule.held_out, self.without)

    def _which(self, reader: HistoryReader) -> str:
        which = self.rows.rule.members(reader)
        if len(self.without):
            which += f" AND seq NOT IN (SELECT seq FROM {reader.given({'seq': self.without})})"
        return which


@dataclass(frozen=True)
class FrameRows:
    """Of a file that an earlier release wrote, which is in memory."""

    frame: Frame

    def draw(self, count: int, seed: int, *, use: str | None = None, one_newest_in: int = 0) -> Drawn:
        """As `RowsToDraw.draw`."""
        seq = self.frame.used(use).seq
        newest = _newest(len(seq), count, one_newest_in)
        return Drawn(np.sort(draw(seq, count, seed)), np.sort(seq[len(seq) - newest :]), len(seq))

    def read(self, seq: Numbers) -> Frame:
        """As `RowsToDraw.read`."""
        return self.frame.take(np.flatnonzero(np.isin(self.frame.seq, seq)))

    def labels(self, seq: Numbers) -> tuple[NDArray[np.object_], Numbers]:
        """As `RowsToDraw.labels`."""
        rows = self.read(seq)
        return rows.labels, rows.seq

    def label_counts(self) -> Mapping[str, int]:
        """As `RowsToDraw.label_counts`."""
        return Counter(map(str, self.frame.labels.tolist()))

    def held_out(self) -> Numbers:
        """As `RowsToDraw.held_out`."""
        return np.sort(self.frame.seq[self.frame.split == HOLDOUT])


def _newest(rows: int, count: int, one_in: int) -> int:
    return min(count, rows // one_in) if one_in else 0
