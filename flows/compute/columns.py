"""Columns of records as they travel: numbers and images as they are, texts as Arrow, each value once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.records.contract import Columns


@dataclass(frozen=True)
class PackedTexts:
    """Texts, some of which may be missing, as an Arrow stream of one column with a dictionary."""

    stream: bytes


Packed = NDArray[Any] | PackedTexts


def pack_columns(columns: Columns) -> dict[str, Packed]:
    """What travels for columns of records."""
    return {name: pack_array(column) for name, column in columns.items()}


def unpack_columns(packed: dict[str, Packed]) -> Columns:
    """Inverse of `pack_columns`, exact."""
    return {name: unpack_array(one) for name, one in packed.items()}


def pack_array(values: NDArray[Any]) -> Packed:
    """What travels for one array: of texts a dictionary of them and their places in it."""
    if values.dtype != object or any(not isinstance(one, str | None) for one in values.ravel()):
        return np.ascontiguousarray(values)
    texts = pa.array(values.tolist(), pa.large_string()).dictionary_encode()
    table = pa.table({"texts": texts})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return PackedTexts(sink.getvalue().to_pybytes())


def unpack_array(packed: Packed) -> NDArray[Any]:
    """Inverse of `pack_array`; equal texts are one object."""
    if not isinstance(packed, PackedTexts):
        return packed
    with pa.ipc.open_stream(packed.stream) as stream:
        column = stream.read_all().column("texts")
    if not column.num_chunks:
        return np.array([], dtype=object)
    encoded = column.combine_chunks()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    texts = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    found: NDArray[Any] = texts[encoded.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)]
    return found
