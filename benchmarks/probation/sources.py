"""Whose labels take a version back, simulated: `python -m benchmarks.probation.sources [--lives N]`.

First honest sources that tell of a version that is right in fewer answers, or of one that is as good; then
liars, who label for the version before where the two differ, while others send honest labels. A version that
is as good is taken back by a liar, or held until a person has looked.

Ends with an error where one honest source is slower than without the rule by more than a tenth, or several by
half, or where a liar who is not who usually sends labels takes a version back more often than chance does.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.harness.targets import Target, show_targets
from benchmarks.policies.probation import looks
from configs.schema import FieldConfig, ModelConfig, ProbationConfig, RecordConfig, TargetConfig, UseCase
from models.gate.sources import JudgedSources
from models.probation.evidence import crosses
from models.probation.sources import PairRows, carrying_source
from models.probation.wealth import Differences

USE_CASE = UseCase(
    name="simulated",
    title="Simulated",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="x", type="number"),)),
    target=TargetConfig(task="binary", classes=("0", "1")),
    model=ModelConfig(estimator="logistic"),
)
MOST_LABELS = 6_000
AT = [rows for rows in looks() if rows <= MOST_LABELS]
DIFFERING = 0.1
"""Share of all records on which the two versions differ."""
ASKED = 1_000
"""Records of the prediction log."""
HONEST = (8, 30, 300)
"""Honest labels beside those of a liar, who begins after them."""
LIES = 400


@dataclass(frozen=True)
class World:
    """Sources that are honest."""

    title: str
    sends: Mapping[str, float]
    """Share of each source of the labels since the promotion."""
    learned: Mapping[str, int]
    newest: Mapping[str, int]
    """Of what was learned, what came since the version before was made."""
    must_go: bool = True
    """Whether a version that is worse must be taken back without a person."""
    slower: float = 1.1
    """Labels that it may take at most, to those without the rule (medians)."""


@dataclass(frozen=True)
class Liar:
    """A source that lies for the version before, while `fb` is honest."""

    title: str
    name: str
    learned: Mapping[str, int]
    newest: Mapping[str, int]
    chooses: bool
    """Whether it labels only records on which the two differ; else all that come."""
    must_fail: bool = True
    asked: int = ASKED
    honest: tuple[int, ...] = field(default=HONEST)


FIRST = {"file": 1_800}
"""Of which most first models are made."""
WORLDS = (
    World("one key, and nobody else ever", {"fb": 1}, {"fb": 1_800}, {"fb": 300}),
    World("files only", {"file": 1}, FIRST, {"file": 300}),
    World("first a file, then one key", {"fb": 1}, FIRST | {"fb": 300}, {"fb": 300}),
    World("files, then the open door", {"open": 1}, FIRST, {"file": 300}),
    World(
        "a file; keys, 95 and 5 of 100", {"fb": 0.95, "b": 0.05},
        FIRST | {"fb": 285, "b": 15}, {"fb": 285, "b": 15},
    ),
    World(
        "a file; keys, 60 and 40 of 100", {"fb": 0.6, "b": 0.4},
        FIRST | {"fb": 180, "b": 120}, {"fb": 180, "b": 120}, slower=1.5,
    ),
    World(
        "a file; three keys alike", {"a": 0.34, "b": 0.33, "c": 0.33},
        FIRST | {"a": 100, "b": 100, "c": 100}, {"a": 100, "b": 100, "c": 100}, slower=1.5,
    ),
    World("files, then a key that is new", {"new": 1}, FIRST, {"file": 300}, must_go=False),
)  # fmt: skip
BOTH = {"fb": 200, "mallory": 100}
LIARS = (
    Liar("a key that is new; files before", "mallory", FIRST, {"file": 300}, True),
    Liar("the same, of all records", "mallory", FIRST, {"file": 300}, False),
    Liar("a key that is new; `fb` before", "mallory", {"fb": 1_800}, {"fb": 300}, True),
    Liar("the same, of all records", "mallory", {"fb": 1_800}, {"fb": 300}, False),
    Liar("a key with a third of the newest labels", "mallory", FIRST | BOTH, BOTH, True),
    Liar("the same, of all records", "mallory", FIRST | BOTH, BOTH, False),
    Liar("the open door; files before", "open", FIRST, {"file": 300}, True),
    Liar("the key that sends most", "fb2", FIRST | {"fb2": 300}, {"fb2": 300}, True),
    Liar("the same, nothing asked lately", "fb2", FIRST | {"fb2": 300}, {"fb2": 300}, True, False, asked=0),
    Liar("the same, of all records", "fb2", FIRST | {"fb2": 300}, {"fb2": 300}, False, False),
)


def main() -> int:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lives", type=int, default=400, help="of each kind")
    lives, console = parser.parse_args().lives, Console()
    targets = [*_worlds(console, lives), *_liars(console, lives)]
    show_targets(console, targets)
    return 0 if all(one.met for one in targets) else 1


def _worlds(console: Console, lives: int) -> list[Target]:
    table = Table(title=f"Honest sources, {lives} versions each, within {AT[-1]:,} labels")
    for column in ("sources", "lost", "taken back", "median labels", "9 of 10", "without the rule", "held"):
        table.add_column(column, justify="right")
    targets = []
    for world in WORLDS:
        for lost in (0.0, 0.05, 0.1):
            random = np.random.default_rng(round(lost * 100))
            seen = np.array([_honest_life(random, world, lost) for _ in range(lives)])
            crossed, back, held = seen[:, 0], seen[:, 1], float(seen[:, 2].mean())
            share = float(np.isfinite(back).mean())
            told = [_labels(one) for one in (_median(back), _ninth(back), _median(crossed))]
            table.add_row(world.title, f"{100 * lost:g} points", f"{share:.1%}", *told, f"{held:.1%}")
            name = f"{world.title}, {100 * lost:g} points"
            if lost == 0:
                most = ProbationConfig().false_alarms + 2 * math.sqrt(0.05 * 0.95 / lives)
                targets.append(Target(f"{name}: taken back", share, "at most", most, ""))
            elif world.must_go:
                ratio = _median(back) / _median(crossed)
                targets.append(Target(f"{name}: labels to without", ratio, "at most", world.slower, ""))
    console.print(table)
    return targets


def _honest_life(random: np.random.Generator, world: World, lost: float) -> tuple[float, float, bool]:
    """Labels until it is proven, and until it is taken back (infinite: never); whether it was ever held."""
    losses = _losses(random, AT[-1], lost)
    names = random.choice(list(world.sends), len(losses), p=list(world.sends.values())).tolist()
    asked = random.random(0 if world.sends.keys() == {"file"} else ASKED) < DIFFERING
    crossed = math.inf
    for rows in AT:
        if not crosses(USE_CASE.probation, losses[:rows]):
            continue
        crossed = min(crossed, rows)
        sources = JudgedSources(names[:rows], learned=world.learned)
        if carrying_source(USE_CASE, _pair(random, losses[:rows], sources, world.newest, asked)) is None:
            return crossed, rows, rows > crossed
    return crossed, math.inf, math.isfinite(crossed)


def _liars(console: Console, lives: int) -> list[Target]:
    table = Table(title=f"Up to {LIES} lies beside honest labels, {lives} versions each that are as good")
    for column in ("who lies", "honest labels", "proven", "taken back", "held at the end"):
        table.add_column(column, justify="right")
    targets = []
    for liar in LIARS:
        for honest in liar.honest:
            random = np.random.default_rng(honest)
            seen = np.array([_life_with_lies(random, liar, honest) for _ in range(lives)])
            proven, back, held = seen.mean(axis=0).tolist()
            table.add_row(liar.title, str(honest), f"{proven:.1%}", f"{back:.1%}", f"{held:.1%}")
            if liar.must_fail:
                name = f"{liar.title}, {honest} honest: taken back"
                targets.append(Target(name, back, "at most", 0.05, ""))
    console.print(table)
    return targets


def _life_with_lies(random: np.random.Generator, liar: Liar, honest: int) -> tuple[bool, bool, bool]:
    """Whether the version is ever proven worse, taken back, and held when all lies have come."""
    own = (
        np.ones(LIES) if liar.chooses else (random.random(round(LIES / DIFFERING)) < DIFFERING).astype(float)
    )
    losses = np.concatenate([_losses(random, honest, 0.0), own])
    names = ["fb"] * honest + [liar.name] * len(own)
    asked, proven, held = random.random(liar.asked) < DIFFERING, False, False
    for rows in (*(one for one in AT if one < len(losses)), len(losses)):
        if not crosses(USE_CASE.probation, losses[:rows]):
            continue
        proven = True
        sources = JudgedSources(names[:rows], learned=liar.learned)
        held = (
            carrying_source(USE_CASE, _pair(random, losses[:rows], sources, liar.newest, asked)) is not None
        )
        if not held:
            return True, True, False
    return proven, False, held


def _losses(random: np.random.Generator, rows: int, lost: float) -> Differences:
    shares = [(DIFFERING + lost) / 2, (DIFFERING - lost) / 2, 1 - DIFFERING]
    return random.choice([1.0, -1.0, 0.0], rows, p=shares)


def _pair(
    random: np.random.Generator,
    losses: Differences,
    sources: JudgedSources,
    newest: Mapping[str, int],
    asked: np.ndarray,
) -> PairRows:
    """Nine of ten answers that both give alike are right."""
    agrees = np.where(losses == 0, random.random(len(losses)) < 0.9, losses > 0)
    return PairRows(losses, agrees, losses != 0, sources, newest, asked)


def _median(labels: np.ndarray) -> float:
    return float(np.quantile(labels, 0.5, method="higher"))


def _ninth(labels: np.ndarray) -> float:
    return float(np.quantile(labels, 0.9, method="higher"))


def _labels(count: float) -> str:
    return f"{count:,.0f}" if math.isfinite(count) else "never"


if __name__ == "__main__":
    sys.exit(main())
