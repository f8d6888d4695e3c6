"""Snapshots: the labelled rows of one moment, split and frozen as a Parquet file named by its content."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from configs.schema import FieldConfig, UseCase
from features.records.contract import Columns, LabelContract, RecordContract, take
from features.records.rows import RowBatch, RowsInMemory, RowSource
from store.errors import SnapshotError
from store.feedback.rows import FeedbackRows, last_arrival, read_feedback
from store.predictions.audits import audited_rows
from store.quarantine.reasons import ReasonTally
from store.snapshots.draws import read_draw
from store.snapshots.index import Snapshot, find_snapshot, oldest_open_transaction, pack_contents
from store.snapshots.learned import Learned
from store.snapshots.reach import Reach
from store.snapshots.records import Entities, count_contradicted, same_records
from store.snapshots.sizes import holdout_now
from store.snapshots.splits import HOLDOUT, TRAIN, Split, split_rows
from store.snapshots.taken_back import count_taken_back
from store.sources.holding import settle_sources

FIELD_PREFIX = "field."


@dataclass(frozen=True)
class Frame:
    """Rows of a snapshot, oldest first."""

    columns: Columns
    labels: NDArray[np.object_]
    identities: NDArray[np.object_]
    seq: NDArray[np.int64]
    time: NDArray[np.datetime64]
    split: Split

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def train(self) -> Frame:
        """Rows to learn from."""
        return self.take(np.flatnonzero(self.split == TRAIN))

    @property
    def holdout(self) -> Frame:
        """Rows to judge on."""
        return self.take(np.flatnonzero(self.split == HOLDOUT))

    @property
    def rows(self) -> RowSource:
        """All of them as batches."""
        return RowsInMemory(RowBatch(self.columns, self.labels, self.seq, self.time))

    def take(self, index: NDArray[Any]) -> Frame:
        """The rows at these positions."""
        return Frame(
            take(self.columns, index),
            self.labels[index],
            self.identities[index],
            self.seq[index],
            self.time[index],
            self.split[index],
        )


def take_snapshot(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    home: Path,
    *,
    since: Reach | None,
    learned: Learned,
) -> Snapshot:
    """Freeze all feedback of the use case that fits its configuration; the same rows give the same snapshot.

    Args:
        home: it goes to `<home>/snapshots/<use case>/<digest>.parquet`.
        since: up to where production's snapshot had read; None: there was none.
        learned: what production has learned from.
    """
    contract, labels, left_out = (
        RecordContract(use_case.record),
        LabelContract(use_case.target, use_case.record.missing),
        ReasonTally(),
    )
    settled_at = oldest_open_transaction(conn)
    sources = settle_sources(conn, use_case)
    last_seq = last_arrival(conn, use_case.name)  # what does not fit has been seen as well
    rows = read_feedback(conn, use_case.name, contract, labels=labels, left_out=left_out)
    records = same_records(rows, {field.type for field in use_case.record.fields}, learned)
    split = split_rows(
        holdout_now(use_case, has_production=since is not None),
        records,
        seq=rows.seq,
        shares=read_draw(conn).shares(rows),
        audited=np.isin(rows.seq, audited_rows(conn, use_case.name)),
        is_new=np.ones(len(rows), dtype=np.bool_) if since is None else since.is_beyond(rows.seq),
    )
    digest = content_digest(rows, split)
    path = snapshot_file(home, use_case.name, digest)
    if not path.exists():
        write_snapshot(path, use_case.record.fields, rows, split)
    last_seq = max(last_seq, int(rows.seq.max(initial=0)))
    _note(conn, use_case.name, path, rows, split, records.entities, last_seq, settled_at)
    conn.commit()
    snapshot = find_snapshot(conn, digest)
    return replace(
        snapshot,
        left_out=left_out.reasons,
        group=use_case.record.group,
        left_out_rows=left_out.rows,
        held_back=tuple(one for one in sources if one.held_since),
        taken_back=count_taken_back(conn, digest).since_previous or 0,
    )


def _note(
    conn: psycopg.Connection[Any],
    use_case: str,
    path: Path,
    rows: FeedbackRows,
    split: Split,
    entities: Entities,
    last_seq: int,
    settled_at: datetime,
) -> None:
    """Write down where the snapshot is, which rows it holds, and up to where was read. The caller commits."""
    conn.execute(
        "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq,"
        " contents, records, contradicted, settled_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (digest) DO UPDATE SET path = excluded.path, contents = excluded.contents,"
        " records = excluded.records, contradicted = excluded.contradicted, last_seq = excluded.last_seq,"
        " settled_at = CASE WHEN excluded.last_seq > snapshot.last_seq THEN excluded.settled_at"
        " ELSE snapshot.settled_at END",
        (
            path.stem,
            use_case,
            str(path),
            len(rows),
            int((split == TRAIN).sum()),
            int((split == HOLDOUT).sum()),
            int(rows.seq.min()) if len(rows) else 0,
            last_seq,
            pack_contents(rows.seq, split),
            len(np.unique(entities)),
            count_contradicted(entities, rows.labels),
            settled_at,
        ),
    )


def snapshot_file(home: Path, use_case: str, digest: str) -> Path:
    """Where a snapshot is kept."""
    return home / "snapshots" / use_case / f"{digest}.parquet"


def load_snapshot(path: Path) -> Frame:
    """Read a snapshot back and check that its content is what its name says.

    Raises:
        SnapshotError: the file is missing, no snapshot, or was changed.
    """
    try:
        table = pq.read_table(path)
        fields = [name for name in table.column_names if name.startswith(FIELD_PREFIX)]
        columns = {name.removeprefix(FIELD_PREFIX): _from_array(table, name) for name in fields}
        frame = Frame(
            columns,
            _objects(table["label"]),
            _objects(table["identity"]),
            table["seq"].to_numpy(),
            table["time"].to_numpy().astype("datetime64[us]"),
            _objects(table["split"]),
        )
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise SnapshotError(f"{path}: cannot be read as a snapshot: {error}") from error
    if (digest := content_digest(frame, frame.split)) != path.stem:
        raise SnapshotError(f"{path}: the content has the digest {digest}: it was changed")
    return frame


def content_digest(rows: FeedbackRows | Frame, split: Split) -> str:
    """SHA-256 in hex of everything that a snapshot holds, in order."""
    hashed = hashlib.sha256()
    for name, values in {
        "identity": rows.identities,
        "seq": rows.seq,
        "time": rows.time,
        "label": rows.labels,
        "split": split,
        **rows.columns,
    }.items():
        hashed.update(f"{name}:{len(values)}:{values.dtype}:".encode())
        if values.dtype == object:
            texts = ["n" if value is None else f"s{len(value)}:{value}" for value in values]
            hashed.update("".join(texts).encode("utf-8", "surrogatepass"))
        else:
            hashed.update(np.ascontiguousarray(values).tobytes())
    return hashed.hexdigest()


def write_snapshot(
    path: Path, fields: tuple[FieldConfig, ...], rows: FeedbackRows | Frame, split: Split
) -> None:
    """Write a snapshot whole or not at all, in the place of a damaged one if there is one."""
    table = _to_table(fields, rows, split)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".draft-", delete=False) as draft:
        try:
            pq.write_table(table, draft, compression="zstd")
            draft.flush()
            os.fsync(draft.fileno())
            Path(draft.name).chmod(0o400)
            Path(draft.name).rename(path)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise


def _to_table(fields: tuple[FieldConfig, ...], rows: FeedbackRows | Frame, split: Split) -> pa.Table:
    arrays = {
        "identity": pa.array(rows.identities, pa.string()),
        "seq": pa.array(rows.seq),
        "time": pa.array(rows.time),
        "label": pa.array(rows.labels, pa.string()).dictionary_encode(),
        "split": pa.array(split, pa.string()).dictionary_encode(),
    }
    arrays |= {FIELD_PREFIX + field.name: _to_array(rows.columns[field.name]) for field in fields}
    return pa.table(arrays)


def _to_array(values: NDArray[Any]) -> pa.Array:
    if values.ndim > 1:
        shape = values.shape[1:]
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedShapeTensorArray.from_storage(
            pa.fixed_shape_tensor(pa.uint8(), shape),
            pa.FixedSizeListArray.from_arrays(flat, math.prod(shape)),
        )
    return pa.array(values, pa.string()) if values.dtype == object else pa.array(values)


def _from_array(table: pa.Table, name: str) -> NDArray[Any]:
    column = table[name].combine_chunks()
    if isinstance(column.type, pa.FixedShapeTensorType):
        return np.asarray(column.to_numpy_ndarray())
    if pa.types.is_string(column.type):
        return _objects(column)
    if pa.types.is_timestamp(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False)).astype("datetime64[us]")
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _objects(column: pa.Array | pa.ChunkedArray) -> NDArray[np.object_]:
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_pylist()
    return values
