"""What other settings of the record would come to: accuracy against promotions against harm.

`python -m benchmarks.policies.frontier elec2 --elec2 FILE` replays a stream under each pair of settings
(`gate.shadows.errors`, `gate.shadows.cost`), and writes a table and a picture. What was replayed is kept in
`--home`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.policies.__main__ import chosen
from benchmarks.policies.streams import Stream
from configs.settings import CHECKOUT, read_settings
from flows.replay.history import read_period
from flows.replay.playing import Played
from flows.replay.starting import ReplayRequest, run_replay

ERRORS = (1.0, 1.5, 2.0)
COSTS = (0.004, 0.008, 0.016)
ALWAYS = ("never", "always_full", "always_window")


class Told(Protocol):
    """What is drawn of a policy."""

    @property
    def accuracy(self) -> float: ...
    @property
    def promotions(self) -> int: ...
    @property
    def harmful(self) -> int: ...


def write_policies(folder: Path) -> list[Path]:
    """A policy's file for each pair of settings, named by them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for errors in ERRORS:
        for cost in COSTS:
            path = folder / f"errors {errors:g}, cost {cost:g}.yaml"
            path.write_text(yaml.safe_dump({"gate": {"shadows": {"errors": errors, "cost": cost}}}))
            paths.append(path)
    path = folder / "held-out rows alone.yaml"
    path.write_text(yaml.safe_dump({"gate": {"shadows": {"keep": 0}}}))
    return [*paths, path]


def show(console: Console, stream: Stream, played: Mapping[str, Played]) -> None:
    """Print all of them."""
    table = Table(title=f"{stream.name}: policies of the record, beside others")
    for column in ("policy", "accuracy", "promoted", "harmful"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    for name, one in played.items():
        table.add_row(name, f"{one.accuracy:.4f}", str(one.promotions), str(one.harmful))
    console.print(table)


def draw(name: str, played: Mapping[str, Told], file: Path) -> None:
    """Write the picture: a dot for each policy; a line joins those that none beats with fewer promotions."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    shown = {policy: one for policy, one in played.items() if not policy.startswith("river")}
    best = frontier(shown)
    axes.plot(
        [shown[policy].promotions for policy in best],
        [shown[policy].accuracy for policy in best],
        color="#b9d3ee",
        drawstyle="steps-post",
        zorder=1,
    )
    for policy, one in shown.items():
        colour = "#9a9a9a" if policy in ALWAYS else ("#0b6bcb" if policy == "default" else "#7fb2e5")
        axes.scatter(one.promotions, one.accuracy, s=30, color=colour, zorder=3 if policy == "default" else 2)
    for policy in dict.fromkeys([*best, "default", *ALWAYS]):
        one, is_right = (
            shown[policy],
            shown[policy].promotions > max(one.promotions for one in shown.values()) / 2,
        )
        axes.annotate(
            f"{policy}: {one.harmful} harmful" if one.promotions else policy,
            (one.promotions, one.accuracy),
            xytext=(-6 if is_right else 6, -11 if policy == "default" else 5),
            textcoords="offset points",
            ha="right" if is_right else "left",
            fontsize=7,
        )
    river = [f"{policy} {one.accuracy:.4f}" for policy, one in played.items() if policy.startswith("river")]
    axes.set_xlabel("promotions" + (f" (below or beside: {', '.join(river)})" if river else ""))
    axes.set_ylabel("live accuracy")
    axes.set_title(f"{name}: what settings of the record come to")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def frontier(played: Mapping[str, Told]) -> list[str]:
    """Policies that are above all with as few promotions, from the fewest on."""
    best: list[str] = []
    for policy, one in sorted(played.items(), key=lambda pair: (pair[1].promotions, -pair[1].accuracy)):
        if not best or one.accuracy > played[best[-1]].accuracy:
            best.append(policy)
    return best


def main() -> int:
    """Replay, print, draw, write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stream", help="elec2, email, flights, or a kind of world")
    parser.add_argument("--elec2", type=Path, help="CSV file of Elec2, the label last")
    parser.add_argument("--home", type=Path, default=CHECKOUT / "build" / "policies")
    parser.add_argument("--picture", type=Path, help="where to draw it; by default beside the figures")
    parser.add_argument("--jobs", type=int, default=0)
    options = parser.parse_args()
    settings, console = read_settings({"RATCHET_HOME": str(options.home)}), Console()
    policies = write_policies(options.home / "frontier")
    results = CHECKOUT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    stream = next(chosen([options.stream], 1, options.elec2))
    request = ReplayRequest(
        stream.write(options.home), read_period(stream.period), policies=policies, jobs=options.jobs
    )
    outcome, _ = run_replay(settings, stream.use_case, request, lambda *_: None)
    played = {name: one for name, one in outcome.played.items() if name not in ("best_in_hindsight", "bound")}
    show(console, stream, played)
    draw(stream.name, played, options.picture or results / f"frontier_{stream.name}.png")
    told = {name: one.as_dict() for name, one in played.items()}
    (results / f"frontier_{stream.name}.json").write_text(json.dumps(told) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
