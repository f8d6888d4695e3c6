"""How long an event loop stands still while a thread loads the first version that needs a library.

`python -m benchmarks.hot_path.first_load`, about a minute on a quiet machine: fresh processes that have a
version which ONNX Runtime answers, and load one that scikit-learn answers; with quick turns of threads, as
the service has them, and without, in turn. Told is the longest time that a heartbeat of a millisecond was
late, and the sum of what it was late by more than 10 ms.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
from contextlib import nullcontext
from time import perf_counter

from rich.console import Console
from rich.table import Table

from configs.settings import CHECKOUT

ROUNDS = 5
BEAT_SECONDS = 0.001
LATE_SECONDS = 0.01


async def beat(work: threading.Thread) -> list[float]:
    """By how many seconds each beat was late while a thread worked."""
    late, last = [], perf_counter()
    work.start()
    while work.is_alive():
        await asyncio.sleep(BEAT_SECONDS)
        now = perf_counter()
        late.append(now - last - BEAT_SECONDS)
        last = now
    return late


def load_first(*, quick: bool) -> None:
    """In a fresh process: print the longest wait, the sum of long ones, and the whole time, in seconds."""
    from benchmarks.hot_path.records import PICTURE, ROW, artifacts
    from models.versions.predictor import Predictor
    from service.swap.quick_turns import quick_turns

    made = artifacts()
    Predictor.load(made[PICTURE]).check_probe()

    def load() -> None:
        with quick_turns() if quick else nullcontext():
            Predictor.load(made[ROW]).check_probe()

    began = perf_counter()
    late = asyncio.run(beat(threading.Thread(target=load)))
    figures = [max(late), sum(one for one in late if one > LATE_SECONDS), perf_counter() - began]
    sys.stdout.write(json.dumps(figures) + "\n")


def main() -> None:
    """Measure and print."""
    if len(sys.argv) > 1:
        load_first(quick=sys.argv[1] == "quick")
        return
    found: dict[str, list[list[float]]] = {"usual": [], "quick": []}
    for number in range(ROUNDS):
        for turns in ("usual", "quick") if number % 2 == 0 else ("quick", "usual"):
            command = [sys.executable, "-m", "benchmarks.hot_path.first_load", turns]
            environ = os.environ | {"OMP_NUM_THREADS": "1"}
            done = subprocess.run(
                command, cwd=CHECKOUT, env=environ, check=True, capture_output=True, text=True
            )
            found[turns].append(json.loads(done.stdout.splitlines()[-1]))
    table = Table(title="Loading the first version that needs scikit-learn, ms (medians of the rounds)")
    for head in (
        "turns of threads",
        "longest wait of the loop",
        "longest of all rounds",
        "late in all",
        "load",
    ):
        table.add_column(head, justify="left" if head == "turns of threads" else "right")
    for turns, rounds in found.items():
        longest, late, whole = (statistics.median(column) for column in zip(*rounds, strict=True))
        cells = (longest, max(one[0] for one in rounds), late, whole)
        table.add_row(turns, *(f"{1000 * cell:,.0f}" for cell in cells))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
