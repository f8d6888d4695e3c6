"""Ingest against PostgreSQL's COPY: `make bench-ingest`.

A file of 1,000,000 labelled records of 20 fields, as CSV and as Parquet, checked and stored by
Ratchet, beside COPY of the same rows into the same indexed table. COPY is given every advantage:
its rows are prepared before the clock starts, in its own format, exactly as they end up stored.
Each run has a process and a fresh database of its own, on an embedded PostgreSQL with the
default settings; memory is the peak of the process (PostgreSQL's own comes on top).
Ends with an error when a file takes more than 3 times as long as COPY, or 1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from configs.schema import UseCase
from configs.settings import CHECKOUT
from store.database.connection import connect, migrate
from store.database.embedded import EmbeddedPostgres
from store.ingest.files import ingest_file

RESULTS = CHECKOUT / "benchmarks" / "results" / "ingest.json"
MAX_RATIO, MAX_BYTES = 3.0, 1_500_000_000
SEED = 7
CITIES = ("Amsterdam", "Bogotá", "Cairo", "Delhi", "Espoo", "Fes", "Göteborg", "Hanoi")
FIELDS: list[dict[str, Any]] = [
    *({"name": f"amount_{index}", "type": "number"} for index in range(7)),
    *({"name": f"count_{index}", "type": "integer", "minimum": 0} for index in range(5)),
    {"name": "active", "type": "boolean"},
    {"name": "score", "type": "number", "nullable": True},
    {"name": "city", "type": "category", "categories": list(CITIES)},
    {"name": "tier", "type": "category", "categories": ["bronze", "silver", "gold"]},
    {"name": "device", "type": "category"},
    {"name": "channel", "type": "category", "nullable": True},
    {"name": "note", "type": "text"},
    {"name": "since", "type": "datetime"},
]
USE_CASE = UseCase.model_validate(
    {
        "name": "bench",
        "title": "Ingest benchmark",
        "kind": "tabular",
        "record": {"fields": FIELDS, "time_column": "happened"},
        "target": {"task": "multiclass", "classes": ["a", "b", "c"]},
        "model": {"estimator": "none"},
    }
)
OURS = ("csv", "parquet")
WAYS = ("copy", *OURS)
STORED: LiteralString = "use_case, identity, record, label, event_time, source"


@dataclass(frozen=True)
class Measured:
    """One run: its seconds, and the peak memory of its process in bytes."""

    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Way:
    """A file, and the checkout whose code loads it."""

    name: str
    file: Path
    checkout: Path
    python: Path


def main() -> int:
    """Run everything, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--beside", type=Path, help="another checkout of Ratchet, set up, measured too")
    parser.add_argument("--run", nargs=2, metavar=("FILE", "URL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(asdict(measure(Path(arguments.run[0]), arguments.run[1]))))  # noqa: T201
        return 0
    return compare(arguments.rows, arguments.rounds, arguments.beside)


def compare(rows: int, rounds: int, beside: Path | None = None) -> int:
    """Measure each way in turn, `rounds` times, and judge the medians; another checkout is only shown."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        files = write_files(Path(folder), rows)
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        try:
            files["copy"] = prepare_copy(server, files["parquet"])
            ways = [Way(name, files[name], CHECKOUT, Path(sys.executable)) for name in WAYS]
            if beside is not None:
                python = beside.resolve() / ".venv" / "bin" / "python"
                ways += [Way(f"{name} beside", files[name], beside.resolve(), python) for name in OURS]
            runs: dict[str, list[Measured]] = {way.name: [] for way in ways}
            for _ in range(rounds):
                for way in ways:
                    runs[way.name].append(in_own_process(server, way, rows))
        finally:
            server.stop()
        sizes = {way.name: way.file.stat().st_size for way in ways}
    seconds = {name: statistics.median(run.seconds for run in measured) for name, measured in runs.items()}
    peaks = {name: max(run.peak_bytes for run in measured) for name, measured in runs.items()}
    ratios = {name: seconds[name] / seconds["copy"] for name in OURS}
    if beside is not None:
        show_beside(console, runs, beside)
    show(console, rows, rounds, sizes, seconds, peaks)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": rows,
        "fields": len(FIELDS),
        "rounds": rounds,
        "file_bytes": sizes,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "ratio_to_copy": {name: round(value, 3) for name, value in ratios.items()},
        "peak_bytes": peaks,
        "runs": {name: [asdict(run) for run in measured] for name, measured in runs.items()},
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {RESULTS}")
    too_slow = max(ratios.values()) > MAX_RATIO
    too_big = max(peaks.values()) > MAX_BYTES
    return int(too_slow or too_big)


def show_beside(console: Console, runs: Mapping[str, Sequence[Measured]], beside: Path) -> None:
    """Print how many times the rate of the other checkout this one has, round by round."""
    for name in OURS:
        pairs = zip(runs[name], runs[f"{name} beside"], strict=True)
        rates = sorted(other.seconds / own.seconds for own, other in pairs)
        middle, spread = statistics.median(rates), f"{rates[0]:.3f} to {rates[-1]:.3f}"
        console.print(f"{name}: {middle:.3f} times the rate of {beside} ({spread})")


def show(
    console: Console,
    rows: int,
    rounds: int,
    sizes: dict[str, int],
    seconds: dict[str, float],
    peaks: dict[str, int],
) -> None:
    """Print one line a way."""
    table = Table(title=f"{rows:,} rows of {len(FIELDS)} fields, median of {rounds}")
    for heading in ("way", "file MB", "seconds", "rows/s", "times COPY", "peak MB"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for name, duration in seconds.items():
        table.add_row(
            name,
            f"{sizes[name] / 1e6:,.0f}",
            f"{duration:.2f}",
            f"{rows / duration:,.0f}",
            f"{duration / seconds['copy']:.2f}",
            f"{peaks[name] / 1e6:,.0f}",
        )
    console.print(table)


def write_files(folder: Path, rows: int) -> dict[str, Path]:
    """The same made-up rows as CSV and as Parquet."""
    table = made_up(rows)
    files = {"csv": folder / "rows.csv", "parquet": folder / "rows.parquet"}
    pacsv.write_csv(table, files["csv"])
    pq.write_table(table, files["parquet"])
    return files


def made_up(rows: int) -> pa.Table:
    """Rows with a little of everything: numbers, gaps, categories, text that needs quoting, times."""
    random = np.random.default_rng(SEED)
    columns: dict[str, Any] = {
        f"amount_{index}": np.round(random.lognormal(3, 1, rows), 2) for index in range(7)
    }
    columns |= {f"count_{index}": random.integers(0, 10_000, rows) for index in range(5)}
    columns["active"] = random.random(rows) < 0.5
    columns["score"] = pa.array(random.random(rows), mask=random.random(rows) < 0.1)
    columns["city"] = np.array(CITIES, dtype=object)[random.integers(0, len(CITIES), rows)]
    columns["tier"] = np.array(["bronze", "silver", "gold"], dtype=object)[random.integers(0, 3, rows)]
    columns["device"] = np.array([f"device {number}" for number in range(200)], dtype=object)[
        random.integers(0, 200, rows)
    ]
    columns["channel"] = pa.array(
        np.array(["web", "shop", "phone"], dtype=object)[random.integers(0, 3, rows)],
        mask=random.random(rows) < 0.2,
    )
    notes = np.array(['said "yes", then left', "nothing", "called twice; will call again"], dtype=object)
    columns["note"] = notes[random.integers(0, 3, rows)]
    start = np.datetime64("2020-01-01", "s")
    columns["since"] = _texts(start + random.integers(0, 10**8, rows))
    columns["happened"] = _texts(start + np.arange(rows))
    columns["label"] = np.array(["a", "b", "c"], dtype=object)[random.integers(0, 3, rows)]
    return pa.table(columns)


def _texts(times: Any) -> Any:
    return np.char.add(np.datetime_as_string(times, unit="s"), "Z")


def prepare_copy(server: EmbeddedPostgres, source: Path) -> Path:
    """The rows as they end up stored, in COPY's own format."""
    target = source.with_suffix(".copy")
    url = fresh_database(server.url)
    with connect(url) as conn, conn.cursor() as cursor, target.open("wb") as file:
        ingest_file(conn, USE_CASE, source)
        with cursor.copy(f"COPY (SELECT {STORED} FROM feedback ORDER BY seq) TO STDOUT") as copy:
            for block in copy:
                file.write(block)
    drop_database(server.url, url)
    return target


def in_own_process(server: EmbeddedPostgres, way: Way, rows: int) -> Measured:
    """Run one way on a fresh database, and make sure that all rows arrived."""
    url = fresh_database(server.url)
    command = [str(way.python), "-m", "benchmarks.bench_ingest", "--run", str(way.file), url]
    completed = subprocess.run(command, cwd=way.checkout, capture_output=True, text=True, check=True)
    with connect(url) as conn:
        stored = conn.execute("SELECT count(*) FROM feedback").fetchone()
        assert stored == (rows,), f"{way.name}: {stored} of {rows} rows arrived"
    drop_database(server.url, url)
    return Measured(**json.loads(completed.stdout))


def measure(file: Path, url: str) -> Measured:
    """Load one file into an empty database."""
    with connect(url) as conn:
        started = time.perf_counter()
        if file.suffix == ".copy":
            copy_file(conn, file)
        else:
            ingest_file(conn, USE_CASE, file)
        seconds = time.perf_counter() - started
    return Measured(seconds, peak_memory())


def peak_memory() -> int:
    """Most memory that this process has held, in bytes (getrusage counts the parent's before exec, too)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def copy_file(conn: psycopg.Connection[Any], file: Path) -> None:
    """What `psql \\copy` does."""
    with conn.cursor() as cursor, file.open("rb") as source:
        with cursor.copy(f"COPY feedback ({STORED}) FROM STDIN") as copy:
            while block := source.read(1 << 20):
                copy.write(block)
        conn.commit()


def fresh_database(server_url: str) -> str:
    """A migrated empty database, and nothing left to be written for an earlier one."""
    name = f"bench_{time.monotonic_ns()}"
    with connect(server_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    migrate(url)
    with connect(server_url, autocommit=True) as conn:
        conn.execute("CHECKPOINT")
    return url


def drop_database(server_url: str, url: str) -> None:
    """Remove a database."""
    with connect(server_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {urlsplit(url).path.removeprefix('/')} WITH (FORCE)")


if __name__ == "__main__":
    sys.exit(main())
