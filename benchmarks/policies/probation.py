"""Lives of promoted versions, simulated: `python -m benchmarks.policies.probation [--lives N]`.

Two versions differ in a share of their answers, and the new one is right in fewer of these. Looks come when
the worker's do. Told is how many versions are taken back within 20,000 labels, and after how many labels.

Ends with an error where equal versions are taken back more often than is configured.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.harness.targets import Target, show_targets
from configs.schema import ProbationConfig
from flows.probation.looking import FEWEST_LABELS, GROWTH
from models.probation.wealth import STAKES

DIFFERING = (0.05, 0.1, 0.2)
LOST = (0.0, 0.01, 0.02, 0.05, 0.1)
MOST_LABELS = ProbationConfig().labels


def looks() -> Iterator[int]:
    """After how many labels is looked."""
    labels = FEWEST_LABELS
    while labels < MOST_LABELS:
        yield labels
        labels += max(FEWEST_LABELS, math.ceil(GROWTH * labels))
    yield MOST_LABELS


def taken_back_after(
    random: np.random.Generator, differing: float, lost: float, at: NDArray[np.int64]
) -> float:
    """Labels until a version is taken back; infinite: it is not."""
    shares = [(differing + lost) / 2, (differing - lost) / 2, 1 - differing]
    losses = random.choice([1.0, -1.0, 0.0], MOST_LABELS, p=shares)
    paths = np.cumsum(np.log1p(STAKES[:, None] * losses[None, :]), axis=1)[:, at - 1]
    most = paths.max(axis=0)
    wealth = most + np.log(np.exp(paths - most).mean(axis=0))
    crossed = np.flatnonzero(wealth >= math.log(1 / ProbationConfig().false_alarms))
    return float(at[crossed[0]]) if crossed.size else math.inf


def main() -> int:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lives", type=int, default=2000, help="of each kind")
    lives, console = parser.parse_args().lives, Console()
    at = np.array(list(looks()), dtype=np.int64)
    table = Table(title=f"Of {lives} versions each, within {MOST_LABELS:,} labels and {len(at)} looks")
    for column in ("answers that differ", "lost", "taken back", "median labels", "9 of 10 within"):
        table.add_column(column, justify="right")
    targets = []
    for differing in DIFFERING:
        for lost in (one for one in LOST if one <= differing):
            random = np.random.default_rng([round(differing * 1000), round(lost * 1000)])
            after = np.array([taken_back_after(random, differing, lost, at) for _ in range(lives)])
            share = float(np.isfinite(after).mean())
            if lost == 0:
                name = f"equal versions taken back, {differing:.0%} differ"
                targets.append(Target(name, share, "at most", ProbationConfig().false_alarms, ""))
            told = [_labels(np.quantile(after, part, method="higher")) for part in (0.5, 0.9)]
            table.add_row(f"{differing:.0%}", f"{100 * lost:g} points", f"{share:.1%}", *told)
    console.print(table)
    show_targets(console, targets)
    return 0 if all(one.met for one in targets) else 1


def _labels(count: float) -> str:
    return f"{count:,.0f}" if math.isfinite(count) else "never"


if __name__ == "__main__":
    sys.exit(main())
