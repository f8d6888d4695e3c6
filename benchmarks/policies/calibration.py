"""What is measured of calibration where the truth is known: with and without what chance adds.

`python -m benchmarks.policies.calibration`
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from models.metrics.arrays import Floats
from models.metrics.calibration import calibration_error, equal_bins


def plain_error(right: Floats, scores: Floats) -> float:
    """The same without taking off what chance adds."""
    bins = equal_bins(scores)
    return float(np.abs(bins.T @ (right - scores)).sum() / len(scores))


def main() -> None:
    """Draw answers whose scores are too high by so much, and print what is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=2000)
    worlds, random = parser.parse_args().worlds, np.random.default_rng(1)
    table = Table(title="Calibration error: mean and standard deviation")
    for column in ("true", "rows", "as seen", "less what chance adds"):
        table.add_column(column, justify="right")
    for excess in (0.0, 0.05, 0.1):
        for rows in (100, 300, 1000, 3000):
            seen, corrected = [], []
            for _ in range(worlds):
                scores = random.uniform(0.6, 0.99, rows)
                right = random.uniform(0, 1, rows) < scores - excess
                seen.append(plain_error(right.astype(np.float64), scores))
                corrected.append(calibration_error(right, scores))
            cells = [f"{np.mean(one):.3f} ± {np.std(one):.3f}" for one in (seen, corrected)]
            table.add_row(f"{excess:g}", f"{rows:,}", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
