"""The gate over many nights without change, and how soon it sees a gain.

`python -m benchmarks.policies.nights`

Models are made up by their answers, so that what each is truly worth is known: a row lies more or less far on
its side, a model sees that through noise of its own, and less noise is a better model. All else is the
product: row scores, periods, record, bootstrap, checks.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.harness.targets import Target, show_targets
from configs.schema import (
    FieldConfig,
    GateConfig,
    HoldoutConfig,
    ModelConfig,
    RecordConfig,
    ShadowsConfig,
    TargetConfig,
    TrainingConfig,
    UseCase,
)
from configs.settings import CHECKOUT
from flows.retrain.judging.deciding import judge_answers
from models.gate.answers import JudgedAnswers
from models.shadows.evidence import Standing
from models.shadows.periods import Period
from models.shadows.record import Record
from models.shadows.scoring import Serving, Shadow, score_period
from models.versions.predictor import Answers

RESULTS = CHECKOUT / "benchmarks" / "results" / "nights.json"
CLASSES = ("no", "yes")
USE_CASE = UseCase(
    name="nights",
    title="Nights",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="x", type="number"),)),
    target=TargetConfig(task="binary", classes=CLASSES, positive="yes"),
    model=ModelConfig(estimator="logistic"),
    training=TrainingConfig(holdout=HoldoutConfig()),
)
SKILL = 0.8
"""Share of right answers of an ordinary model."""
SPREAD = 0.005
"""Standard deviation of what challengers are truly worth."""
LARGE = 0.003


@dataclass(frozen=True)
class Rows:
    """Labelled rows of one night."""

    sides: NDArray[np.int64]
    ease: NDArray[np.float64]
    """How far each lies on its side."""

    @classmethod
    def draw(cls, random: np.random.Generator, count: int) -> Rows:
        """So many by chance."""
        return cls(random.integers(0, 2, count), np.abs(random.normal(0, 1, count)))

    @property
    def labels(self) -> list[str]:
        """As they are stored."""
        return [CLASSES[side] for side in self.sides.tolist()]

    def take(self, part: slice) -> Rows:
        """Some of them."""
        return Rows(self.sides[part], self.ease[part])


@dataclass(frozen=True)
class Model:
    """What answers, and what it is worth."""

    worth: float
    """Its true share of right answers."""
    number: int
    made: int = 0

    def answers(self, rows: Rows) -> Answers:
        """To these rows, the same whenever it is asked the same."""
        noise = np.random.default_rng([self.number, int(1e9 * rows.ease[0])]).normal(0, 1, len(rows.ease))
        # The share of |N(0,1)| + s N(0,1) above 0 is 1 - atan(s) / pi.
        seen = rows.ease + np.tan((1 - self.worth) * np.pi) * noise
        chance = 1 / (1 + np.exp(-2.0 * seen))
        yes = np.where(rows.sides == 1, chance, 1 - chance)
        return Answers(CLASSES, np.stack([1 - yes, yes], axis=1).astype(np.float32))


@dataclass
class World:
    """The loop of one use case, night by night."""

    gate: GateConfig
    random: np.random.Generator
    production: Model
    shadows: list[Model] = field(default_factory=list)
    record: Record = field(default_factory=Record)
    tries: int = 0

    def night(self, rows: int, challenger: Model) -> bool:
        """One retrain; whether it promoted."""
        came = Rows.draw(self.random, rows)
        number = self.record.number + 1
        period = score_period(
            USE_CASE.target,
            Period(number, number),
            came.labels,
            [Shadow("blend", one.made, one.answers(came), version=one.number) for one in self.shadows],
            Serving(self.production.number, self.production.made, self.production.answers(came)),
            metric=self.gate.metric,
        )
        self.record = Record((*self.record.periods, period), ends_now=True)
        held_out = came.take(slice(0, max(min(rows // 2, 100), rows // 5)))
        standing = Standing(self.production.number, "blend", self.production.made)
        judgement = judge_answers(
            USE_CASE.model_copy(update={"gate": self.gate}),
            JudgedAnswers(
                held_out.labels,
                {"blend": challenger.answers(held_out)},
                self.production.answers(held_out),
                None,
                CLASSES,
                "yes",
            ),
            records=self.record.gains(self.gate, ["blend"], standing),
            tries=self.tries,
        )
        keep = self.gate.shadows.keep
        self.shadows = [*self.shadows, challenger][-keep:] if keep else []
        promoted = judgement.decisions["blend"].verdict == "promote"
        self.tries = 0 if promoted else self.tries + 1
        if promoted:
            self.production = challenger
        return promoted


def nights_without_change(gate: GateConfig, nights: int, rows: int, seed: int) -> tuple[int, int]:
    """Promotions of one world, and those to a model that is truly worse by more than 0.3 points."""
    random = np.random.default_rng(seed)
    production = Model(SKILL, seed * 1000)
    world = World(gate, random, production, [production])
    promoted = harmful = 0
    for night in range(1, nights + 1):
        had = world.production.worth
        challenger = Model(SKILL + float(random.normal(0, SPREAD)), seed * 1000 + night, night)
        if world.night(rows, challenger):
            promoted += 1
            harmful += challenger.worth < had - LARGE
    return promoted, harmful


def nights_until_seen(gate: GateConfig, gain: float, rows: int, most: int, seed: int) -> int:
    """How many retrains it takes to promote challengers that are all truly better; `most` + 1: none did."""
    random = np.random.default_rng(seed)
    production = Model(SKILL, seed * 1000)
    world = World(gate, random, production, [production])
    for night in range(1, most + 1):
        if world.night(rows, Model(SKILL + gain, seed * 1000 + night, night)):
            return night
    return most + 1


def main() -> int:
    """Simulate, print, write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--nights", type=int, default=90)
    parser.add_argument("--rows", type=int, default=250, help="labels of a night")
    parser.add_argument("--keep", type=int, help="shadows kept; 0: held-out rows alone decide")
    parser.add_argument("--errors", type=float, help="standard errors taken off what the record says")
    parser.add_argument("--cost", type=float, help="what staying must have lost")
    parser.add_argument("--quiet-only", action="store_true", help="no table of power")
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    console, gate = Console(), GateConfig(resamples=1000)
    named = {name: getattr(options, name) for name in ("keep", "errors", "cost")}
    shadows = ShadowsConfig(**{name: value for name, value in named.items() if value is not None})
    gate = gate.model_copy(update={"shadows": shadows})
    seeds = range(1, options.worlds + 1)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        quiet = pool.map(partial(nights_without_change, gate, options.nights, options.rows), seeds)
        seen = {
            (gain, rows): pool.map(partial(nights_until_seen, gate, gain, rows, 4), seeds)
            for rows in (() if options.quiet_only else (200, 1000, 5000))
            for gain in (0.01, 0.02, 0.05)
        }
    harmed = float(np.mean([harmful > 0 for _, harmful in quiet]))
    console.print(
        f"{options.worlds} worlds of {options.nights} nights without change, {options.rows} labels each: "
        f"{np.mean([promoted for promoted, _ in quiet]):.2f} promotions a world; {harmed:.1%} of worlds had "
        f"one to a model worse by more than {100 * LARGE:g} points"
    )
    show_power(console, seen)
    held = [Target("worlds with a harmful promotion", harmed, "at most", 1 - gate.confidence, "")]
    show_targets(console, held)
    RESULTS.parent.mkdir(exist_ok=True)
    power = [{"gain": gain, "rows": rows, "nights": nights} for (gain, rows), nights in seen.items()]
    RESULTS.write_text(json.dumps({"quiet": quiet, "power": power}) + "\n", encoding="utf-8")
    return 0 if all(one.met for one in held) else 1


def show_power(console: Console, seen: Mapping[tuple[float, int], Sequence[int]]) -> None:
    """Share of worlds in which a gain was seen at the first retrain, and by the second and fourth."""
    table = Table(title="Promoted at the first retrain, by the second, by the fourth")
    table.add_column("labels a retrain", justify="right")
    gains = sorted({gain for gain, _ in seen})
    for gain in gains:
        table.add_column(f"{100 * gain:g} {'point' if gain == 0.01 else 'points'} better", justify="right")
    for rows in sorted({rows for _, rows in seen}):
        cells = [np.array(seen[gain, rows]) for gain in gains]
        table.add_row(
            f"{rows:,}", *(" ".join(f"{(cell <= by).mean():.0%}" for by in (1, 2, 4)) for cell in cells)
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
