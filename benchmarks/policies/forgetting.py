"""What each way of deciding about a fall on old rows refuses: harmless challengers, and those that do forget.

`python -m benchmarks.policies.forgetting`

Production answers 90 of 100 old rows rightly. A challenger answers a twelfth of them otherwise, and what it
truly loses is known. Compared are the fall as it was seen, a proven fall (`gate.forgetting_proof: fall`), and
proof that nothing was lost beyond the margin (`kept`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from configs.schema import GateConfig
from models.gate.bootstrap import resampled_differences, swap_answers
from models.gate.forgetting import Forgetting, weigh_forgetting

RIGHT = 0.9
"""Share of the old rows that production answers rightly."""
OTHERWISE = 1 / 12
"""Share that the challenger answers otherwise."""
FALLS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08)
"""What challengers truly lose."""
RULES: Mapping[str, Callable[[Forgetting], bool]] = {
    "fall as seen": lambda found: found.is_beyond,
    "proven fall": lambda found: found.verdict == "forgotten",
    "unless proven kept": lambda found: found.verdict != "kept",
}
"""Rule to whether it refuses a challenger."""


def compared(gate: GateConfig, rows: int, fall: float, random: np.random.Generator) -> Forgetting:
    """What is found of one challenger on so many old rows."""
    truth = np.zeros(rows, dtype=np.int64)
    drawn = random.uniform(0, 1, rows)
    lost, won = (OTHERWISE + fall) / 2, (OTHERWISE - fall) / 2
    had = drawn < RIGHT
    has = np.where(had, drawn >= lost, drawn >= 1 - won)
    differences = resampled_differences(
        gate.metric, truth, _answers(has), _answers(had), resamples=gate.resamples, seed=int(drawn[0] * 1e9)
    )
    return weigh_forgetting(
        gate,
        rows=rows,
        challenger=float(has.mean()),
        production=float(had.mean()),
        differences=differences,
        swaps=swap_answers(gate.metric, truth, _answers(has), _answers(had)),
    )


def _answers(right: NDArray[np.bool_]) -> NDArray[np.float32]:
    chance = np.where(right, 0.9, 0.1).astype(np.float32)
    return np.stack([chance, 1 - chance], axis=1)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 300, 1000, 3000])
    options = parser.parse_args()
    gate, random, console = GateConfig(resamples=400), np.random.default_rng(1), Console()
    table = Table(title=f"Challengers refused, of {options.worlds}; margin {gate.forgetting_margin:g}")
    for column in ("old rows", "decided by", *(f"loses {fall:g}" for fall in FALLS)):
        table.add_column(column, justify="right")
    for rows in options.rows:
        found = {fall: [compared(gate, rows, fall, random) for _ in range(options.worlds)] for fall in FALLS}
        for name, refuses in RULES.items():
            shares = [float(np.mean([refuses(one) for one in found[fall]])) for fall in FALLS]
            table.add_row(f"{rows:,}", name, *(f"{share:.0%}" for share in shares))
    console.print(table)


if __name__ == "__main__":
    main()
