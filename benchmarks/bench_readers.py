"""Readers of CSV beside one another: `make bench-readers`.

A regular file, all columns as text, and one with a bad row of each kind. DuckDB and Polars take part where
they are installed; Ratchet needs neither. What counts: seconds, and for the second file whether each good row
is there and every bad one has its line.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
from rich.console import Console
from rich.table import Table

from configs.settings import CHECKOUT
from features.files.sources import open_source

RESULTS = CHECKOUT / "benchmarks" / "results" / "readers.json"
COLUMNS = 20
ROWS = 300_000
GOOD = 1000
BAD_LINES = (b"1,2\n", b"1,2,3,4\n", b"1,\xff,3\n", b'1,"never closed,3\n')
"""Too narrow, too wide, no UTF-8, an open quote; each stands among good rows."""


@dataclass(frozen=True)
class Outcome:
    """What a reader made of the files; `lines` are the bad lines that it named."""

    seconds: float
    rows: int
    good: int | str
    lines: int | None


def main() -> int:
    """Time each reader, print the table, write the JSON."""
    with tempfile.TemporaryDirectory(prefix="ratchet-readers-") as folder:
        regular, hard = Path(folder) / "regular.csv", Path(folder) / "hard.csv"
        write_regular(regular)
        write_hard(hard)
        outcomes = {}
        for name, (read, read_hard) in READERS.items():
            try:
                outcomes[name] = measure(read, read_hard, regular, hard)
            except ImportError:
                continue
    show(outcomes)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    found = {name: asdict(outcome) for name, outcome in outcomes.items()}
    RESULTS.write_text(json.dumps(found, indent=2), encoding="utf-8")
    ours = outcomes["ratchet"]
    return 0 if (ours.good, ours.lines) == (GOOD, len(BAD_LINES)) else 1


def write_regular(path: Path) -> None:
    """Numbers and short texts."""
    header = ",".join(f"c{column}" for column in range(COLUMNS))
    line = ",".join(["12345.25", "text here"] * (COLUMNS // 2))
    path.write_text(f"{header}\n" + f"{line}\n" * ROWS, encoding="utf-8")


def write_hard(path: Path) -> None:
    """Good rows with a bad one between every so often."""
    step = GOOD // len(BAD_LINES)
    good = b"1,good,3\n" * (step // 2)
    path.write_bytes(b"a,b,c\n" + b"".join(good + bad + good for bad in BAD_LINES))


Read = Callable[[Path], tuple[int, int | None]]
"""Rows, and the bad lines that were named."""


def measure(read: Read, read_hard: Read, regular: Path, hard: Path) -> Outcome:
    """Read both files; an error in the second one is what a person would see."""
    times = []
    rows = 0
    for _ in range(3):
        started = time.perf_counter()
        rows, _ = read(regular)
        times.append(time.perf_counter() - started)
    try:
        good, lines = read_hard(hard)
    except Exception as error:  # noqa: BLE001 (each library raises its own)
        return Outcome(round(min(times), 3), rows, f"none: {str(error).strip().splitlines()[0]:.60}", None)
    return Outcome(round(min(times), 3), rows, good, lines)


def by_ratchet(path: Path) -> tuple[int, int | None]:
    """Arrow by blocks, and row by row where a block is not regular."""
    rows = lines = 0
    with closing(open_source(path)) as source:
        for batch in source.batches:
            rows += batch.table.num_rows
            lines += len(batch.bad)
    return rows, lines


def by_arrow(path: Path) -> tuple[int, int | None]:
    """Arrow by itself; its handler is told of rows of another width only."""
    wrong: list[int | None] = []

    def skip(row: pacsv.InvalidRow) -> str:
        wrong.append(row.number)
        return "skip"

    parse = pacsv.ParseOptions(invalid_row_handler=skip)
    kinds = dict.fromkeys(_names(path), pa.string())
    convert = pacsv.ConvertOptions(column_types=kinds, strings_can_be_null=False)
    table = pacsv.read_csv(path, parse_options=parse, convert_options=convert)
    return table.num_rows, len(wrong)


def _names(path: Path) -> list[str]:
    with path.open("rb") as file:
        return file.readline().decode().strip().split(",")


def by_duckdb(path: Path) -> tuple[int, int | None]:
    """DuckDB, which keeps rejected lines in a table."""
    duckdb: Any = importlib.import_module("duckdb")
    with closing(duckdb.connect()) as conn:
        conn.execute("SET threads = 2")
        kinds = ", ".join(f"'{name}': 'VARCHAR'" for name in _names(path))
        options = "auto_detect = false, header = true, delim = ',', quote = '\"', store_rejects = true"
        source = f"read_csv('{path}', columns = {{{kinds}}}, {options})"
        rows = conn.execute(f"CREATE TABLE rows AS FROM {source}").fetchone()[0]
        lines = conn.execute("SELECT count(DISTINCT line) FROM reject_errors").fetchone()[0]
    return int(rows), int(lines)


def by_polars(path: Path) -> tuple[int, int | None]:
    """Polars, which passes over what it cannot read and does not say which."""
    polars: Any = importlib.import_module("polars")
    frame = polars.read_csv(path, infer_schema=False, ignore_errors=True, truncate_ragged_lines=True)
    return len(frame), None


READERS: dict[str, tuple[Read, Read]] = {
    "ratchet": (by_ratchet, by_ratchet),
    "arrow": (by_arrow, by_arrow),
    "duckdb": (by_duckdb, by_duckdb),
    "polars": (by_polars, by_polars),
}


def show(outcomes: dict[str, Outcome]) -> None:
    """The table, for people."""
    table = Table("reader", "seconds", "rows", f"good rows of {GOOD}", f"bad lines named of {len(BAD_LINES)}")
    for name, outcome in outcomes.items():
        table.add_row(name, *(str(value) for value in asdict(outcome).values()))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
