"""Corrections of many rows, right after they were loaded: `make bench-corrections`.

5,000, 20,000 and 80,000 rows are stored with another label in one batch, before PostgreSQL has analysed
the table; then the same again as labels of predictions, which are recognised by the record's id. What
counts is how the seconds a row change with the number of rows. Ends with an error when a row among the
most costs more than `MAX_GROWTH` times what it costs among the fewest: of a quadratic plan it is 16.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.bench_ingest import drop_database, fresh_database
from configs.settings import CHECKOUT
from store.database.connection import connect
from store.database.embedded import EmbeddedPostgres
from store.feedback.insertion import FeedbackBatch, add_feedback

RESULTS = CHECKOUT / "benchmarks" / "results" / "corrections.json"
SIZES = (5_000, 20_000, 80_000)
MAX_GROWTH = 3.0


@dataclass(frozen=True)
class Measured:
    """Seconds of one size: the load, its corrections, and the same truths by prediction."""

    rows: int
    load: float
    correct: float
    by_prediction: float


def main() -> int:
    """Run everything, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    sizes = sorted(parser.parse_args().sizes)
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        try:
            measured = [on_fresh_database(server, rows) for rows in sizes]
        finally:
            server.stop()
    growth = {
        name: growth_of([(one.rows, asdict(one)[name]) for one in measured])
        for name in ("load", "correct", "by_prediction")
    }
    show(Console(), measured, growth)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": [asdict(one) for one in measured],
        "growth": {name: round(value, 3) for name, value in growth.items()},
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return int(max(growth["correct"], growth["by_prediction"]) > MAX_GROWTH)


def growth_of(seconds: list[tuple[int, float]]) -> float:
    """How many times the cost of a row among the fewest a row among the most has."""
    (fewest, quick), (most, slow) = seconds[0], seconds[-1]
    return (slow / most) / (quick / fewest)


def on_fresh_database(server: EmbeddedPostgres, rows: int) -> Measured:
    """Measure one size on a database that nothing has analysed."""
    url = fresh_database(server.url)
    with connect(url) as conn:
        conn.execute("ALTER TABLE feedback SET (autovacuum_enabled = off)")
        conn.commit()
        measured = Measured(rows, *(seconds(conn, batch) for batch in batches(rows)))
    drop_database(server.url, url)
    return measured


def batches(rows: int) -> list[FeedbackBatch]:
    """First labels, their corrections, and the corrected labels of predictions on the same records."""
    ids = [str(number) for number in range(rows)]
    names = [f"i:{one}" for one in ids]
    documents = [json.dumps({"amount": number, "note": "called twice"}) for number in range(rows)]
    return [
        FeedbackBatch(names, documents, ["no"] * rows, "bench"),
        FeedbackBatch(names, documents, ["yes"] * rows, "bench"),
        FeedbackBatch(
            [f"p:{one}" for one in ids], documents, ["yes"] * rows, "bench", prediction_id=ids, record_id=ids
        ),
    ]


def seconds(conn: psycopg.Connection[Any], batch: FeedbackBatch) -> float:
    """How long it takes until a batch is durable."""
    started = time.perf_counter()
    add_feedback(conn, "bench", batch)
    conn.commit()
    return time.perf_counter() - started


def show(console: Console, measured: list[Measured], growth: dict[str, float]) -> None:
    """Print one line a size."""
    table = Table(title="seconds, in one batch right after the load")
    for heading in ("rows", "load", "correct", "by prediction"):
        table.add_column(heading, justify="right")
    for one in measured:
        seconds = (one.load, one.correct, one.by_prediction)
        table.add_row(f"{one.rows:,}", *(f"{value:.2f}" for value in seconds))
    table.add_row("growth a row", *(f"{value:.2f}" for value in growth.values()))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
