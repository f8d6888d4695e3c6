"""The rows of a snapshot, read from the history table: all, some, or in batches, proven by digests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa

from features.records.rows import rows_at_once
from store.errors import HistoryDamaged
from store.history.batches import Numbers
from store.history.layout import digests_of, objects, times_of
from store.history.reading import HistoryReader
from store.history.table import HistoryTable
from store.snapshots.frames import Frame, Newest, SplitRows
from store.snapshots.rows_on_disk import RowsOnDisk
from store.snapshots.rules import Rule, totals_of
from store.snapshots.uses import HOLDOUT, TRAIN, UNUSED

PROVEN = ("seq", "identity", "label", "time", "digest_1", "digest_2")
"""Columns besides the fields that a row is proven with."""


LEAST_GIVEN = 2048
"""Rows of an answer that DuckDB gives at once, however few are asked for: of large pictures gigabytes, which
are also more than it has memory for while it puts them in order."""


@dataclass(frozen=True)
class SnapshotRows:
    """A snapshot that is a rule."""

    table: HistoryTable
    rule: Rule
    digest: str
    scratch: Path
    """Where what does not fit into memory goes."""

    def check(self) -> None:
        """
        Raises:
            HistoryDamaged: the table does not hold what the snapshot held.
        """
        with self.reader() as reader:
            found = totals_of(reader, self.rule)
        if not found.are_of(self.table.use_case, self.digest):
            raise HistoryDamaged(
                f"the table of labelled rows at {self.table.uri} does not hold what snapshot "
                f"{self.digest[:12]} held: the digest is {found.digest[:12]}"
            )

    def frame(self, *, use: str | None = None, newest: Newest | None = None) -> Frame:
        """Its rows, oldest first.

        Args:
            use: only those that are used so (`store.snapshots.uses`).
            newest: of those to learn from only these.

        Raises:
            HistoryDamaged: a row is not what it was.
        """
        with self.reader() as reader:
            which = ["true"] if use is None else [self._used(reader, use)]
            if newest is not None:
                which.append(f"(split <> '{TRAIN}' OR {self._is_newest(reader, newest)})")
            lines = f"SELECT * FROM ({self._query(reader)}) WHERE {' AND '.join(which)}"
            return self._frame(_together(reader, lines, rows_at_once(self.table.layout.record)))

    def split(self, folder: Path, *, newest: Newest | None = None) -> SplitRows:
        """Its rows as a retrain takes them, of which those to learn from are written to a file.

        Args:
            folder: of a new file, for as long as the rows are used.
            newest: of those to learn from only these.

        Raises:
            HistoryDamaged: a row is not what it was.
        """
        path, layout = folder / f"rows-{uuid4()}.arrow", self.table.layout
        with self.reader() as reader:
            kept = "true" if newest is None else self._is_newest(reader, newest)
            names = ", ".join(f'"{one}"' for one in (*PROVEN, *layout.columns.values()))
            which = f"split = '{TRAIN}' AND {kept}"
            lines = f"SELECT {names}, split FROM ({self._query(reader)}) WHERE {which}"
            read = _in_order(reader, lines, rows_at_once(layout.record))
            learn = RowsOnDisk.write(path, layout, map(self._proven, read))
        with self.reader() as reader:
            which = self._used(reader, HOLDOUT, UNUSED)
            beside = f"SELECT * FROM ({self._query(reader)}) WHERE {which}"
            return SplitRows(learn, self._frame(_together(reader, beside, rows_at_once(layout.record))))

    def _query(self, reader: HistoryReader) -> str:
        """SQL of its rows and how each is used."""
        how, held = self.rule.use(reader), self.rule.members(reader)
        return f"SELECT *, {how} AS split FROM lines WHERE {held}"

    def _used(self, reader: HistoryReader, *uses: str) -> str:
        """SQL of which rows are used in one of some ways; where their numbers say it, only those are read."""
        named_uses = ", ".join(f"'{use}'" for use in uses)
        used = f"split IN ({named_uses})"
        if TRAIN in uses or self.rule.unused_below is not None:
            return used
        return f"{used} AND {_named(reader, np.concatenate([self.rule.held_out, self.rule.unused]))}"

    def _is_newest(self, reader: HistoryReader, newest: Newest) -> str:
        """SQL of which rows to learn from are the newest.

        Which are is asked of two columns alone: with all of them, all rows would be read to be put in order.
        """
        learned = f"SELECT time, seq FROM lines WHERE {self.rule.learned(reader)}"
        kept = "false"
        if newest.rows:
            order = f"{learned} ORDER BY time DESC, seq DESC LIMIT 1 OFFSET {newest.rows - 1}"
            first = reader.rows(f"SELECT epoch_us(time), seq FROM ({order})")
            if not first:  # there are not more
                return "true"
            ((time, seq),) = first
            instant = f"make_timestamptz({time})"
            kept = f"time >= {instant} AND (time > {instant} OR seq >= {seq})"
        if newest.span is not None:
            last = reader.one(f"SELECT epoch_us(max(time)) FROM ({learned})")
            span = int(newest.span.total_seconds() * 1e6)
            kept = "true" if last is None else f"{kept} OR time > make_timestamptz({last - span})"
        return f"({kept})"

    def rows_of(self, seq: Numbers) -> Frame:
        """Rows that it holds, by their numbers, oldest first.

        Raises:
            HistoryDamaged: a row is not what it was.
        """
        with self.reader() as reader:
            lines = f"SELECT * FROM ({self._query(reader)}) WHERE {_named(reader, seq)}"
            return self._frame(_together(reader, lines, rows_at_once(self.table.layout.record)))

    def numbers(self, *, use: str) -> Numbers:
        """Numbers of the rows that are used so, in ascending order."""
        with self.reader() as reader:
            how, held = self.rule.use(reader), self.rule.members(reader)
            return np.sort(reader.numbers(f"SELECT seq FROM lines WHERE {held} AND {how} = '{use}'"))

    def _proven(self, batch: pa.RecordBatch) -> pa.Table:
        table = pa.Table.from_batches([batch])
        self._frame(table)
        return table

    def _frame(self, table: pa.Table) -> Frame:
        frame = Frame(
            self.table.layout.fields_of(table),
            objects(table["label"]),
            objects(table["identity"]),
            table["seq"].to_numpy(),
            times_of(table["time"]),
            objects(table["split"]),
        )
        digests = digests_of(frame.columns, frame.labels, frame.identities, frame.seq, frame.time).view(
            np.int64
        )
        kept = np.stack([table["digest_1"].to_numpy(), table["digest_2"].to_numpy()], axis=1)
        if wrong := int((digests != kept).any(axis=1).sum()):
            raise HistoryDamaged(
                f"{wrong} rows of the table at {self.table.uri} are not what they were when they were written"
            )
        return frame

    def reader(self) -> HistoryReader:
        """Asks the table."""
        return HistoryReader(self.table, folder=self.scratch)


def _together(reader: HistoryReader, lines: str, rows: int) -> pa.Table:
    """The answer to such a query, all of it."""
    if rows >= LEAST_GIVEN:
        return reader.arrow(f"{lines} ORDER BY time, seq")
    # To put wide rows in order takes more memory than DuckDB has for them.
    nothing = reader.arrow(f"{lines} AND false")
    return pa.Table.from_batches(_in_order(reader, lines, rows), nothing.schema)


def _in_order(reader: HistoryReader, lines: str, rows: int) -> Iterator[pa.RecordBatch]:
    """The answer to a query that ends with a condition, oldest first, so many rows at a time."""
    if rows >= LEAST_GIVEN:
        yield from reader.batches(f"{lines} ORDER BY time, seq", rows=rows)
        return
    seq = reader.numbers(f"SELECT seq FROM ({lines}) ORDER BY time, seq")
    for start in range(0, len(seq), rows):
        some = _named(reader, seq[start : start + rows])
        yield from reader.arrow(f"{lines} AND {some} ORDER BY time, seq").to_batches()


def _named(reader: HistoryReader, seq: Numbers) -> str:
    """SQL of which rows have one of these numbers: of files that can have none, nothing is read."""
    if not len(seq):
        return "false"
    named = reader.given({"seq": seq})
    return f"seq BETWEEN {seq.min()} AND {seq.max()} AND seq IN (SELECT seq FROM {named})"
