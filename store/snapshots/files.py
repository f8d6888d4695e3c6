"""Snapshots that earlier releases took: files named by their content, read for as long as they are kept."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from configs.schema import FieldConfig
from store.errors import SnapshotError
from store.feedback.rows import FeedbackRows
from store.snapshots.frames import Frame
from store.snapshots.uses import Split

FIELD_PREFIX = "field."


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
