"""The table itself: a Delta table, to which each batch is appended whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable, WriterProperties, write_deltalake

from store.history.delta import (
    OFTEN_SUMMED_UP,
    Told,
    append_batch,
    changing_alone,
    described_record,
    join_files,
    last_batch,
    open_table,
    sum_up_often,
)
from store.moved.layout import PredictionLayout, Row

WHAT = "the table of predictions"
_SMALL_FILES = 16
"""So many files of a month that are small are made one."""
_FILE_SIZE = 128 * 2**20
_KEPT = timedelta(days=2)
"""How long files that were made one are kept for those who read them."""
_CONFIGURATION = {
    "delta.dataSkippingStatsColumns": "id,batch,predicted_at",
    "delta.logRetentionDuration": "interval 30 days",
    **OFTEN_SUMMED_UP,
}
# Lines are in the order of ids, so that of a file only the part is read where an id can be.
_WRITING = WriterProperties(compression="ZSTD", compression_level=3, max_row_group_size=20_000)


@dataclass(frozen=True)
class PredictionTable:
    """The predictions of a use case that were moved while its configuration had one `record` section."""

    use_case: str
    layout: PredictionLayout
    uri: str
    """A folder, or the URL of one in an object store."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the object store (`storage_options` of deltalake)."""

    def identity(self) -> str | None:
        """What the table says that it is, wherever it was copied to; None: it is not there."""
        table = self._open()
        return None if table is None else str(table.metadata().id)

    def last_batch(self) -> int:
        """The batch that it got last; 0: none."""
        return last_batch(self._open(), WHAT)

    def batches(self) -> list[int]:
        """Those of which it has predictions."""
        numbers: list[int] = self._read(None, ["batch"], by="batch")["batch"].unique().to_pylist()
        return numbers

    def append(self, batch: int, after: int, lines: Iterable[pa.RecordBatch]) -> None:
        """Write a batch, of ascending ids, whole or not at all; the table then says that it holds it.

        Args:
            after: the batch that it got last.

        Raises:
            HistoryBusy: it got another meanwhile.
        """
        append_batch(
            self.uri,
            self.options,
            WHAT,
            pa.RecordBatchReader.from_batches(self.layout.schema, lines),
            batch=batch,
            after=after,
            partition_by=["month"],
            name=self.use_case,
            description=self.layout.record.model_dump_json(),
            configuration=_CONFIGURATION,
            writer_properties=_WRITING,
        )

    def times_of(self, batch: int) -> pa.Table:
        """Columns `id` and `predicted_at` of a batch."""
        return self._read(ds.field("batch") == batch, ["id", "predicted_at"])

    def find(self, ids: Sequence[str], months: Collection[str]) -> dict[str, Row]:
        """Those of these predictions that it holds, by id.

        Args:
            months: in which they may lie, such as `2026-11`.
        """
        if not ids:
            return {}
        wanted = (
            ds.field("month").isin(sorted(months))
            & (ds.field("id") >= min(ids))
            & (ds.field("id") <= max(ids))
            & ds.field("id").isin(list(ids))
        )
        return {row["id"]: row for row in self.layout.rows(self._read(wanted))}

    def thin(self, batch: int, kept: Collection[str]) -> None:
        """Delete all of a batch but the predictions of these ids."""
        table = self._open()
        if table is None:
            return
        only = f"batch = {batch}"
        with Told(self.uri, WHAT):
            if not kept:
                table.delete(only, writer_properties=_WRITING)
                return
            write_deltalake(
                table,
                self._read((ds.field("batch") == batch) & ds.field("id").isin(sorted(kept))),
                mode="overwrite",
                predicate=only,
                writer_properties=_WRITING,
            )

    def clean(self, conn: psycopg.Connection[Any], *, kept: timedelta = _KEPT) -> None:
        """Make one of small files where they are many, and delete those that the table no longer has.

        Ends the caller's transaction.
        """
        with changing_alone(conn, f"predictions/{self.use_case}/{self.layout.name}"):
            table = self._open()
            if table is None:
                return
            with Told(self.uri, WHAT):
                sum_up_often(table, self.uri, self.options)
            for month in self._crowded(table):
                join_files(
                    table,
                    self.uri,
                    self.options,
                    WHAT,
                    partition_filters=[("month", "=", month)],
                    target_size=_FILE_SIZE,
                    writer_properties=_WRITING,
                )
            with Told(self.uri, WHAT):
                table.vacuum(
                    retention_hours=int(kept.total_seconds() // 3600),
                    enforce_retention_duration=False,
                    dry_run=False,
                )

    def _crowded(self, table: DeltaTable) -> list[str]:
        """Months that have many small files."""
        listed = pa.table(table.get_add_actions(flatten=True))
        small: dict[str, int] = {}
        for month, size in zip(
            listed["partition.month"].to_pylist(), listed["size_bytes"].to_pylist(), strict=True
        ):
            small[month] = small.get(month, 0) + (size < _FILE_SIZE // 8)
        return sorted(month for month, files in small.items() if files > _SMALL_FILES)

    def _read(
        self, wanted: ds.Expression | None, columns: list[str] | None = None, *, by: str = "id"
    ) -> pa.Table:
        table = self._open()
        if table is None:
            return self.layout.schema.empty_table().select(columns or self.layout.schema.names)
        with Told(self.uri, WHAT):
            found: Any = table.to_pyarrow_dataset(schema=self.layout.schema).to_table(
                columns=columns or self.layout.schema.names, filter=wanted
            )
        return found.sort_by(by)

    def _open(self) -> DeltaTable | None:
        return open_table(self.uri, self.options, WHAT)


def layout_of(uri: str, options: Mapping[str, str]) -> PredictionLayout:
    """The layout of a table that is there.

    Raises:
        HistoryError: it is not, or cannot be read.
    """
    return PredictionLayout(described_record(uri, options, WHAT))
