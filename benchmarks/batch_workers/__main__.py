"""Answers for a file of 1,000,000 records by 1, 2 and 4 workers: `python -m benchmarks.batch_workers`.

Records of 20 fields, answered by trees (CatBoost, 400 of depth 6), from CSV to CSV, by threads of one
process as without a pool, by processes of this machine, and with `--dask` by workers of a Dask cluster that
is started for it. Of each: rows a second from the first batch read to the output whole, the share of linear
that it keeps (rows a second of n workers, over n times those of one), and processor time of the process that
reads and writes, and of those that answer. Answers must be the same bytes everywhere. Workers beyond the
cores that there are cannot be faster, and are told so. It takes about 4 minutes on two quiet cores; ends with
an error when 2 workers keep less than 0.9 of linear on a machine with 3 cores or more: one is for who reads
and writes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pacsv
from rich.console import Console
from rich.table import Table

from benchmarks.harness.servers import free_port
from configs.compute.address import read_compute
from configs.schema import UseCase
from configs.settings import CHECKOUT
from features.records.contract import RecordContract
from flows.batch.predict_file import AnsweredBy, predict_file
from flows.compute.contract import Pool
from flows.compute.local import LocalPool
from models.estimators.fit_watch import SilentWatch
from models.provenance.surroundings import usable_cores
from models.versions.artifact import Lineage
from models.versions.fitting import fit_challenger
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact

RESULTS = CHECKOUT / "benchmarks" / "results" / "batch_workers.json"
LEAST_SHARE, FULL_CORES = 0.9, 3
SEED = 7
CITIES = ("Amsterdam", "Bogotá", "Cairo", "Delhi", "Espoo", "Fes", "Göteborg", "Hanoi")
FIELDS = [
    *({"name": f"amount_{index}", "type": "number"} for index in range(12)),
    *({"name": f"count_{index}", "type": "integer"} for index in range(4)),
    *({"name": f"city_{index}", "type": "category", "categories": list(CITIES)} for index in range(4)),
]
USE_CASE = UseCase.model_validate(
    {
        "name": "bench",
        "title": "Batch benchmark",
        "kind": "tabular",
        "record": {"fields": FIELDS},
        "target": {"task": "binary", "column": "bought", "classes": ["no", "yes"], "positive": "yes"},
        "model": {"estimator": "catboost", "params": {"iterations": 400, "depth": 6}},
    }
)


@dataclass(frozen=True)
class Measured:
    """One way of answering the file."""

    by: str
    workers: int
    rows: int
    seconds: float
    own_cpu: float
    """Processor seconds of the process that reads and writes."""
    workers_cpu: float
    """Those of the processes that answer."""
    digest: str

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def draw(rows: int, seed: int) -> pa.Table:
    """Records, and what is to be learned of them."""
    random = np.random.default_rng(seed)
    columns: dict[str, object] = {f"amount_{i}": np.round(random.normal(size=rows), 4) for i in range(12)}
    columns |= {f"count_{i}": random.integers(0, 50, rows) for i in range(4)}
    columns |= {f"city_{i}": np.array(CITIES)[random.integers(0, len(CITIES), rows)] for i in range(4)}
    odds = np.asarray(columns["amount_0"]) + (np.asarray(columns["count_0"]) > 25) + random.normal(size=rows)
    columns["bought"] = np.where(odds > 0.5, "yes", "no")
    return pa.table(columns)


def make_version(folder: Path) -> Path:
    """The version that answers."""
    table = draw(20_000, SEED)
    columns = RecordContract(USE_CASE.record).check_table(table).all_or_raise()
    labels = table["bought"].to_pylist()
    challenger = USE_CASE.training.challengers[0].model_copy(update={"members": (), "name": "trees"})
    fitted = fit_challenger(USE_CASE, columns, labels, challenger=challenger, watch=SilentWatch())
    write_artifact(folder, fitted, USE_CASE, columns, lineage=Lineage(), created_at=datetime.now(UTC))
    return folder


def measure(
    by: str, workers: int, pool: Pool | None, artifact: Path, source: Path, folder: Path, rows: int
) -> Measured:
    """Answer the file once."""
    output = folder / f"out-{by}-{workers}.csv"
    predictor = Predictor.load(artifact)
    answered_by = None if pool is None else AnsweredBy(pool, artifact, folder)
    if pool is not None:  # processes start, and load the version, before the clock does
        warm = folder / "warm.csv"
        pacsv.write_csv(draw(200, 1).drop(["bought"]), warm)
        for _ in range(2 * workers):
            predict_file(predictor, 1, warm, folder / "warm-out.csv", by=answered_by)
            (folder / "warm-out.csv").unlink()
    before, others = resource.getrusage(resource.RUSAGE_SELF), _others_cpu()
    started = time.monotonic()
    report = predict_file(predictor, 1, source, output, by=answered_by)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    assert (report.rows, report.refused) == (rows, 0)
    with output.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    output.unlink()
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(by, workers, rows, seconds, own, _others_cpu() - others, digest)


def _others_cpu() -> float:
    """Processor seconds of all processes below this one."""
    return sum(sum(one.cpu_times()[:2]) for one in psutil.Process().children(recursive=True))


@contextmanager
def local(workers: int) -> Iterator[Pool]:
    """Processes of this machine."""
    pool = LocalPool(workers)
    try:
        yield pool
    finally:
        pool.close()


@contextmanager
def dask(workers: int) -> Iterator[Pool]:
    """A Dask cluster of processes with one thread each."""
    from flows.compute.cluster import connect

    port, processes = free_port(), ExitStack()
    with tempfile.TemporaryDirectory() as scratch, processes:
        commands = [["dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]]
        for number in range(workers):
            home = Path(scratch) / str(number)
            home.mkdir()
            commands.append(
                ["dask_worker", f"tcp://127.0.0.1:{port}", "--nthreads", "1", "--no-nanny", "--no-dashboard",
                 "--local-directory", str(home)]
            )  # fmt: skip
        for program, *words in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", *words],
                cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            processes.callback(process.wait)
            processes.callback(process.kill)
        pool = connect(read_compute(f"dask://127.0.0.1:{port}"), patience=60)
        while pool.width < workers:
            time.sleep(0.1)
        try:
            yield pool
        finally:
            pool.close()


def main() -> None:
    """Measure, show, keep, and end with an error when a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--dask", action="store_true", help="workers of a Dask cluster too")
    options = parser.parse_args()
    pools: dict[str, Callable[[int], object]] = {"processes": local}
    if options.dask:
        pools["dask"] = dask
    found: list[Measured] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        artifact, source = make_version(folder / "version"), folder / "in.csv"
        pacsv.write_csv(draw(options.rows, SEED + 1).drop(["bought"]), source)
        found.append(measure("threads", 1, None, artifact, source, folder, options.rows))
        for by, opened in pools.items():
            for workers in options.workers:
                with opened(workers) as pool:  # type: ignore[attr-defined]
                    found.append(measure(by, workers, pool, artifact, source, folder, options.rows))
    show(found)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n", encoding="utf-8")
    if len({one.digest for one in found}) > 1:
        sys.exit("answers differ")
    missed = [one for one in found if one.workers == 2 and share(one, found) < LEAST_SHARE]
    if usable_cores() >= FULL_CORES and missed:
        sys.exit(f"2 workers keep less than {LEAST_SHARE} of linear")


def share(one: Measured, found: list[Measured]) -> float:
    """How much of linear n workers keep."""
    single = next((other for other in found if (other.by, other.workers) == (one.by, 1)), one)
    return one.rate / (one.workers * single.rate)


def show(found: list[Measured]) -> None:
    """The figures as a table."""
    shown = Table(title=f"{found[0].rows:,} records, {usable_cores()} cores")
    for name in ("by", "workers", "rows/s", "of linear", "s", "CPU s here", "CPU s of workers"):
        shown.add_column(name, justify="right")
    for one in found:
        beyond = " (beyond the cores)" if one.by != "threads" and one.workers > usable_cores() else ""
        shown.add_row(
            one.by, f"{one.workers}{beyond}", f"{one.rate:,.0f}", f"{share(one, found):.2f}",
            f"{one.seconds:.1f}", f"{one.own_cpu:.1f}", f"{one.workers_cpu:.1f}",
        )  # fmt: skip
    Console(width=110).print(shown)


if __name__ == "__main__":
    main()
