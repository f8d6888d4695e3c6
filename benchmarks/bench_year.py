"""A year of the loop in fast motion: `make bench-year`.

Each step stands for some days: predictions, labels, refused rows and keys of that time arrive, production is
checked for drift, challengers are trained and judged, and what is old is deleted. The days pass on a clock of
the benchmark, which the predictions carry and retention is asked by. Real PostgreSQL, real MLflow, real
Evidently and tiny real models, without Prefect. What is on disk is told step by step: it may grow until the
retention is reached, and then only by what is kept for ever. Ends with an error when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.harness import recipes
from benchmarks.harness.loop import retrain
from benchmarks.harness.servers import Running
from benchmarks.harness.targets import Target, show_targets
from configs.loading import load_use_case
from configs.schema import RetentionConfig
from configs.settings import CHECKOUT, read_settings
from flows.context import LoopContext
from flows.drift.checking import check_use_case, log_drift
from flows.retention.files import weigh
from flows.retention.pruning import prune
from models.production.registry import Registry
from store.database.connection import connect, migrate, tool_url
from store.database.embedded import EmbeddedPostgres
from store.ingest.files import ingest_file

RESULTS = CHECKOUT / "benchmarks" / "results" / "year.json"
LABELS = 60
PREDICTIONS = 3000
"""In each step."""
RETENTION = RetentionConfig(
    prediction_days=60, quarantine_days=60, drift_pages=5, mlflow_runs=10, snapshots=3
)
"""So short that a third of the year fills it."""
TABLES = {
    "predictions": "prediction", "labels": "feedback", "keys": "idempotency", "refused rows": "quarantine",
}  # fmt: skip
FOR_EVER = ("labels", "snapshots")
"""Labels are the asset; a snapshot holds all that had come, so as many snapshots grow with them."""
GROWTH = 1.1
"""So much larger, of what it was when two thirds of the year had passed, may anything else be at its end."""
CONFIG = """
name: pears
title: Pears
kind: tabular
record:
  fields:
    - {name: weight, type: number}
    - {name: colour, type: category, categories: [red, green]}
target: {task: multiclass, column: grade, classes: [good, poor]}
model: {estimator: catboost, params: {iterations: 20}}
training: {holdout: {min_rows: 50}}
gate: {metric: accuracy, min_rows: 50, resamples: 500}
retrain: {keep_versions: 3}
"""


@dataclass(frozen=True)
class Step:
    """What there was after one step."""

    day: float
    outcome: str
    megabytes: Mapping[str, float]
    resident: Mapping[str, float]
    """MB of the memory of processes."""
    deleted: Mapping[str, int]


def main() -> None:
    """Measure, print, write and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--days", type=float, default=6.0, help="that a step stands for")
    options = parser.parse_args()
    console = Console(width=140)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        context, mlflow = set_up(folder, stack)
        steps = []
        for step in run(context, mlflow, options.steps, options.days):
            steps.append(step)
            sizes = ", ".join(f"{name} {size:.1f}" for name, size in step.megabytes.items())
            console.print(f"day {step.day:.0f}: {step.outcome}; MB: {sizes}", highlight=False)
    targets = judge(steps)
    show(console, steps)
    show_targets(console, targets)
    RESULTS.parent.mkdir(exist_ok=True)
    content = {
        "steps": [asdict(step) for step in steps],
        "targets": [target.as_dict() for target in targets],
        "retention": RETENTION.model_dump(),
        "each_step": {"days": options.days, "labels": LABELS, "predictions": PREDICTIONS},
        "cores": os.cpu_count(),
    }
    RESULTS.write_text(json.dumps(content, indent=1))
    console.print(f"written to {RESULTS.relative_to(CHECKOUT)}")
    sys.exit(0 if all(target.met for target in targets) else 1)


def set_up(folder: Path, stack: ExitStack) -> tuple[LoopContext, Running]:
    """A home with its servers, and the use case."""
    home, configs = folder / "home", folder / "configs"
    home.mkdir()
    configs.mkdir()
    (configs / "pears.yaml").write_text(CONFIG, encoding="utf-8")
    postgres = EmbeddedPostgres(home / "postgres")
    migrate(postgres.start())
    stack.callback(postgres.stop)
    mlflow = Running(recipes.mlflow_server(home, postgres.url), folder, [])
    stack.callback(mlflow.stop)
    uri = f"http://127.0.0.1:{mlflow.peer.port}"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    settings = read_settings(
        {"RATCHET_HOME": str(home), "RATCHET_CONFIGS": str(configs), "RATCHET_DATABASE_URL": postgres.url,
         "RATCHET_MLFLOW_PORT": str(mlflow.peer.port)}
    )  # fmt: skip
    use_case = load_use_case(configs / "pears.yaml").model_copy(update={"retention": RETENTION})
    return LoopContext(settings, use_case, postgres.url, Registry(uri)), mlflow


def run(context: LoopContext, mlflow: Running, steps: int, days: float) -> Iterator[Step]:
    """One step after the other."""
    random = np.random.default_rng(3)
    begun = datetime.now(UTC)
    take_in(context, random, 400)
    for number in range(1, steps + 1):
        now = begun + timedelta(days=days * number)
        arrive(context, random, now, number)
        take_in(context, random, LABELS)
        with context.workdir() as workdir:
            report = check_use_case(context, workdir)
        if report is not None:
            log_drift(context, report)
        outcome = retrain(context)
        removals = prune(context, now=now)
        assert removals is not None
        vacuum(context)
        yield Step(
            days * number, outcome, sizes(context), resident(mlflow),
            {removal.what: removal.count for removal in removals},
        )  # fmt: skip


def take_in(context: LoopContext, random: np.random.Generator, rows: int) -> None:
    """A file of labelled rows, read as `ratchet ingest` does."""
    weights, colours = random.uniform(0, 1, rows), random.choice(["red", "green"], rows)
    grades = np.where(weights + random.normal(0, 0.1, rows) > 0.5, "good", "poor")
    lines = [
        f"{one:.6f},{colour},{grade}" for one, colour, grade in zip(weights, colours, grades, strict=True)
    ]
    path = context.settings.home / "rows.csv"
    path.write_text("\n".join(["weight,colour,grade", *lines]) + "\n", encoding="utf-8")
    with context.connect() as conn:
        ingest_file(conn, context.use_case, path)


def arrive(context: LoopContext, random: np.random.Generator, now: datetime, step: int) -> None:
    """What a service writes in the days of a step."""
    name = context.use_case.name
    with context.connect() as conn, conn.cursor() as cursor:
        with cursor.copy("COPY prediction (id, use_case, record, label, predicted_at) FROM STDIN") as copy:
            for number in range(PREDICTIONS):
                record = {"weight": float(random.uniform()), "colour": "red"}
                copy.write_row((f"{step:04}-{number:06}", name, orjson.dumps(record).decode(), "good", now))
        cursor.execute(
            "INSERT INTO idempotency (use_case, key, response, body_digest, at)"
            " SELECT %s, %s || n, '{}', 'digest', %s FROM generate_series(1, 200) n",
            (name, f"{step}-", now),
        )
        cursor.execute(
            'INSERT INTO quarantine (use_case, source, reason, "row", at, digest)'
            " SELECT %s, 'file.csv', 'no', '{}', %s, %s || n FROM generate_series(1, 20) n",
            (name, now, f"{step}-"),
        )
        conn.commit()


def vacuum(context: LoopContext) -> None:
    """What PostgreSQL does by itself within minutes, for which fast motion leaves no time."""
    for url in (context.database_url, tool_url(context.database_url, "mlflow")):
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("VACUUM")


def sizes(context: LoopContext) -> dict[str, float]:
    """MB of folders and tables."""
    home, database = context.settings.home, context.database_url
    with connect(database) as conn:
        tables = {name: _relation(conn, table) for name, table in TABLES.items()}
    with psycopg.connect(tool_url(database, "mlflow")) as conn:
        row = conn.execute("SELECT pg_database_size(current_database())").fetchone()
    folders = {name: weigh(home / name) / 1e6 for name in ("mlflow", "snapshots", "cache")}
    return {**folders, "MLflow's rows": float(row[0]) / 1e6 if row else 0.0, **tables}


def _relation(conn: psycopg.Connection[Any], table: str) -> float:
    row = conn.execute("SELECT pg_total_relation_size(%s::regclass)", (table,)).fetchone()
    return 0.0 if row is None else float(row[0]) / 1e6


def resident(mlflow: Running) -> dict[str, float]:
    """Of MLflow's server, and of this process, which does the work of all flow runs one after the other."""
    return {"MLflow": mlflow.memory().resident, "flows": psutil.Process().memory_info().rss / 1e6}


def judge(steps: Sequence[Step]) -> list[Target]:
    """Each target, what was measured, and whether it is met."""
    settled, last = steps[2 * len(steps) // 3 - 1], steps[-1]
    targets = [
        Target(
            f"{name}, of what it was after two thirds",
            size / settled.megabytes[name],
            "at most",
            GROWTH,
        )
        for name, size in last.megabytes.items()
        if name not in FOR_EVER
    ]
    memory = last.resident["MLflow"] / settled.resident["MLflow"]
    return [*targets, Target("memory of MLflow's server, the same", memory, "at most", GROWTH)]


def show(console: Console, steps: Sequence[Step]) -> None:
    """Twelve of the steps."""
    names = list(steps[0].megabytes)
    table = Table(title="MB on disk, by day")
    for column in ("day", *names, "MLflow RSS", "flows RSS"):
        table.add_column(column, justify="right")
    for step in [*steps[:: max(1, len(steps) // 12)], steps[-1]]:
        values = [*step.megabytes.values(), *step.resident.values()]
        table.add_row(f"{step.day:.0f}", *(f"{value:.1f}" for value in values))
    console.print(table)


if __name__ == "__main__":
    main()
