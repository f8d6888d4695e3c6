"""Replay the default policy over streams: `python -m benchmarks.policies [STREAM ...]`.

Ends with an error when a target is missed. What was replayed is kept in `--home`, and not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.harness.targets import Target, show_targets
from benchmarks.policies.streams import Stream, elec2, email, flights, shuffled, worlds
from benchmarks.policies.worlds import WORLDS
from configs.settings import CHECKOUT, read_settings
from flows.replay.history import read_period
from flows.replay.playing import Played
from flows.replay.starting import ReplayRequest, run_replay

RESULTS = CHECKOUT / "benchmarks" / "results" / "policies.json"
MOST_BELOW = 0.002
MOST_PROMOTED = {True: 0.6, False: 0.1}
"""Share of the periods in which production moves, of streams that drift and that do not."""
MOST_HARMFUL = 0.05
LARGE = 0.003


@dataclass(frozen=True)
class Score:
    """How the default policy did on one stream, or on all of a group."""

    group: str
    drifts: bool
    periods: int
    accuracy: float
    best: float
    """Best single policy in hindsight."""
    never: float
    river: float
    """Best of river's learners; NaN where none was played."""
    promotions: int
    harmful: int
    large: int
    """Harmful ones that cost more than 0.3 points."""
    streams: int = 1

    @property
    def chances(self) -> int:
        """Periods at whose end production may move: not the last of a stream."""
        return self.periods - self.streams


def score(stream: Stream, played: dict[str, Played]) -> Score:
    """What is told of a stream."""
    own = played["default"]
    river = [one.accuracy for name, one in played.items() if name.startswith("river")]
    return Score(
        stream.group,
        stream.drifts,
        len(own.by_period),
        own.accuracy,
        played["best_in_hindsight"].accuracy,
        played["never"].accuracy,
        max(river, default=float("nan")),
        own.promotions,
        own.harmful,
        sum(loss > LARGE for loss in own.harm),
    )


def add_up(scores: Sequence[Score]) -> list[Score]:
    """One score of each group: means of accuracies, sums of counts."""
    groups = list(dict.fromkeys(one.group for one in scores))
    return [_together([one for one in scores if one.group == group]) for group in groups]


def _together(scores: Sequence[Score]) -> Score:
    def mean(of: Callable[[Score], float]) -> float:
        return float(np.mean([of(one) for one in scores]))

    return Score(
        scores[0].group,
        scores[0].drifts,
        sum(one.periods for one in scores),
        mean(lambda one: one.accuracy),
        mean(lambda one: one.best),
        mean(lambda one: one.never),
        mean(lambda one: one.river),
        sum(one.promotions for one in scores),
        sum(one.harmful for one in scores),
        sum(one.large for one in scores),
        len(scores),
    )


def show(console: Console, scores: Sequence[Score]) -> None:
    """Print them."""
    table = Table(title="The default policy, beside others")
    for column in (
        "stream",
        "default",
        "best always",
        "never",
        "river",
        "promoted",
        "harmful",
        "> 0.3 points",
    ):
        table.add_column(column, justify="left" if column == "stream" else "right")
    for one in scores:
        table.add_row(
            one.group,
            f"{one.accuracy:.4f}",
            f"{one.best:.4f}",
            f"{one.never:.4f}",
            f"{one.river:.4f}",
            f"{one.promotions} of {one.chances}",
            str(one.harmful),
            str(one.large),
        )
    console.print(table)


def targets(scores: Sequence[Score]) -> Iterator[Target]:
    """What each group is held to."""
    for one in scores:
        yield Target(
            f"{one.group}: above the best always", one.accuracy - one.best, "at least", -MOST_BELOW, ""
        )
        if not np.isnan(one.river):
            yield Target(f"{one.group}: above river", one.accuracy - one.river, "at least", 0.0, "")
        share = one.promotions / one.chances
        yield Target(f"{one.group}: periods promoted in", share, "at most", MOST_PROMOTED[one.drifts], "")
    promoted = sum(one.promotions for one in scores)
    harmful = sum(one.harmful for one in scores)
    yield Target("all: harmful promotions", harmful / max(promoted, 1), "at most", MOST_HARMFUL, "")


def chosen(names: Sequence[str], seeds: int, path: Path | None) -> Iterator[Stream]:
    """The streams of these names."""
    if "worlds" in names:
        yield from worlds(seeds)
    for name in WORLDS:
        if name in names:
            yield from (one for one in worlds(seeds) if one.group == name)
    if "elec2" in names and path is not None:
        yield from (elec2(path), shuffled(elec2(path)))
    if "email" in names:
        yield email()
    if "flights" in names:
        yield from (flights(), shuffled(flights()))


def main() -> int:
    """Replay, print, write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("streams", nargs="*", default=["worlds", "elec2", "email", "flights"])
    parser.add_argument("--seeds", type=int, default=20, help="worlds of each kind")
    parser.add_argument("--elec2", type=Path, help="CSV file of Elec2, the label last")
    parser.add_argument("--home", type=Path, default=CHECKOUT / "build" / "policies")
    parser.add_argument("--jobs", type=int, default=0)
    options = parser.parse_args()
    options.home.mkdir(parents=True, exist_ok=True)
    settings, console = read_settings({"RATCHET_HOME": str(options.home)}), Console()
    scores = []
    for stream in chosen(options.streams, options.seeds, options.elec2):
        request = ReplayRequest(stream.write(options.home), read_period(stream.period), jobs=options.jobs)
        outcome, _ = run_replay(settings, stream.use_case, request, lambda *_: None)
        scores.append(score(stream, outcome.played))
        console.print(scores[-1])
    told = add_up(scores)
    show(console, told)
    held = list(targets(told))
    show_targets(console, held)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([one.__dict__ for one in told], indent=1) + "\n", encoding="utf-8")
    return 0 if all(one.met for one in held) else 1


if __name__ == "__main__":
    sys.exit(main())
