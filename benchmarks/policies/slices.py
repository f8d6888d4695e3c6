"""What slices catch: how often a challenger is refused that loses on one of them, or on none.

`python -m benchmarks.policies.slices`

Production answers 85 of 100 records rightly, a challenger 88, and a tenth of them otherwise. On one slice, of
as many rows as each of the others, it truly loses what is told.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.policies.nights import CLASSES, USE_CASE
from configs.schema import FieldConfig, GateConfig, RecordConfig, SliceConfig
from models.gate.answers import JudgedAnswers
from models.gate.limits.slices import find_slices, judge_slices
from models.versions.predictor import Answers

RIGHT, GAIN, OTHERWISE = 0.85, 0.03, 0.10
LOSSES = (None, 0.0, 0.05, 0.1, 0.2, 0.3)
"""What the challenger loses on one slice; None: it gains there as well."""
RULE = SliceConfig(field="origin")
CASE = USE_CASE.model_copy(
    update={
        "record": RecordConfig(fields=(FieldConfig(name="origin", type="category"),)),
        "gate": GateConfig(slices=(RULE,), resamples=1000),
    }
)


def is_refused(slices: int, rows: int, loss: float | None, random: np.random.Generator) -> bool:
    """Whether a slice is found to be worse."""
    names = np.repeat([f"origin {number}" for number in range(slices)], rows).astype(object)
    gains = np.full(slices * rows, GAIN)
    gains[:rows] = GAIN if loss is None else -loss
    otherwise = np.maximum(OTHERWISE, np.abs(gains))
    had = random.uniform(0, 1, len(names)) < RIGHT
    drawn = random.uniform(0, 1, len(names))
    lost, won = (otherwise - gains) / 2, (otherwise + gains) / 2
    has = np.where(had, drawn >= lost / RIGHT, drawn < won / (1 - RIGHT))
    answers = JudgedAnswers(
        ["yes"] * len(names), {"full": _answers(has)}, _answers(had), None, CLASSES, "yes"
    )
    found = judge_slices(CASE, answers, "full", find_slices(CASE, {"origin": names}))
    return any(one.verdict == "worse" for one in found)


def _answers(right: NDArray[np.bool_]) -> Answers:
    yes = np.where(right, 0.9, 0.1).astype(np.float32)
    return Answers(CLASSES, np.stack([1 - yes, yes], axis=1))


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    options = parser.parse_args()
    table = Table(title=f"Challengers refused, of {options.worlds}; most_loss {RULE.most_loss:g}")
    for column in (
        "slices",
        "rows of each",
        *("gains" if one is None else f"loses {one:g}" for one in LOSSES),
    ):
        table.add_column(column, justify="right")
    random = np.random.default_rng(1)
    for slices in (3, 10):
        for rows in (50, 100, 300):
            shares = [
                np.mean([is_refused(slices, rows, loss, random) for _ in range(options.worlds)])
                for loss in LOSSES
            ]
            table.add_row(str(slices), str(rows), *(f"{share:.1%}" for share in shares))
    Console().print(table)


if __name__ == "__main__":
    main()
