"""A whole stack whose worker retrains on a table of many rows, with a fit that takes all cores.

The service, the worker and what it starts are as `ratchet up` starts them; rows are those of the load.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import yaml

from benchmarks.harness.recipes import RATCHET, rows_body
from benchmarks.harness.servers import Peer
from benchmarks.hot_path.records import FOLDER, ROW, make_records, use_case_of
from benchmarks.overhead import loop
from configs.settings import Settings
from store.database.connection import connect, database_url
from store.ingest.files import ingest_file
from store.runs.rows import running_run

KIND = ROW
ROWS, DRAWN = 500_000, 10_000
"""Labelled rows before the first retrain, and those of them that are drawn; others are these with noise."""
NEW_ROWS = 1000
FIT = {
    "estimator": "sklearn",
    "params": {
        "class": "sklearn.neural_network.MLPClassifier",
        "hidden_layer_sizes": [128], "batch_size": 1000, "max_iter": 60, "n_iter_no_change": 1000,
    },
}  # fmt: skip
"""Learns on all cores for a minute, and answers in microseconds, so that latency is the service's."""
BEGINS_WITHIN = 120.0


@contextmanager
def served(folder: Path) -> Iterator[tuple[Peer, Callable[[], AbstractContextManager[None]]]]:
    """The service, once it has a first model, and what has the worker retrain for a while."""
    config = yaml.safe_load((FOLDER / f"{KIND}.yaml").read_text(encoding="utf-8"))
    del config["data"]
    config |= {
        "model": FIT,
        "training": {"baseline": "never", "challengers": [{"name": "full", "fit": "full"}]},
        "schedule": {"ingest": None, "drift": None, "retrain": None},
    }
    with loop.stack(folder, {KIND: yaml.safe_dump(config)}) as settings:
        store_rows(settings, folder, ROWS, seed=0)
        loop.retrain(settings, KIND)
        loop.settle(settings)
        seeds = iter(range(1, 1_000_000))

        @contextmanager
        def retraining() -> Iterator[None]:
            store_rows(settings, folder, NEW_ROWS, seed=next(seeds))
            with ThreadPoolExecutor(1) as pool:
                run = pool.submit(loop.retrain, settings, KIND)
                _wait_until_it_trains(settings)
                yield
                if run.done():
                    raise RuntimeError("the retrain has ended before the load beside it")
                run.result()
            loop.settle(settings)

        path = f"/v1/{KIND}/predict"
        yield Peer(RATCHET, [], settings.port, path, rows_body("records")), retraining


def store_rows(settings: Settings, folder: Path, count: int, seed: int) -> None:
    """Labelled rows, by a file; those that are not drawn have the values of one that is, a little moved."""
    use_case = use_case_of(KIND)
    records, labels = make_records(use_case, min(count, DRAWN), seed=1000 + seed)
    random = np.random.default_rng(seed)
    names = [field.name for field in use_case.record.fields]
    numbers = [field.name for field in use_case.record.fields if field.type == "number"]
    path = folder / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*names, use_case.target.column])
        for place in range(count):
            record = records[place % len(records)]
            noise = dict(zip(numbers, random.normal(0, 3, len(numbers)).round(2), strict=True))
            values = (record[name] + noise.get(name, 0) if name in noise else record[name] for name in names)
            rows.writerow([*values, labels[place % len(records)]])
    with connect(database_url(settings)) as conn:
        ingest_file(conn, use_case, path)
    path.unlink()


def _wait_until_it_trains(settings: Settings) -> None:
    until = monotonic() + BEGINS_WITHIN
    with connect(database_url(settings), autocommit=True) as conn:
        while monotonic() < until:
            run = running_run(conn, KIND)
            if run is not None and (run.progress or {}).get("step") == "train":
                return
            sleep(0.1)
    raise TimeoutError(f"no retrain has begun to train within {BEGINS_WITHIN:g} s")
