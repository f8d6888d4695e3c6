"""What the loop costs as labelled rows grow: `make bench-growth`.

At each of `--sizes` a home of its own gets an embedded PostgreSQL, an MLflow, and made-up rows of 14 numbers
and 6 categories through the product's own parts. Its first model is fitted on 20,000 rows of a snapshot of
all, as only its fit would differ. Then 1,000 rows come and a snapshot is taken; status and page are asked,
drift is checked, and after 1,000 rows more a retrain runs, which learns from the newest million rows; after
1,000 more one that learns from all, in batches. Each step has a process of its own, of which CPU seconds and
peak memory are told; the checkout `--before` does the same beside it, size by size. Ten million rows take
about a quarter of an hour, and 13 GB of disk and of memory, on two quiet cores. Ends with an error where a
target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.growth.report import draw_growth, judge, show
from benchmarks.growth.world import measure, open_world
from benchmarks.harness.targets import show_targets
from configs.settings import CHECKOUT

RESULTS = CHECKOUT / "benchmarks" / "results" / "growth.json"
SIZES = (100_000, 1_000_000)
MOST_BEFORE = 1_000_000
"""Rows at which another checkout is measured too, at most."""
NOW, BEFORE = "now", "before"


def main() -> int:
    """Measure every size, print the table, write JSON and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="labelled rows")
    parser.add_argument("--before", type=Path, help="another checkout of Ratchet, up to a million rows")
    parser.add_argument("--plot", type=Path, help="an SVG of the figures")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the JSON")
    parser.add_argument(
        "--from", dest="sources", type=Path, nargs="+", help="JSONs of other runs: only shown"
    )
    options = parser.parse_args()
    console = Console(width=150)
    if options.sources:
        result = together([json.loads(one.read_text(encoding="utf-8")) for one in options.sources])
    else:
        result = run(sorted(options.sizes), options.before, options.output, console)
    return tell(result, options.plot, console)


def together(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several runs as one; of what two have measured the later counts."""
    runs: dict[str, dict[str, Any]] = {}
    for one in results:
        for name, sizes in one["runs"].items():
            runs.setdefault(name, {}).update(sizes)
    return {"runs": runs}


def run(sizes: list[int], before: Path | None, output: Path, console: Console) -> dict[str, Any]:
    """Every size with each checkout in turn; what is measured is written down after each."""
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "cores": os.cpu_count(), "runs": {},
    }  # fmt: skip
    checkouts = {NOW: CHECKOUT} | ({} if before is None else {BEFORE: before.resolve()})
    for size in sizes:
        for name, checkout in checkouts.items():
            if name == BEFORE and size > MOST_BEFORE:
                continue
            console.print(f"{size:,} rows, {name}; load {os.getloadavg()[0]:.1f}", highlight=False)
            result["runs"].setdefault(name, {})[str(size)] = _measured(checkout, size, console)
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def _measured(checkout: Path, size: int, console: Console) -> Mapping[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder,
        open_world(checkout, Path(folder), console) as world,
    ):
        return {**measure(world, size), "load": os.getloadavg()[0]}


def tell(result: Mapping[str, Any], plot: Path | None, console: Console) -> int:
    """The table, the plot and the targets; 1 where one is missed."""
    show(console, result["runs"])
    targets = judge(result["runs"][NOW])
    show_targets(console, targets)
    if plot is not None:
        draw_growth(result["runs"], plot)
        console.print(f"drawn in {plot}")
    return int(not all(target.met for target in targets))


if __name__ == "__main__":
    sys.exit(main())
