"""Old predictions moved out of PostgreSQL: `python -m benchmarks.moved`, a million of them.

A million predictions of 20 fields, of `--days` days, in an embedded PostgreSQL of its own: what they take
there, what a move costs and the table takes, how long one that is asked for is looked for, and a
thousand, and what it costs to forget those without a label. A fifth have labels. Ends with an error where the
table takes more than a fifth of the disk, or where one prediction takes more than half a second.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from rich.console import Console

from benchmarks.harness.targets import Target, show_targets
from configs.schema import FieldConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from configs.settings import CHECKOUT
from flows.retention.files import weigh
from store.database.connection import connect, migrate
from store.database.embedded import EmbeddedPostgres
from store.moved.asking import ask_back
from store.moved.bringing_back import bring_back
from store.moved.moving import move_old
from store.moved.places import prediction_tables
from store.moved.thinning import thin_old

RESULTS = CHECKOUT / "benchmarks" / "results" / "moved.json"
MOST_SHARE = 0.2
"""Of the disk in PostgreSQL that the table may take."""
MOST_SECONDS = 0.5
"""That one prediction may take to be back in the database, once the worker has read a table."""
ROUNDS = 20
MANY = 1_000
WORDS = ("plan", "city", "colour", "shop")
NUMBERS = tuple(f"f{number}" for number in range(1, 17))
USE_CASE = UseCase(
    name="bench",
    title="Bench",
    kind="tabular",
    record=RecordConfig(
        fields=(
            *(FieldConfig(name=name, type="category") for name in WORDS),
            *(FieldConfig(name=name, type="number") for name in NUMBERS),
        )
    ),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
)
# Numbers as measurements are, of four digits; no two rows are alike.
_FILL: LiteralString = """
    INSERT INTO prediction (id, use_case, record_id, record, label, score, scores, model_version,
        predicted_at)
    SELECT left(hex, 8) || '-' || right(hex, 4) || '-7' || right(tail, 3) || '-9' || left(tail, 3) || '-'
            || substr(tail, 4, 11) || CASE WHEN mod(g, 20) = 0 THEN '1' ELSE '0' END,
        'bench', g::text, jsonb_build_object(
            'plan', (ARRAY['basic', 'plus', 'family', 'office'])[1 + mod(g, 4)],
            'city', 'c' || mod(g * 7, 97), 'colour', 'k' || mod(g * 5, 13), 'shop', 's' || mod(g * 3, 31)
        ) || (SELECT jsonb_object_agg('f' || n, CASE WHEN mod(n, 4) = 0
                THEN to_jsonb(mod(g * n, 1000)::float8 + 0.5) ELSE to_jsonb(round(random()::numeric, 4)) END)
            FROM generate_series(1, 16) AS n),
        CASE WHEN p > 0.5 THEN 'yes' ELSE 'no' END, greatest(p, 1 - p),
        jsonb_build_object('yes', p, 'no', 1 - p), 1, at
    FROM generate_series(%(first)s::bigint, %(last)s) AS g CROSS JOIN LATERAL (
        SELECT %(now)s::timestamptz - %(span)s::interval * (1 - g / %(rows)s::float8) AS at, random() AS p,
            md5(g::text) AS tail) AS t
    CROSS JOIN LATERAL (SELECT lpad(to_hex((1000 * extract(epoch FROM at))::bigint), 12, '0') AS hex) AS h"""
_LABEL: LiteralString = """
    INSERT INTO feedback (use_case, identity, record, label, prediction_id, source)
    SELECT 'bench', 'p:' || id, '{}', label, id, 'http' FROM prediction WHERE mod(record_id::bigint, 5) = 0"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ratchet-moved-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        migrate(server.start())
        try:
            with connect(server.url) as conn:
                result = measure(conn, Path(folder) / "home", options.rows, options.days)
        finally:
            server.stop()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console = Console()
    console.print_json(json.dumps(result))
    targets = [
        Target("disk of the table", result["table_mb"] / result["database_mb"], "at most", MOST_SHARE),
        Target("one prediction back", result["one_back_s"], "at most", MOST_SECONDS, "s"),
    ]
    show_targets(console, targets)
    return int(not all(target.met for target in targets))


def measure(conn: psycopg.Connection[Any], home: Path, rows: int, days: int) -> dict[str, Any]:
    """All figures, by name."""
    now = datetime.now(UTC)
    fill(conn, rows, now, timedelta(days=days))
    result: dict[str, Any] = {"at": now.isoformat(timespec="seconds"), "rows": rows, "days": days}
    result["database_mb"] = megabytes(conn)
    ids = [row[0] for row in conn.execute("SELECT id FROM prediction ORDER BY md5(id) LIMIT %s", (MANY * 2,))]
    conn.commit()
    until = now + timedelta(days=2)  # all of them, to the last
    result["move"], result["moved"] = timed(lambda: move_old(conn, home, USE_CASE, until))
    result["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    conn.autocommit = True
    conn.execute("VACUUM FULL prediction")
    conn.autocommit = False
    result["database_mb_after"] = megabytes(conn)
    (table,) = prediction_tables(home, "bench")
    result["table_mb"] = round(weigh(Path(table.uri)) / 1e6, 1)
    result["files"] = len(list(Path(table.uri).rglob("month=*/*.parquet")))
    result["clean"], _ = timed(lambda: table.clean(conn))
    back = [timed(partial(brought, conn, home, [one]))[0]["s"] for one in ids[:ROUNDS]]
    result["first_back_s"], result["one_back_s"] = back[0], round(statistics.median(back[1:]), 4)
    result["thousand_back"], _ = timed(lambda: brought(conn, home, ids[MANY:]))
    result["forget"], result["forgotten"] = timed(lambda: thin_old(conn, home, "bench", until))
    return result


def fill(conn: psycopg.Connection[Any], rows: int, now: datetime, span: timedelta) -> None:
    """Predictions, oldest first, and labels for a fifth of them."""
    part = 100_000
    for first in range(1, rows + 1, part):
        last = min(first + part - 1, rows)
        conn.execute(_FILL, {"first": first, "last": last, "rows": rows, "now": now, "span": span})
        conn.commit()
    conn.execute(_LABEL)
    conn.execute("ANALYZE")
    conn.commit()


def brought(conn: psycopg.Connection[Any], home: Path, ids: list[str]) -> None:
    """As a server asks and the worker answers, without the way between them."""
    ask_back(conn, ids, "bench")
    conn.commit()
    if bring_back(conn, home, ["bench"]) != len(ids):
        raise RuntimeError("not all were found")


def megabytes(conn: psycopg.Connection[Any]) -> float:
    """What predictions, and what is known of those that were moved, take in the database, with indexes."""
    tables = ("prediction", "prediction_batch", "prediction_asked")
    (size,) = conn.execute(
        "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS t (name)",
        (list(tables),),
    ).fetchone() or (0,)
    conn.commit()
    return round(float(size) / 1e6, 1)


def timed(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Seconds on the clock, those of this process's cores, and what it gave."""
    started, before = time.perf_counter(), time.process_time()
    answer = work()
    return {
        "s": round(time.perf_counter() - started, 4), "cpu_s": round(time.process_time() - before, 4)
    }, answer  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
