"""Hard files through the readers: `python -m benchmarks.fuzz.readers --files 20000`.

Each file is read by every kind of use case. A traceback, more than a gigabyte, or more than ten seconds
of a core a megabyte is a failure, and so is a process that dies: the file it died of is kept beside the
results. The same seed makes the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.fuzz.hard_files import File, files
from configs.schema import UseCase
from configs.settings import CHECKOUT
from features.errors import FeatureError
from features.files.labelled_rows import RowReader
from features.files.layout import layout_of
from features.files.sources import open_source

RESULTS = CHECKOUT / "benchmarks" / "results" / "fuzz_readers.json"
MOST_BYTES = 1 << 30
SECONDS_A_MB = 10.0
START_SECONDS = 3.0
"""What any file may take, however small."""
TASKS: dict[str, dict[str, Any]] = {
    "table": {
        "record": {
            "id_column": "id",
            "time_column": "at",
            "fields": [{"name": "n", "type": "number"}, {"name": "c", "type": "category", "nullable": True}],
        },
        "target": {"task": "binary", "classes": ["0", "1"]},
    },
    "text": {
        "record": {"fields": [{"name": "text", "type": "text"}]},
        "target": {"task": "multiclass"},
        "kind": "text",
    },
    "sets": {
        "record": {"fields": [{"name": "text", "type": "text", "nullable": True}]},
        "target": {"task": "multilabel", "column": "labels"},
        "gate": {"metric": "f1_micro"},
        "kind": "text",
    },
    "dates": {
        "record": {"fields": [{"name": "seen", "type": "datetime"}, {"name": "n", "type": "integer"}]},
        "target": {"task": "multiclass"},
        "files": {"decimal": ",", "thousands": "."},
    },
    "images": {
        "record": {"fields": [{"name": "image", "type": "image", "shape": [2, 2]}]},
        "target": {"task": "multiclass"},
        "kind": "image",
    },
}


def use_cases() -> list[UseCase]:
    """One of each kind of record and label."""
    usual = {"title": "Fuzz", "kind": "tabular", "model": {"estimator": "none"}}
    return [UseCase.model_validate({**usual, "name": name, **parts}) for name, parts in TASKS.items()]


@dataclass
class Tally:
    """What became of the files."""

    files: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)
    worst_seconds: float = 0.0
    worst_rate: float = 0.0
    peak_bytes: int = 0


def main() -> int:
    """Read the files in processes of their own, print what became of them, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    each = -(-arguments.files // arguments.processes)
    seeds = range(arguments.seed, arguments.seed + arguments.processes)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ratchet-fuzz-") as name:
        folder = Path(name)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.processes, mp_context=spawn) as pool:
            running = [pool.submit(run, seed, each, folder / str(seed)) for seed in seeds]
        try:
            tallies = [tally.result() for tally in running]
        except BrokenProcessPool:
            return tell_of_death(folder)
    total = joined(tallies)
    RESULTS.write_text(json.dumps(vars(total), indent=2), encoding="utf-8")
    print(  # noqa: T201
        f"{total.files} files: {dict(total.outcomes)}; worst {total.worst_seconds:.2f} s a file, "
        f"{total.worst_rate:.2f} s a MB (of files of 100 KB or more); peak {total.peak_bytes >> 20} MB; "
        f"{len(total.failures)} failures"
    )
    for failure in total.failures[:20]:
        print(json.dumps({key: str(value)[-700:] for key, value in failure.items()}, indent=1))  # noqa: T201
    return 1 if total.failures or total.peak_bytes > MOST_BYTES else 0


def tell_of_death(folder: Path) -> int:
    """Keep the files that the processes were reading when one of them died, as each may be the cause."""
    print("a process died; files that were being read:", file=sys.stderr)  # noqa: T201
    for path in (path for path in sorted(folder.rglob("*")) if path.is_file()):
        kept = RESULTS.with_name(f"fuzz_died_of_{path.parent.name}_{path.name}")
        shutil.copy(path, kept)
        print(f"  {kept}", file=sys.stderr)  # noqa: T201
    return 1


def joined(tallies: Sequence[Tally]) -> Tally:
    """The tallies of several processes as one."""
    outcomes: Counter[str] = Counter()
    for tally in tallies:
        outcomes += tally.outcomes
    return Tally(
        sum(tally.files for tally in tallies),
        outcomes,
        [failure for tally in tallies for failure in tally.failures],
        max(tally.worst_seconds for tally in tallies),
        max(tally.worst_rate for tally in tallies),
        max(tally.peak_bytes for tally in tallies),
    )


def run(first_seed: int, count: int, folder: Path) -> Tally:
    """Read `count` files in this process, each from `folder`, which is made."""
    folder.mkdir()
    tally = Tally()
    readers = [(use_case, RowReader(use_case)) for use_case in use_cases()]

    @seed(first_seed)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(files())
    def read_all(file: File) -> None:
        _read(file, folder, readers, tally)

    read_all()
    return tally


def _read(file: File, folder: Path, readers: Sequence[tuple[UseCase, RowReader]], tally: Tally) -> None:
    name, data = file
    path = folder / name
    path.write_bytes(data)
    tally.files += 1
    for use_case, reader in readers:
        started = time.process_time()
        try:
            outcome = outcome_of(path, use_case, reader)
        except Exception:  # noqa: BLE001 (whatever it is, it is what this looks for)
            outcome = "traceback"
            _fail(tally, file, use_case.name, traceback.format_exc())
        seconds, megabytes = time.process_time() - started, len(data) / 1e6
        tally.outcomes[outcome] += 1
        tally.worst_seconds = max(tally.worst_seconds, seconds)
        if megabytes >= 0.1:
            tally.worst_rate = max(tally.worst_rate, seconds / megabytes)
        if seconds > SECONDS_A_MB * megabytes + START_SECONDS:
            _fail(tally, file, use_case.name, f"{seconds:.1f} seconds for {megabytes:.3f} MB")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if peak > tally.peak_bytes + (1 << 27) and tally.peak_bytes:
            print(f"{name}, {len(data)} bytes, {use_case.name}: peak {peak >> 20} MB", file=sys.stderr)  # noqa: T201
        tally.peak_bytes = max(tally.peak_bytes, peak)
    path.unlink()


def outcome_of(path: Path, use_case: UseCase, reader: RowReader) -> str:
    """Read a file to its end: whether it was read, had rows refused, or was refused as a whole.

    Raises:
        AssertionError: rows and their lines do not go together.
    """
    refused = 0
    try:
        with closing(open_source(path, layout_of(use_case))) as source:
            reader.require_columns(source)
            for batch in source.batches:
                assert len(batch.lines) == batch.table.num_rows
                rows = reader.read(batch)
                assert len(rows.labels) + len(rows.refused) == batch.table.num_rows + len(batch.bad)
                reader.contract.to_json(rows.columns)
                refused += len(rows.refused)
    except FeatureError:
        return "refused"
    return "read, some rows refused" if refused else "read"


def _fail(tally: Tally, file: File, use_case: str, why: str) -> None:
    name, data = file
    digest = hashlib.sha256(data).hexdigest()[:12]
    if len(tally.failures) < 200:
        tally.failures.append(
            {
                "name": name,
                "bytes": len(data),
                "digest": digest,
                "use_case": use_case,
                "why": why,
                "head": repr(data[:200]),
            }
        )


if __name__ == "__main__":
    sys.exit(main())
