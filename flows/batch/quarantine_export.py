"""Rows of quarantine into a file, as `ratchet ingest` reads it once they are mended."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from configs.schema import UseCase
from features.errors import SourceError
from store.quarantine.rows import QuarantinedRow, Selection, each_row

SUFFIXES = (".jsonl", ".csv")


@dataclass(frozen=True)
class ExportReport:
    """What was written; without rows no file is. `left` are items of requests that a file cannot hold."""

    file: str
    rows: int
    lines_file: str | None
    """Gets lines that are no rows, as they came; None: there are none."""
    lines: int
    left: int

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


def export_rows(
    conn: psycopg.Connection[Any], use_case: UseCase, selection: Selection, path: Path
) -> ExportReport:
    """Write rows to a new file, JSON lines or CSV by its name; lines that are no rows to one beside it.

    Raises:
        SourceError: the name ends otherwise.
        FileExistsError: a file is there.
    """
    if path.suffix not in SUFFIXES:
        raise SourceError(f"{path.name}: a name that ends in '{path.suffix}'; allowed: .jsonl, .csv")
    beside = path.with_name(path.name + ".lines.txt")
    if beside.exists():
        raise FileExistsError(f"{beside} is there already; move it away")
    rows = lines = left = 0
    columns: dict[str, None] = {}
    with path.open("x", encoding="utf-8", newline="") as target:
        if path.suffix == ".csv":
            for row in each_row(conn, use_case.name, selection):
                columns |= dict.fromkeys(_cells(use_case, row) or ())
            csv.writer(target).writerow(columns)
        for row in each_row(conn, use_case.name, selection):
            cells = _cells(use_case, row)
            if cells is not None:
                _write(target, cells, list(columns))
                rows += 1
            elif (text := row.row.get("line")) is not None and row.kind == "text":
                with beside.open("a", encoding="utf-8") as others:
                    others.write(f"{text}\n")
                lines += 1
            else:
                left += 1
    if rows == 0:
        path.unlink()
    return ExportReport(str(path), rows, str(beside) if lines else None, lines, left)


def _write(target: Any, cells: dict[str, Any], columns: list[str]) -> None:
    if columns:
        csv.writer(target).writerow([_text(cells.get(name)) for name in columns])
    else:
        target.write(json.dumps(cells, ensure_ascii=False) + "\n")


def _text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | dict) else value


def _cells(use_case: UseCase, row: QuarantinedRow) -> dict[str, Any] | None:
    """A row as a file has it; None where it is none."""
    if row.kind in ("row", "second"):
        return row.row
    record = row.row.get("record")
    if row.kind not in ("item", "record") or not isinstance(record, dict):
        return None
    return dict(_named(use_case, row, record))


def _named(use_case: UseCase, row: QuarantinedRow, record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Fields by their columns in files, then label, time and id."""
    columns = {field.name: field.source_column for field in use_case.record.fields}
    for name, value in record.items():
        if name != "id" or name in columns:
            yield columns.get(name, name), value
    yield use_case.target.column, row.row.get("label")
    if use_case.record.time_column is not None and row.row.get("event_time") is not None:
        yield use_case.record.time_column, row.row["event_time"]
    identity = str(row.row.get("identity", ""))
    own_id = identity.removeprefix("i:") if identity.startswith("i:") else record.get("id")
    if use_case.record.id_column is not None and own_id is not None:
        yield use_case.record.id_column, own_id
    key = use_case.record.group_key
    if key is not None and key not in record:
        yield key, row.row.get("record_group", row.row.get(key))
