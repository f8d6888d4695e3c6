"""What three rows that cannot be meant do to a model: `python -m benchmarks.policies.fences [--rows N]`.

Ages, charges with a long tail, counts that are mostly 0, and shares, of people who pay or do not. Three rows
with one label are added, with honest or absurd values, which the model takes as they are
(`features.tabular.fence: off`), cuts (`clip`), or leaves out besides (`leave_out`). Told is how often it is
right on clean rows, and how far its probabilities are on average from those of the model without the three.

`--bundled` prints what one absurd value in each number and date of one row does to use cases that come with
Ratchet, and what fences cost them where nothing is absurd.

Ends with an error where what is left out moves what is linear.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.harness.targets import Target, show_targets
from configs.loading import load_use_case
from configs.schema import ChallengerConfig, UseCase
from configs.settings import CHECKOUT
from features.files.datasets import as_configured, load_dataset
from features.records.contract import Columns, RecordContract, take
from models.estimators.fit_watch import SilentWatch
from models.metrics.catalogue import score
from models.versions.fitting import FittedModel, fit_challenger

ESTIMATORS = ("logistic", "catboost", "keras_mixed")
FENCES = ("off", "clip", "leave_out")
HONEST: Mapping[str, float] = {"age": 41.0, "charges": 55.0, "calls": 0.0, "share": 0.5}
ABSURD: Mapping[str, Mapping[str, float]] = {
    "honest values": {},
    "age: 999": {"age": 999.0},
    "age: 1e9": {"age": 1e9},
    "charges: 1e300": {"charges": 1e300},
    "all absurd": {"age": 1e9, "charges": 1e300, "calls": 1e12, "share": -1e15},
}
"""What three rows hold."""
CLEAN_ROWS = 5_000
MOST_MOVED = 1e-3


def use_case(estimator: str, fence: str) -> UseCase:
    """Who pays, by four numbers."""
    params = {"catboost": {"iterations": 100}, "keras_mixed": {"epochs": 5}}.get(estimator, {})
    return UseCase.model_validate(
        {
            "name": "bills",
            "title": "Bills",
            "kind": "mixed" if estimator == "keras_mixed" else "tabular",
            "record": {"fields": [{"name": name, "type": "number"} for name in HONEST]},
            "target": {"task": "binary", "column": "paid", "classes": ["no", "yes"], "positive": "yes"},
            "features": {"tabular": {"fence": fence}},
            "model": {"estimator": estimator, "params": params},
        }
    )


def draw(rows: int, seed: int) -> tuple[Columns, NDArray[np.str_]]:
    """So many people; who is old, is charged much and rarely calls tends to pay."""
    random = np.random.default_rng(seed)
    age, charges = random.normal(45, 12, rows).clip(18, 95), random.lognormal(4, 1.5, rows)
    calls, share = random.poisson(0.3, rows).astype(np.float64), random.beta(2, 2, rows)
    odds = np.exp((age - 45) / 8 + (np.log(charges) - 4) / 1.5 - 2 * calls + 2 * (share - 0.5))
    columns = {"age": age, "charges": charges, "calls": calls, "share": share}
    return columns, np.where(random.random(rows) < odds / (1 + odds), "yes", "no")


def fit(config: UseCase, columns: Columns, labels: NDArray[Any]) -> FittedModel:
    """Of all rows."""
    challenger = ChallengerConfig(name="full")
    return fit_challenger(config, columns, labels.tolist(), challenger=challenger, watch=SilentWatch())


def answers(fitted: FittedModel, columns: Columns) -> NDArray[np.float64]:
    """Probability of `yes`, shape (n,)."""
    given = fitted.estimator.predict_proba(fitted.encoder.encode(columns))[:, 1]
    return np.asarray(given, dtype=np.float64)


@dataclass(frozen=True)
class Bundled:
    """A use case that comes with Ratchet, with another estimator or other features."""

    name: str
    estimator: str
    keeps_outliers: bool = False
    """Whether its own clip of outliers is off, which would hide what a value does."""

    def config(self, fence: str) -> UseCase:
        """Its configuration, with this fence."""
        found = load_use_case(CHECKOUT / "configs" / f"{self.name}.yaml")
        document = found.model_dump(mode="json")
        document["features"]["tabular"]["fence"] = fence
        if self.keeps_outliers:
            document["features"]["tabular"]["outliers"] = "keep"
        if document["model"]["estimator"] != self.estimator:
            document["model"] = {"estimator": self.estimator}
        return UseCase.model_validate(document)


BUNDLED = (
    Bundled("plans", "catboost"),
    Bundled("plans", "logistic"),
    Bundled("plans", "catboost", keeps_outliers=True),
    Bundled("plans", "logistic", keeps_outliers=True),
    Bundled("spam_accounts", "keras_mixed"),
    Bundled("spam_accounts", "logistic"),
)
ABSURD_NUMBER, ABSURD_DATE = 1e308, np.datetime64("9999-12-31", "us")
HELD_OUT = 0.25


def read_bundled(config: UseCase) -> tuple[Columns, NDArray[np.object_]]:
    """Rows of its data set that have a label and fit."""
    assert config.data.dataset is not None
    table = as_configured(config, load_dataset(config.data.dataset))
    checked = RecordContract(config.record).check_table(table)
    labels = np.array(table[config.target.column].to_pylist(), dtype=object)[checked.rows]
    known = np.isin(labels, config.target.classes)
    return take(checked.columns, known), labels[known]


def spoil(config: UseCase, columns: Columns) -> Columns:
    """The same rows, the first of which has an absurd value in each number and date."""
    spoiled = {name: values.copy() for name, values in columns.items()}
    for field in config.record.fields:
        if field.type == "number":
            spoiled[field.name][0] = ABSURD_NUMBER
        elif field.type == "datetime":
            spoiled[field.name][0] = ABSURD_DATE
    return spoiled


def compare_bundled(console: Console) -> None:
    """Fit each on clean and on spoiled rows, with each fence, and print its metric on held-out rows."""
    table = Table(
        "rows, estimator", *(f"{fence}: {what}" for fence in FENCES for what in ("clean", "spoiled"))
    )
    for one in BUNDLED:
        cells = []
        for fence in FENCES:
            config = one.config(fence)
            columns, labels = read_bundled(config)
            held_out = np.random.default_rng(1).random(len(labels)) < HELD_OUT
            train, truth = take(columns, ~held_out), labels[held_out]
            for rows in (train, spoil(config, train)):
                fitted = fit(config, rows, labels[~held_out])
                given = fitted.estimator.predict_proba(fitted.encoder.encode(take(columns, held_out)))
                places = np.array([fitted.classes.index(label) for label in truth])
                target = config.target
                scores = score(target.task, places, given, fitted.classes, target.positive)
                cells.append(f"{scores[config.gate.metric]:.3f}")
        kept = ", outliers kept" if one.keeps_outliers else ""
        table.add_row(f"{one.name}, {one.estimator}{kept} ({config.gate.metric})", *cells)
    console.print(table)


def main() -> int:
    """Fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000, help="to learn from")
    parser.add_argument("--bundled", action="store_true", help="of use cases that come with Ratchet instead")
    chosen, console = parser.parse_args(), Console(width=110)
    rows = chosen.rows
    if chosen.bundled:
        compare_bundled(console)
        return 0
    columns, labels = draw(rows, 1)
    clean, truth = draw(CLEAN_ROWS, 2)
    table = Table(title=f"Three rows beside {rows:,}: accuracy, moved")
    for column in ("estimator", "three rows hold", *FENCES):
        table.add_column(column)
    moved: dict[tuple[str, str, str], float] = {}
    for estimator in ESTIMATORS:
        alone = {one: answers(fit(use_case(estimator, one), columns, labels), clean) for one in FENCES}
        for what, held in ABSURD.items():
            added = {**HONEST, **held}
            more = {name: np.append(values, [added[name]] * 3) for name, values in columns.items()}
            cells = []
            for fence in FENCES:
                given = answers(fit(use_case(estimator, fence), more, np.append(labels, ["no"] * 3)), clean)
                moved[estimator, what, fence] = float(np.abs(given - alone[fence]).mean())
                right = float(((given > 0.5) == (truth == "yes")).mean())
                cells.append(f"{right:.3f}, {moved[estimator, what, fence]:.3f}")
            table.add_row(estimator, what, *cells)
    console.print(table)
    linear = max(
        moved["logistic", what, "leave_out"] for what in ("age: 1e9", "charges: 1e300", "all absurd")
    )
    target = Target("what is left out moves what is linear by", linear, "at most", MOST_MOVED, "")
    show_targets(console, [target])
    return 0 if target.met else 1


if __name__ == "__main__":
    sys.exit(main())
