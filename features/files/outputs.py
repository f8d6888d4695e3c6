"""Tables written to one file of the kind that its name tells: CSV, JSONL, Parquet."""

from __future__ import annotations

import base64
import gzip
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from configs.security.umask import user_umask
from features.errors import SourceError
from features.files.spreadsheets import HarmlessTables
from features.records.spellings import EXACT_FLOAT

Formulas = Literal["disarm", "keep"]
_BEYOND = {b"ratchet.beyond": b"a fraction of 64 bits"}


def check_output(path: Path) -> None:
    """Make sure that a file of this name can be written.

    Raises:
        SourceError: it has an unknown extension, or its folder is not there.
    """
    check_extension(path)
    if not path.absolute().parent.is_dir():
        raise SourceError(f"{path}: its folder does not exist")


def check_extension(path: Path) -> None:
    """Make sure that the name tells a kind of file that can be written.

    Raises:
        SourceError: it does not.
    """
    if _extension(path) is None:
        raise SourceError(f"{path}: unknown kind of file; allowed: {', '.join(_WRITERS)}")


def join_parts(parts: Sequence[Path], path: Path, formulas: Formulas = "disarm") -> int:
    """Write the rows of several Parquet files, in order, to one file, as `write_tables` does."""
    schemas = [pq.read_schema(part) for part in parts]
    if any(one != schemas[0] for one in schemas):  # what it holds tells then what they have in common
        schemas = [schema_of(pq.read_table(part)) for part in parts]
    schema = common_schema(schemas)
    tables = (conform(pq.read_table(part), schema) for part in parts)
    return write_tables(tables, schema, path, formulas)


def write_tables(
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    path: Path,
    formulas: Formulas = "disarm",
) -> int:
    """Write tables one below the other to one file, which appears when it is whole.

    Args:
        schema: columns of the file, where it has the same for all rows (CSV, Parquet); an object in JSONL
            keeps the columns of its table.
        formulas: whether texts that a spreadsheet would compute get an apostrophe in CSV, or are kept.

    Returns:
        How many cells got one.
    """
    extension = _extension(path)
    assert extension is not None
    disarmed = HarmlessTables()
    if extension in _FOR_SPREADSHEETS:
        tables, schema = _as_cells(tables, schema)
        if formulas == "disarm":
            tables, schema = map(disarmed.table, tables), disarmed.schema(schema)
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with user_umask():
            _WRITERS[extension](draft, schema, tables)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return disarmed.cells


def schema_of(table: pa.Table) -> pa.Schema:
    """The columns of a table for `common_schema`, with a mark at whole numbers that no fraction keeps."""
    return pa.schema(
        [
            field.with_metadata(_BEYOND) if _is_beyond(table.column(place)) else field
            for place, field in enumerate(table.schema)
        ]
    )


def _is_beyond(column: pa.ChunkedArray) -> bool:
    if not pa.types.is_int64(column.type):
        return False
    ends = pc.min_max(column).as_py()
    return ends["min"] is not None and max(-ends["min"], ends["max"]) >= EXACT_FLOAT


def common_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """One schema with every column of any; those whose types do not go together become text.

    So do whole numbers beside fractions that would not be kept as they are.

    Args:
        schemas: as `schema_of` gives them, where tables may differ in them.
    """
    names = dict.fromkeys(name for schema in schemas for name in schema.names)
    return pa.schema(
        [_common_field([one.field(name) for one in schemas if name in one.names]) for name in names]
    )


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with the columns of the schema, missing values where the table has no such column."""
    columns = [
        _cast(table[field.name], field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _common_field(fields: Sequence[pa.Field]) -> pa.Field:
    beyond = any(field.metadata is not None and _BEYOND.keys() <= field.metadata.keys() for field in fields)
    if beyond and any(pa.types.is_floating(field.type) for field in fields):
        return pa.field(fields[0].name, pa.string())
    try:
        merged = pa.unify_schemas([pa.schema([field]) for field in fields], promote_options="permissive")[0]
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.field(fields[0].name, pa.string())
    return pa.field(merged.name, merged.type)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Lists and objects become text as JSON, bytes as base64, durations as hours, minutes and seconds."""
    if pa.types.is_string(kind) and (to_text := _text_of(column.type)) is not None:
        texts = [None if value is None else to_text(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, kind)])
    return column.cast(kind)


def _text_of(kind: pa.DataType) -> Callable[[Any], str] | None:
    """How a value of a type that is no cell by itself becomes one; None: Arrow knows how."""
    if pa.types.is_nested(kind):
        return lambda value: _json(value).decode()
    if _is_binary(kind):
        return _base64
    return str if pa.types.is_duration(kind) else None


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    )


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _as_cells(tables: Iterable[pa.Table], schema: pa.Schema) -> tuple[Iterable[pa.Table], pa.Schema]:
    """As `conform`, with one value in each cell."""
    flat = pa.schema([(field.name, _cell_type(field.type)) for field in schema])
    return (conform(table, flat) for table in tables), flat


def _cell_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _cell_type(kind.value_type)
    return pa.string() if _text_of(kind) is not None or pa.types.is_string_view(kind) else kind


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain)


def _plain(value: Any) -> str:
    return _base64(value) if isinstance(value, bytes) else str(value)


def _extension(path: Path) -> str | None:
    return next((extension for extension in _WRITERS if path.name.lower().endswith(extension)), None)


def _open(path: Path) -> IO[bytes]:
    packed: Any = gzip.GzipFile(path, "wb", mtime=0) if path.name.lower().endswith(".gz") else None
    return packed or path.open("wb")


def _write_csv(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with _open(path) as file, pyarrow.csv.CSVWriter(file, schema) as writer:
        for table in tables:
            writer.write_table(table)


def _write_jsonl(path: Path, _schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with _open(path) as file:
        for table in tables:
            for batch in table.to_batches(max_chunksize=1000):
                file.writelines(_json(row) + b"\n" for row in batch.to_pylist())


def _write_parquet(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with pq.ParquetWriter(path, schema) as writer:
        for table in tables:
            writer.write_table(conform(table, schema))


_FOR_SPREADSHEETS = (".csv", ".csv.gz")
_WRITERS: dict[str, Callable[[Path, pa.Schema, Iterable[pa.Table]], None]] = {
    ".csv": _write_csv,
    ".csv.gz": _write_csv,
    ".jsonl": _write_jsonl,
    ".jsonl.gz": _write_jsonl,
    ".parquet": _write_parquet,
}
