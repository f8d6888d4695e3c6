"""The table itself: a Delta table, to which batches are appended that it does not hold yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import psycopg
import pyarrow as pa
from deltalake import DeltaTable, WriterProperties, write_deltalake

from features.records.contract import RecordContract
from features.records.rows import stored_rows_at_once
from store.errors import HistoryDamaged, HistoryError
from store.feedback.rows import BATCH, RowVersions, StoredVersion, check_versions, read_versions
from store.history.batches import Batch, are_decided, read_batches, read_mark
from store.history.delta import (
    OFTEN_SUMMED_UP,
    Told,
    append_batch,
    changing_alone,
    delete_table,
    described_record,
    is_summed_up_often,
    join_files,
    last_batch,
    last_decided_at,
    open_dataset,
    open_table,
    sum_up_often,
)
from store.history.draws import Draw, read_draw
from store.history.kinds import GONE, ROW, SUPERSEDED
from store.history.layout import Layout
from store.objects.opening import storage_at

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

T = TypeVar("T")
log = logging.getLogger("ratchet.history")
WHAT = "the table of labelled rows"
_SMALL_FILES = 64
"""So many files of few rows are made one."""
_FILE_SIZE = 128 * 2**20
_KEPT = timedelta(days=2)
"""How long files that were made one are kept for those who read them."""
_CONFIGURATION = {
    # Texts and images have no bounds worth keeping, and would make the log as large as the table.
    "delta.dataSkippingStatsColumns": "seq,batch,time",
    "delta.logRetentionDuration": "interval 30 days",
    **OFTEN_SUMMED_UP,
}
_WRITING = WriterProperties(compression="ZSTD", compression_level=1)


@dataclass(frozen=True)
class HistoryTable:
    """The labelled rows of a use case that fit one `record` section."""

    use_case: str
    layout: Layout
    uri: str
    """A folder, or the URL of one in an object store."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the object store (`storage_options` of deltalake)."""

    def fill(self, conn: psycopg.Connection[Any], until: int) -> None:
        """Append what it does not hold yet of the batches up to a number; nobody else does so meanwhile.

        One that is damaged is made again, and so is one of another state of the database: of before that was
        restored, or another server took over. Ends the caller's transaction.

        Raises:
            HistoryError: the table cannot be read or written.
        """
        conn.commit()
        with suppress(HistoryDamaged):  # others may be making it again: it is looked at when they are done
            held = self._ensure_sound(conn)
            conn.commit()
            if held >= until:
                return
        contract = RecordContract(self.layout.record)
        with self._changing(conn):
            try:
                held = self._ensure_sound(conn)
            except HistoryDamaged as damage:
                log.warning("%s; it is made again from the database", damage)
                self.delete()
                held = 0
            draw = read_draw(conn)
            for batch in read_batches(conn, self.use_case, held):
                if batch.number > until:
                    break
                self._append(batch, held, self._lines(conn, contract, draw, batch))
                held = batch.number
        self._join_small_files(conn)

    def _changing(self, conn: psycopg.Connection[Any]) -> AbstractContextManager[None]:
        return changing_alone(conn, f"{self.use_case}/{self.layout.name}")

    def _ensure_sound(self, conn: psycopg.Connection[Any]) -> int:
        """Up to which batch it holds.

        Raises:
            HistoryDamaged: as `ensure_whole`, or what it holds this database has not decided.
        """
        self.ensure_whole()
        table = self._open()
        held = last_batch(table, WHAT)
        if held and not are_decided(conn, self.use_case, held, last_decided_at(table, WHAT)):
            raise HistoryDamaged(
                f"{WHAT} at {self.uri} holds batch {held} of another state of the database, "
                "as of before that was restored"
            )
        return held

    def ensure_whole(self) -> None:
        """
        Raises:
            HistoryDamaged: a file is gone, or not as long as it was; object stores are not looked at.
        """
        if self.is_remote or (table := self._open()) is None:
            return
        listed = pa.table(table.get_add_actions(flatten=True))
        for name, size in zip(listed["path"].to_pylist(), listed["size_bytes"].to_pylist(), strict=True):
            file = Path(self.uri, name)
            if not file.is_file() or file.stat().st_size != size:
                raise HistoryDamaged(f"{file} is not whole, or gone")

    def make_again(self, conn: psycopg.Connection[Any]) -> None:
        """Fill it anew from the database, up to the last batch that was decided.

        Ends the caller's transaction.

        Raises:
            HistoryError: it cannot be written.
        """
        with self._changing(conn):
            self.delete()
        self.fill(conn, read_mark(conn, self.use_case).number)

    def batches(self) -> int:
        """Up to which batch it holds; 0: it is not there."""
        return last_batch(self._open(), WHAT)

    def dataset(self) -> Dataset | None:
        """Its rows where they lie in an object store; None: it is not there."""
        return open_dataset(self.uri, self.options, WHAT)

    @property
    def is_remote(self) -> bool:
        """Whether it is in an object store."""
        return "://" in self.uri

    def files(self) -> list[str]:
        """Its Parquet files."""
        table = self._open()
        return [] if table is None else table.file_uris()

    def filled_at(self) -> datetime:
        """When rows came to it last, or it was made, by the clock of who wrote them.

        Raises:
            HistoryError: it is not there, or cannot be read.
        """
        if (table := self._open()) is None:
            raise HistoryError(f"{WHAT} at {self.uri} is gone")
        with Told(self.uri, WHAT):
            made = table.metadata().created_time or 0
            came = table.get_add_actions(flatten=True).column("modification_time").to_numpy()
        return datetime.fromtimestamp(max(made, int(came.max(initial=0))) / 1000, UTC)

    def identities(self, files: Sequence[str]) -> dict[str, str]:
        """Of files of it, by name, what says that each is the one that it was: its length and last change.

        Raises:
            HistoryError: a file cannot be asked about; `HistoryDamaged` where an object store has it no more.
            StorageError: the object store cannot be asked.
        """
        if not self.is_remote:
            with Told(self.uri, WHAT):
                told = [(Path(one).name, Path(one).stat()) for one in files]
            return {name: f"{one.st_size}:{one.st_mtime_ns}" for name, one in told}
        names = [one.rpartition("/")[2] for one in files]
        listed = storage_at(self.uri).list() if names else ()
        found = {one.key.rpartition("/")[2]: f"{one.size}:{one.changed.isoformat()}" for one in listed}
        if missing := [one for one in names if one not in found]:
            raise HistoryDamaged(f"{missing[0]} of {WHAT} at {self.uri} is gone")
        return {one: found[one] for one in names}

    def put_in_place(
        self, batches: Sequence[int], lines: Callable[[], AbstractContextManager[Iterator[pa.RecordBatch]]]
    ) -> None:
        """Have lines in the place of all that these batches hold, at once or not at all.

        Args:
            lines: gives them; entered when no change that comes from then on is missed.

        Raises:
            HistoryBusy: another process has changed the table meanwhile.
        """
        table = self._open()
        if table is None or not batches:
            return
        with Told(self.uri, WHAT), lines() as given:
            write_deltalake(
                table,  # against what came since it was opened Delta checks
                # By a thread: one of Delta's own may not ask a table in an object store.
                pa.RecordBatchReader.from_batches(self.layout.schema, _one_ahead(given)),
                mode="overwrite",
                predicate=f"batch IN ({', '.join(map(str, batches))})",
                writer_properties=_WRITING,
            )

    def delete(self) -> None:
        """Delete the table with all its files."""
        with Told(self.uri, WHAT):
            delete_table(self.uri)

    def clean(self, conn: psycopg.Connection[Any], *, kept: timedelta = _KEPT) -> int:
        """Delete files that the table no longer has since a while; returns how many.

        Small files are made one before, where they are many: of a few, all rows would be written again each
        time that some have come. Ends the caller's transaction.
        """
        self._join_small_files(conn)
        if not is_summed_up_often(self._open()):
            with self._changing(conn), Told(self.uri, WHAT):
                sum_up_often(self._open(), self.uri, self.options)
        if (table := self._open()) is None:
            return 0
        with Told(self.uri, WHAT):
            return len(
                table.vacuum(
                    retention_hours=int(kept.total_seconds() // 3600),
                    enforce_retention_duration=False,
                    dry_run=False,
                )
            )

    def _open(self) -> DeltaTable | None:
        return open_table(self.uri, self.options, WHAT)

    def _lines(
        self, conn: psycopg.Connection[Any], contract: RecordContract, draw: Draw, batch: Batch
    ) -> Iterator[pa.RecordBatch]:
        for kind, rows in _one_ahead(self._read_chunks(conn, batch)):
            yield from self._chunk(batch.number, kind, check_versions(contract, rows), draw)
        if len(batch.gone):
            values = self._of_batch(batch.number, GONE, len(batch.gone))
            yield from self.layout.table({**values, "seq": batch.gone}, len(batch.gone)).to_batches()

    def _read_chunks(
        self, conn: psycopg.Connection[Any], batch: Batch
    ) -> Iterator[tuple[str, list[StoredVersion]]]:
        most = stored_rows_at_once(self.layout.record, BATCH)
        for kind, numbers in ((ROW, batch.rows), (SUPERSEDED, batch.superseded)):
            for start in range(0, len(numbers), most):
                some = numbers[start : start + most]
                yield kind, read_versions(conn, self.use_case, self.layout.record, some)

    def _chunk(self, number: int, kind: str, found: RowVersions, draw: Draw) -> Iterator[pa.RecordBatch]:
        if len(found.rows):
            lines = self.layout.rows(found.rows, found.said_by, draw.shares(found.rows))
            for name, values in self._of_batch(number, kind, len(lines)).items():
                lines = lines.set_column(lines.schema.get_field_index(name), lines.schema.field(name), values)
            yield from lines.to_batches()
        if found.misfits:
            misfits = {
                name: np.array([getattr(one, key) for one in found.misfits])
                for name, key in (("seq", "seq"), ("identity", "identity"), ("label", "label"),
                                  ("said_by", "said_by"), ("misfit", "reason"))
            }  # fmt: skip
            count = len(found.misfits)
            yield from self.layout.table(
                {**self._of_batch(number, kind, count), **misfits}, count
            ).to_batches()

    def _of_batch(self, number: int, kind: str, count: int) -> dict[str, pa.Array]:
        return {
            "batch": pa.array(np.full(count, number), pa.int32()),
            "kind": pa.array([kind], pa.string()).take(pa.array(np.zeros(count, dtype=np.int64))),
        }

    def _append(self, batch: Batch, after: int, lines: Iterator[pa.RecordBatch]) -> None:
        """Write a batch whole or not at all; the table then says that it holds it."""
        append_batch(
            self.uri,
            self.options,
            WHAT,
            pa.RecordBatchReader.from_batches(self.layout.schema, lines),
            batch=batch.number,
            after=after,
            decided_at=batch.decided_at,
            name=self.use_case,
            description=self.layout.record.model_dump_json(),
            configuration=_CONFIGURATION,
            writer_properties=_WRITING,
        )

    def _join_small_files(self, conn: psycopg.Connection[Any]) -> None:
        if not self._has_many_small(self._open()):
            return
        with self._changing(conn):
            table = self._open()
            if table is None or not self._has_many_small(table):  # another has done it
                return
            join_files(table, self.uri, self.options, WHAT, target_size=_FILE_SIZE)

    def _has_many_small(self, table: DeltaTable | None) -> bool:
        if table is None:
            return False
        # Asked of the column itself: as a table of Arrow it would cost an import of pandas.
        sizes = table.get_add_actions(flatten=True).column("size_bytes").to_numpy()
        return int((sizes < _FILE_SIZE // 64).sum()) > _SMALL_FILES


def _one_ahead(parts: Iterator[T]) -> Iterator[T]:
    """The parts, of which the next is made by a thread while one is in hand: no more are in memory."""
    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(next, parts, None)
        while (part := made.result()) is not None:
            made = thread.submit(next, parts, None)
            yield part


def layout_of(uri: str, options: Mapping[str, str]) -> Layout:
    """The layout of a table that is there.

    Raises:
        HistoryError: it is not, or cannot be read.
    """
    return Layout(described_record(uri, options, WHAT))
