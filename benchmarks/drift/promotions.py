"""Drift checks over promotions: `python -m benchmarks.drift.promotions`.

Sixty days of 90 records a day, all labelled a day later, with a promotion every three days that learns from
all labels, and two checks a day. The world stands still, takes a step after half of the time, or drifts off.
Compared are ways to choose the window and the reference: how often a check has too little to say, how often
it is wrong, how long it takes to see a step, and how long it goes on telling of it once it is learned.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.harness.targets import Target, show_targets
from configs.schema import DriftConfig
from configs.settings import CHECKOUT
from models.drift.judging import judge_frames, judge_once

RESULTS = CHECKOUT / "benchmarks" / "results" / "drift_promotions.json"
DAYS, A_DAY, CHECKS_A_DAY, EVERY_DAYS, COLUMNS, MOVING = 60, 90, 2, 3, 8, 2
STEP_DAY, STEP, RAMP_DAY, RAMP = 30.2, 0.6, 20, 0.03
CONFIG = DriftConfig()
WORLDS = ("still", "step", "ramp")


def draw(world: str, seed: int) -> pd.DataFrame:
    """All records, oldest first; some columns move, by deviations."""
    random = np.random.default_rng([seed, WORLDS.index(world)])
    day = np.arange(DAYS * A_DAY) / A_DAY
    by = {"still": 0 * day, "step": STEP * (day >= STEP_DAY), "ramp": RAMP * np.maximum(0, day - RAMP_DAY)}
    values = random.normal(size=(len(day), COLUMNS))
    values[:, :MOVING] += by[world][:, np.newaxis]
    return pd.DataFrame(values, columns=[f"n{place}" for place in range(COLUMNS)])


def restarting(rows: pd.DataFrame, learned: int, now: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records since production's snapshot, against all that it learned from."""
    return rows[:learned], rows[learned:now]


def kept(rows: pd.DataFrame, learned: int, now: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The newest records whenever they came, against all others that production learned from."""
    first = max(0, now - CONFIG.current_rows)
    return rows[: min(learned, first)], rows[first:now]


def overlapping(rows: pd.DataFrame, learned: int, now: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The newest records, against all that production learned from, themselves among them."""
    return rows[:learned], rows[max(0, now - CONFIG.current_rows) : now]


def kept_newest(rows: pd.DataFrame, learned: int, now: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The newest records, against the newest of the others that production learned from."""
    reference, window = kept(rows, learned, now)
    return reference.tail(CONFIG.reference_rows), window


def as_now(rows: pd.DataFrame, learned: int, now: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As for `kept`, judged as checks do: against all of them, and against the newest quarter."""
    return kept(rows, learned, now)


NOW = "window kept, all and newest"
Way = Callable[[pd.DataFrame, int, int], tuple[pd.DataFrame, pd.DataFrame]]
WAYS: Mapping[str, Way] = {
    "window restarts": restarting,
    "window kept, overlapping": overlapping,
    "window kept": kept,
    "window kept, newest learned": kept_newest,
    NOW: as_now,
}


@dataclass(frozen=True)
class Told:
    """What one way told of one world."""

    world: str
    way: str
    seed: int
    verdicts: Sequence[str]
    """Of each check, the first after the first promotion."""


def play(task: tuple[str, str, int]) -> Told:
    """One world, checked one way."""
    world, way, seed = task
    rows, verdicts = draw(world, seed), []
    for check in range(10 * CHECKS_A_DAY + 1, DAYS * CHECKS_A_DAY):
        now = check * A_DAY // CHECKS_A_DAY
        promoted = now // (EVERY_DAYS * A_DAY) * EVERY_DAYS * A_DAY
        reference, window = WAYS[way](rows, promoted - A_DAY, now)
        judge = judge_frames if way == NOW else judge_once
        verdicts.append(judge(CONFIG, reference, window, seed=1)[0].verdict)
    return Told(world, way, seed, verdicts)


def day_of(place: int) -> float:
    """The day of a check."""
    return (10 * CHECKS_A_DAY + 1 + place) / CHECKS_A_DAY


def sum_up(told: Sequence[Told], way: str) -> dict[str, float]:
    """What matters of one way."""
    of = {world: [one for one in told if one.way == way and one.world == world] for world in WORLDS}
    still = [verdict for one in of["still"] for verdict in one.verdicts]
    firsts, after, ramps = [], [], []
    for one in of["step"]:
        alarms = [day_of(place) for place, verdict in enumerate(one.verdicts) if verdict == "drift"]
        seen = [day for day in alarms if day >= STEP_DAY]
        firsts.append(min(seen, default=DAYS) - STEP_DAY)
        after.append(len(seen) / CHECKS_A_DAY)
    for one in of["ramp"]:
        found = [day_of(place) for place, verdict in enumerate(one.verdicts) if verdict == "drift"]
        ramps.append(min((day for day in found if day >= RAMP_DAY), default=DAYS) - RAMP_DAY)
    return {
        "too little evidence": 100 * still.count("too_little_evidence") / len(still),
        "false alarms": 100 * still.count("drift") / len(still),
        "days until a step is seen": float(np.mean(firsts)),
        "longest": float(np.max(firsts)),
        "days told of it": float(np.mean(after)),
        "days until a slow drift is seen": float(np.mean(ramps)),
    }


def main(argv: Sequence[str]) -> int:
    """Play, tell, judge."""
    parser = argparse.ArgumentParser(prog="benchmarks.drift.promotions", description=__doc__)
    parser.add_argument("--worlds", type=int, default=20, help="of each kind")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(argv)
    logging.getLogger("ratchet").setLevel(logging.ERROR)
    console = Console(width=170)
    tasks = list(product(WORLDS, WAYS, range(chosen.worlds)))
    with ProcessPoolExecutor(chosen.processes) as pool:
        told = list(pool.map(play, tasks, chunksize=2))
    figures = {way: sum_up(told, way) for way in WAYS}
    table = Table(title=f"{chosen.worlds} worlds of each kind, a promotion every {EVERY_DAYS} days")
    for head in ("", *next(iter(figures.values()))):
        table.add_column(head, justify="right")
    for way, ones in figures.items():
        table.add_row(way, *(f"{value:.1f}" for value in ones.values()))
    console.print(table)
    now = figures[NOW]
    targets = [
        Target("false alarms", now["false alarms"], "at most", 1.0, "%"),
        Target("too little evidence after promotions", now["too little evidence"], "at most", 0.0, "%"),
    ]
    show_targets(console, targets)
    RESULTS.parent.mkdir(exist_ok=True)
    found = {"figures": figures, "told": [asdict(one) for one in told]}
    RESULTS.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return 0 if all(target.met for target in targets) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
