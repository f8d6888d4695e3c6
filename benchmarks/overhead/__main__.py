"""What the loop costs beside its fits: `python -m benchmarks.overhead`, a quarter of an hour or more.

A stack of its own has a use case for each length of a fit, of an estimator that computes for so many seconds
of one core and learns little. Each retrain by the worker, after 1,000 new labels, stands beside the same fit
by itself, one after the other. Then what nothing comes of: a retrain that is not due, a drift check after
which nothing has come, the worker's rounds, and what deletes what is old.

Ends with an error where a fit of a minute takes more than 1.2 times as long as a retrain, where a retrain
takes more than 4 s beside a fit of 4 s, or where a check that finds nothing new takes a second of a core.
Seconds on the clock need a quiet machine; those of the processor do not. Counted for a check is what all
processes of the stack spend from its start until they are still, beside the command's own: the worker with
what it starts and forks, Prefect's server, MLflow's and PostgreSQL; less what they spend where nothing
happens. Each is measured as often as there are rounds, in turns, and the median counts: what else Prefect's
server and PostgreSQL do in those seconds comes and goes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.harness.targets import Target, show_targets
from benchmarks.overhead import loop
from benchmarks.overhead.loop import Turn, name_of
from configs.settings import CHECKOUT, Settings

RESULTS = CHECKOUT / "benchmarks" / "results" / "overhead.json"
LENGTHS = (1.2, 4.0, 60.0)
ROWS = 44_600
MOST_RATIO, LONG = 1.2, 60.0
MOST_BEYOND, SHORT = 4.0, 4.0
MOST_CHECK = 1.0
IDLE_SECONDS = 60.0
ROUND_SECONDS = 5.0
Spent = Mapping[str, float]
"""Seconds of the processor by process."""


def main() -> None:
    """Measure, print, write and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3, help="retrains of each length, and each check")
    parser.add_argument("--rows", type=int, default=ROWS, help="labelled rows before the first retrain")
    parser.add_argument("--lengths", type=float, nargs="+", default=list(LENGTHS), help="seconds of the fits")
    parser.add_argument("--no-checks", action="store_true", help="retrains only")
    options = parser.parse_args()
    console = Console(width=160)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with loop.stack(folder, loop.configured(options.lengths)) as settings:
            turns = measure_turns(settings, options.lengths, options.rows, options.rounds, folder, console)
            checks = {}
            if not options.no_checks:
                checks = measure_checks(settings, options.lengths[0], options.rounds, console)
    show_turns(console, turns)
    show_checks(console, checks)
    targets = judge(turns, checks)
    show_targets(console, targets)
    RESULTS.parent.mkdir(exist_ok=True)
    content = {
        "turns": {length: [asdict(one) for one in made] for length, made in turns.items()},
        "checks": checks,
        "targets": [target.as_dict() for target in targets],
        "rows": options.rows,
        "cores": os.cpu_count(),
    }
    RESULTS.write_text(json.dumps(content, indent=1))
    console.print(f"written to {RESULTS.relative_to(CHECKOUT)}")
    sys.exit(0 if all(target.met for target in targets) else 1)


def measure_turns(
    settings: Settings, lengths: Sequence[float], rows: int, rounds: int, folder: Path, console: Console
) -> dict[float, list[Turn]]:
    """Retrains by length of the fit; the first, which makes the first model, does not count."""
    for length in lengths:
        loop.store_rows(settings, name_of(length), rows, 0, folder)
        loop.retrain(settings, name_of(length))
    turns: dict[float, list[Turn]] = {length: [] for length in lengths}
    for number in range(rounds):
        for length in lengths:
            made = loop.turn(settings, length, rows, number + 1, folder)
            turns[length].append(made)
            console.print(
                f"{length:g} s: bare {made.bare:.2f}, asked {made.asked:.2f}, waited {made.waited:.2f}, "
                f"steps {made.steps}, {made.outcome}, CPU {made.spent}",
                highlight=False,
            )
    return turns


def measure_checks(
    settings: Settings, length: float, rounds: int, console: Console
) -> dict[str, list[Spent]]:
    """What each check that finds nothing new spends each time, by process."""
    use_case = name_of(length)
    loop.command(settings, "drift", use_case)  # after which nothing comes
    loop.flow(settings, f"drift/{use_case}-drift", {})  # and code that has changed meanwhile is imported
    once = loop.idle(settings, IDLE_SECONDS)
    scheduled = {"use_case": use_case, "trigger": "schedule"}
    measured: dict[str, Callable[[], Spent]] = {
        "a retrain that is not due (flow run)": lambda: loop.flow(
            settings, f"retrain/{use_case}-retrain", scheduled
        ),
        "an inbox without files (flow run)": lambda: loop.flow(settings, f"ingest/{use_case}-ingest", {}),
        "drift, nothing came (flow run)": lambda: loop.flow(settings, f"drift/{use_case}-drift", {}),
        "ratchet drift, nothing came": lambda: loop.command(settings, "drift", use_case),
        "ratchet prune, nothing old": lambda: loop.command(settings, "prune", use_case),
    }
    a_round = {name: round(seconds * ROUND_SECONDS / IDLE_SECONDS, 3) for name, seconds in once.items()}
    checks: dict[str, list[Spent]] = {name: [] for name in measured} | {"a round of the worker": [a_round]}
    for _ in range(rounds):
        for name, measure in measured.items():
            spent = measure()
            checks[name].append(spent)
            console.print(f"{name}: CPU {sum(spent.values()):.2f}, {spent}", highlight=False)
    return checks


def show_turns(console: Console, turns: Mapping[float, Sequence[Turn]]) -> None:
    """Medians, by length of the fit and by step."""
    table = Table(
        "fit s", "bare s", "retrain s", "ratio", "beyond s", "waiting", "steps", "CPU beside the fit",
        title="Retrains (medians)",
    )  # fmt: skip
    for length, made in turns.items():
        names = list(dict.fromkeys(name for one in made for name in one.steps))
        steps = {name: statistics.median(one.steps.get(name, 0.0) for one in made) for name in names}
        servers = list(dict.fromkeys(name for one in made for name in one.spent))
        spent = {name: statistics.median(one.spent.get(name, 0.0) for one in made) for name in servers}
        table.add_row(
            f"{length:g}",
            f"{statistics.median(one.bare for one in made):.2f}",
            f"{statistics.median(one.asked for one in made):.2f}",
            f"{ratio(made):.2f}",
            f"{beyond(made):.2f}",
            f"{statistics.median(one.waited for one in made):.2f}",
            ", ".join(f"{name} {seconds:.2f}" for name, seconds in steps.items()),
            ", ".join(
                f"{name} {seconds - (length if name == 'worker' else 0.0):.2f}"
                for name, seconds in spent.items()
            ),
        )
    console.print(table)


def show_checks(console: Console, checks: Mapping[str, Sequence[Spent]]) -> None:
    """Seconds of the processor, and by process in the time whose sum is the median."""
    table = Table("check", "CPU s", "least", "most", "of it", title="Checks that find nothing new (medians)")
    for name, times in checks.items():
        sums = [sum(spent.values()) for spent in times]
        middle = min(times, key=lambda spent: abs(sum(spent.values()) - in_the_middle(times)))
        parts = ", ".join(f"{server} {seconds:.2f}" for server, seconds in middle.items() if seconds)
        table.add_row(name, f"{in_the_middle(times):.2f}", f"{min(sums):.2f}", f"{max(sums):.2f}", parts)
    console.print(table)


def ratio(turns: Sequence[Turn]) -> float:
    """Median over pairs of how many times as long a retrain takes as its fit by itself."""
    return statistics.median(one.asked / one.bare for one in turns)


def beyond(turns: Sequence[Turn]) -> float:
    """Median over pairs of the seconds that a retrain takes beside its fit."""
    return statistics.median(one.asked - one.bare for one in turns)


def in_the_middle(times: Sequence[Spent]) -> float:
    """Median of the seconds that all processes spent together."""
    return statistics.median(sum(spent.values()) for spent in times)


def judge(turns: Mapping[float, Sequence[Turn]], checks: Mapping[str, Sequence[Spent]]) -> list[Target]:
    """What must hold."""
    targets = []
    if LONG in turns:
        found = ratio(turns[LONG])
        targets.append(
            Target(f"a retrain with a fit of {LONG:g} s: times the fit", found, "at most", MOST_RATIO)
        )
    if SHORT in turns:
        found = beyond(turns[SHORT])
        targets.append(
            Target(f"a retrain with a fit of {SHORT:g} s: beyond it", found, "at most", MOST_BEYOND, "s")
        )
    for name, times in checks.items():
        targets.append(Target(f"processor: {name}", in_the_middle(times), "at most", MOST_CHECK, "s"))
    return targets


if __name__ == "__main__":
    main()
