"""Tables written to one file of the kind that its name tells: CSV, JSONL, Parquet."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from configs.security.umask import user_umask
from features.errors import SourceError
from features.files.spreadsheets import HarmlessTables

Formulas = Literal["disarm", "keep"]


def check_output(path: Path) -> None:
    """Make sure that a file of this name can be written.

    Raises:
        SourceError: it has an unknown extension, or its folder is not there.
    """
    if _extension(path) is None:
        raise SourceError(f"{path}: unknown kind of file; allowed: {', '.join(_WRITERS)}")
    if not path.absolute().parent.is_dir():
        raise SourceError(f"{path}: its folder does not exist")


def join_parts(parts: Sequence[Path], path: Path, formulas: Formulas = "disarm") -> int:
    """Write the rows of several Parquet files, in order, to one file, which appears when it is whole.

    Args:
        formulas: whether texts that a spreadsheet would compute get an apostrophe in CSV, or are kept.

    Returns:
        How many cells got one.
    """
    extension = _extension(path)
    assert extension is not None
    common = _common([pq.read_schema(part) for part in parts])
    tables: Iterable[pa.Table] = (pq.read_table(part).cast(common) for part in parts)
    schema, disarmed = common, HarmlessTables()
    if extension in _FOR_SPREADSHEETS and formulas == "disarm":
        schema, tables = disarmed.schema(common), map(disarmed.table, tables)
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with user_umask():
            _WRITERS[extension](draft, schema, tables)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return disarmed.cells


def _extension(path: Path) -> str | None:
    return next((known for known in _WRITERS if path.name.lower().endswith(known)), None)


def _common(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """One schema for all; columns whose types do not go together become text."""
    fields = []
    for name in schemas[0].names:
        kinds = [schema.field(name) for schema in schemas]
        try:
            fields.append(
                pa.unify_schemas([pa.schema([kind]) for kind in kinds], promote_options="permissive")[0]
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            fields.append(pa.field(name, pa.string()))
    return pa.schema([pa.field(field.name, field.type) for field in fields])


def _open(path: Path) -> IO[bytes]:
    packed: Any = gzip.GzipFile(path, "wb", mtime=0) if path.name.endswith(".gz") else None
    return packed or path.open("wb")


def _write_csv(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with _open(path) as file, pyarrow.csv.CSVWriter(file, schema) as writer:
        for table in tables:
            writer.write_table(table)


def _write_jsonl(path: Path, _schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with _open(path) as file:
        for table in tables:
            for batch in table.to_batches(max_chunksize=1000):
                file.writelines(orjson.dumps(row) + b"\n" for row in batch.to_pylist())


def _write_parquet(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    with pq.ParquetWriter(path, schema) as writer:
        for table in tables:
            writer.write_table(table)


_FOR_SPREADSHEETS = (".csv", ".csv.gz")
_WRITERS: dict[str, Callable[[Path, pa.Schema, Iterable[pa.Table]], None]] = {
    ".csv": _write_csv,
    ".csv.gz": _write_csv,
    ".jsonl": _write_jsonl,
    ".jsonl.gz": _write_jsonl,
    ".parquet": _write_parquet,
}
