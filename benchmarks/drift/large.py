"""A check of a million rows on either side, of 100 columns: `python -m benchmarks.drift.large`.

Most columns have not moved, others by graded amounts about the threshold. Timed is the whole decision, in
several tries, and once with its page. Beside it Evidently's own run of its preset on all rows of the same
frames, which takes minutes: of each column it must say the same, except where its distance is within a tenth
of the threshold. Ends with an error when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.drift.graded import draw_pair
from benchmarks.harness.targets import Target, show_targets
from configs.schema import DriftConfig
from configs.settings import CHECKOUT
from models.drift.decision import DriftDecision
from models.drift.distances import is_beyond
from models.drift.judging import compare, judge_frames
from models.drift.summaries import category_columns

RESULTS = CHECKOUT / "benchmarks" / "results" / "drift_large.json"
MOST_SECONDS = 10.0
NEAR = 0.1
"""Of the threshold: so near to it a column may count otherwise."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class Cost:
    """Of one call."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Agreement:
    """What the decision and Evidently say of the same columns."""

    columns: int
    agree: int
    near: int
    """Differ within a tenth of the threshold."""
    outside: tuple[str, ...]
    """Differ though Evidently's distance is farther from it."""
    largest_difference: float
    """Of the distances."""
    where: str
    """The column with it."""


def timed(call: Callable[[], Made]) -> tuple[Made, Cost]:
    """What a call makes, and what it costs; CPU seconds are those of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    made = call()
    return made, Cost(time.perf_counter() - wall, time.process_time() - cpu)


def forget_peak() -> None:
    """From here on memory is looked at anew; by Linux."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory() -> float:
    """Most memory that this process has had since then, in GB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) * 1024 / 1e9


def run_preset(config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, float]:
    """Column to distance, by Evidently's preset, without its page."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    categorical = sorted(category_columns(reference))
    numeric = [name for name in reference.columns if name not in categorical]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    preset = DataDriftPreset(
        num_method=config.numeric_method,
        cat_method=config.categorical_method,
        num_threshold=config.threshold,
        cat_threshold=config.threshold,
        drift_share=config.share,
    )
    result = Report([preset]).run(
        reference_data=Dataset.from_pandas(reference, data_definition=definition),
        current_data=Dataset.from_pandas(current, data_definition=definition),
    )
    metrics = [metric["config"] | {"value": metric["value"]} for metric in result.dict()["metrics"]]
    return {one["column"]: float(one["value"]) for one in metrics if "column" in one}


def run_functions(config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, float]:
    """The same by the functions that the preset calls, without what it draws and sums up."""
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    categorical, distances = category_columns(reference), {}
    for name in reference.columns:
        kind = ColumnType.Categorical if name in categorical else ColumnType.Numerical
        method = config.categorical_method if name in categorical else config.numeric_method
        before, now = reference[name].dropna(), current[name].dropna()
        test = get_stattest(before, now, kind, method)
        distances[name] = float(test(before, now, kind, config.threshold).drift_score)
    return distances


RUNS = {"preset": run_preset, "functions": run_functions}


def hold_against(
    config: DriftConfig, decision: DriftDecision, theirs: dict[str, float], columns: Sequence[str]
) -> Agreement:
    """Column by column; one that was not compared here differs."""
    near, outside, differences = 0, [], {"none": 0.0}
    for name in columns:
        value, ours = theirs[name], decision.columns.get(name)
        if ours is not None:
            differences[name] = abs(ours.value - value)
            method = ours.method
            if ours.drifted == is_beyond(method, value, config.threshold):
                continue
        if abs(value - config.threshold) <= NEAR * config.threshold:
            near += 1
        else:
            outside.append(name)
    where = max(differences, key=lambda name: differences[name])
    agree = len(columns) - near - len(outside)
    return Agreement(len(columns), agree, near, tuple(outside), differences[where], where)


def tell(
    console: Console, costs: dict[str, Cost], agreement: Agreement | None, memory: dict[str, float]
) -> None:
    """Tables of what it took and what was said."""
    table = Table("run", "seconds", "CPU seconds", title="Costs")
    for name, cost in costs.items():
        table.add_row(name, f"{cost.seconds:.1f}", f"{cost.cpu_seconds:.1f}")
    console.print(table)
    table = Table("of", "most memory", title="Memory")
    for name, peak in memory.items():
        table.add_row(name, f"{peak:.1f} GB")
    console.print(table)
    if agreement is not None:
        heads = ("columns", "agree", f"differ within {NEAR:.0%}", "differ outside", "largest difference")
        table = Table(*heads, title="Agreement with Evidently on all rows")
        largest = f"{agreement.largest_difference:.2g} ({agreement.where})"
        counts = (agreement.columns, agreement.agree, agreement.near, len(agreement.outside))
        table.add_row(*map(str, counts), largest)
        console.print(table)
        if agreement.outside:
            console.print("differ outside: " + ", ".join(agreement.outside))


def main(argv: Sequence[str]) -> int:
    """Draw, decide, compare, judge."""
    parser = argparse.ArgumentParser(prog="benchmarks.drift.large", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="on either side")
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--evidently", choices=RUNS, default="preset", help="its preset, or only its functions"
    )
    parser.add_argument(
        "--evidently-rows", type=int, default=None, help="the first so many; 0: it is not run; default: all"
    )
    chosen = parser.parse_args(argv)
    config = DriftConfig(reference_rows=chosen.rows, current_rows=chosen.rows)
    console = Console(width=130)
    reference, current, _ = draw_pair(chosen.rows, chosen.columns, chosen.seed)
    forget_peak()
    memory, costs = {"the two frames": peak_memory()}, {}
    for place in range(chosen.tries):
        (decision, _), costs[f"decision, try {place + 1}"] = timed(
            lambda: judge_frames(config, reference, current, seed=chosen.seed)
        )
    memory["decision, with them"] = peak_memory()
    seconds = min(cost.seconds for cost in costs.values())
    targets = [Target("decision", seconds, "at most", MOST_SECONDS, "s")]
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        _, costs["decision and page"] = timed(
            lambda: compare(config, reference, current, html=page, seed=chosen.seed)
        )
    agreement = None
    if chosen.evidently_rows != 0:
        sides = (frame.head(chosen.evidently_rows or len(frame)) for frame in (reference, current))
        forget_peak()
        with np.errstate(invalid="ignore", divide="ignore"):
            theirs, cost = timed(lambda: RUNS[chosen.evidently](config, *sides))
        costs[f"Evidently's {chosen.evidently}"] = cost
        memory[f"Evidently's {chosen.evidently}, with them"] = peak_memory()
        agreement = hold_against(config, decision, theirs, list(reference.columns))
        targets.append(Target("columns that differ outside", len(agreement.outside), "at most", 0, ""))
    tell(console, costs, agreement, memory)
    show_targets(console, targets)
    told: dict[str, Any] = {
        "rows": chosen.rows,
        "columns": chosen.columns,
        "costs": {name: asdict(cost) for name, cost in costs.items()},
        "memory_gb": memory,
        "agreement": None if agreement is None else asdict(agreement),
        "targets": [target.as_dict() for target in targets],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0 if all(target.met for target in targets) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
