"""False alarms and power of a drift check: `python -m benchmarks.drift`.

Records of 30 to 10,000 rows, of 5 to 200 columns, are compared with 2,000 of the same distribution; then with
a fifth of the columns shifted by 0.3 standard deviations. Beside what is decided, what the thresholds alone
would, and with the level of chance that was taken for them before. Of a few, Evidently's page must say the
same of each column. Ends with an error when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.drift.rules import NOW, RULES
from benchmarks.drift.samples import Kind, draw_frame, shift
from benchmarks.harness.targets import Target, show_targets
from configs.schema import DriftConfig
from configs.settings import CHECKOUT
from models.drift.certainty import FALSE_ALARMS, column_p_values, correct_for_many
from models.drift.columns import prepare_columns
from models.drift.distances import is_beyond, measure_distances
from models.drift.judging import judge_frames
from models.drift.page import Sheet, draw_page
from models.drift.summaries import read_side

RESULTS = CHECKOUT / "benchmarks" / "results" / "drift.json"
ROWS = (30, 100, 200, 500, 2000, 10_000)
COLUMNS = (5, 20, 100, 200)
KINDS: Sequence[Kind] = ("numbers", "mixed")
REFERENCE_ROWS = 2000
CONFIG = DriftConfig(reference_rows=REFERENCE_ROWS, current_rows=max(ROWS), min_rows=min(ROWS))
MOST_ALARMS = 0.01
LEAST_POWER, SURE_ROWS = 0.9, 500
"""So often is the shift to be found, from so many rows on; with fewer it is told how often."""
NEAR = 0.1
"""Of the threshold: so near to it a column may count otherwise on the page."""


@dataclass(frozen=True)
class Task:
    """One draw."""

    kind: Kind
    rows: int
    seed: int
    compared: bool
    """With what other rules say, and with shifted columns."""


@dataclass(frozen=True)
class Measured:
    """One column of a draw."""

    distance: tuple[str, float]
    p_value: float


def measure(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, Measured]:
    """Columns that can be compared, as a check measures them."""
    before, now = read_side(reference), read_side(current)
    distances = measure_distances(CONFIG, prepare_columns(before, now).forms, before, now)
    p_values = column_p_values(before, now, list(distances))
    return {name: Measured(distances[name], p_values[name]) for name in distances}


def play(task: Task) -> dict[tuple[str, int, str], bool]:
    """One draw: whether drift is found, by what was done to the columns, how many there are, and the rule."""
    random = np.random.default_rng([task.seed, task.rows, KINDS.index(task.kind)])
    reference = draw_frame(random, REFERENCE_ROWS, max(COLUMNS), task.kind)
    current = draw_frame(random, task.rows, max(COLUMNS), task.kind)
    if not task.compared and not any_is_certain(reference, current):
        return {("same", count, NOW): False for count in COLUMNS}
    same = measure(reference, current)
    if not task.compared:
        return {("same", count, NOW): decide(NOW, same, count, task.rows) for count in COLUMNS}
    moved = shift(current)
    shifted = same | measure(reference[list(moved.columns)], moved)
    return {
        (world, count, rule): decide(rule, measured, count, task.rows)
        for world, measured in (("same", same), ("shifted", shifted))
        for count in COLUMNS
        for rule in RULES
    }


def any_is_certain(reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    """Whether any column may count as moved in a check of the first so many; without, there is no drift."""
    p_values = column_p_values(read_side(reference), read_side(current), list(reference.columns))
    return any(
        min(correct_for_many(dict(islice(p_values.items(), count))).values()) <= FALSE_ALARMS
        for count in COLUMNS
    )


def decide(rule: str, measured: Mapping[str, Measured], count: int, rows: int) -> bool:
    """What a rule says of the first so many columns."""
    kept = {name: one for name, one in measured.items() if int(name[1:]) < count}
    return RULES[rule](
        CONFIG,
        {name: one.distance for name, one in kept.items()},
        {name: one.p_value for name, one in kept.items()},
        reference_rows=REFERENCE_ROWS,
        current_rows=rows,
    )


def compare_pages(folder: Path, sizes: Sequence[int]) -> tuple[int, int]:
    """Columns compared, and those of which Evidently's page says otherwise, away from the threshold."""
    columns = disagreeing = 0
    for seed, rows in enumerate(sizes):
        for kind in KINDS:
            random = np.random.default_rng([seed, 1])
            reference = draw_frame(random, REFERENCE_ROWS, 20, kind)
            current = draw_frame(random, rows, 20, kind)
            current = current.assign(**{str(name): column for name, column in shift(current).items()})
            decision, drawn = judge_frames(CONFIG, reference, current, seed=1)
            page = draw_page(CONFIG, [Sheet(decision, drawn)], folder / "page.html")
            for name, (value, threshold) in page.items():
                column = decision.columns[name]
                differs = is_beyond(column.method, value, threshold) != column.drifted
                disagreeing += differs and abs(value - threshold) > NEAR * threshold
                columns += 1
    return columns, disagreeing


@dataclass(frozen=True)
class Rate:
    """How often drift is found in one world."""

    world: str
    kind: Kind
    rows: int
    columns: int
    rule: str
    draws: int
    share: float


def play_all(pool: Executor, rows: int, draws: int, compared: int) -> Iterator[Rate]:
    """All draws with so many recent rows."""
    tasks = [Task(kind, rows, seed, seed < compared) for kind in KINDS for seed in range(draws)]
    verdicts: defaultdict[tuple[str, Kind, int, str], list[bool]] = defaultdict(list)
    for task, answers in zip(tasks, pool.map(play, tasks, chunksize=5), strict=True):
        for (world, count, rule), is_drift in answers.items():
            verdicts[world, task.kind, count, rule].append(is_drift)
    for (world, kind, count, rule), ones in verdicts.items():
        yield Rate(world, kind, rows, count, rule, len(ones), sum(ones) / len(ones))


def tell(console: Console, title: str, rates: Sequence[Rate]) -> None:
    """A table of how often drift is found."""
    shares = {(one.kind, one.rows, one.columns, one.rule): one.share for one in rates}
    table = Table(title=title)
    for head in ("rows", "columns", *(f"{kind}: {rule}" for kind in KINDS for rule in RULES)):
        table.add_column(head, justify="right")
    for rows in dict.fromkeys(one.rows for one in rates):
        for count in COLUMNS:
            cells = (shares[kind, rows, count, rule] for kind in KINDS for rule in RULES)
            table.add_row(f"{rows:,}", str(count), *(f"{cell:.1%}" for cell in cells))
    console.print(table)


def keep(rates: Sequence[Rate], targets: Sequence[Target]) -> None:
    """Write what is known so far, so that a run that is stopped has not been for nothing."""
    RESULTS.parent.mkdir(exist_ok=True)
    told = {"rates": [asdict(one) for one in rates], "targets": [target.as_dict() for target in targets]}
    RESULTS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def main(argv: Sequence[str]) -> int:
    """Play, tell, judge."""
    parser = argparse.ArgumentParser(prog="benchmarks.drift", description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--compared", type=int, default=40, help="draws with other rules and shifted columns")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(argv)
    logging.getLogger("ratchet").setLevel(logging.ERROR)
    console = Console(width=150)
    rates: list[Rate] = []
    with ProcessPoolExecutor(chosen.processes) as pool:
        for rows in track(chosen.rows, "playing", console=Console(stderr=True)):
            rates += play_all(pool, rows, chosen.draws, chosen.compared)
            keep(rates, [])
    same, shifted = ([one for one in rates if one.world == world] for world in ("same", "shifted"))
    tell(console, "False alarms: nothing has moved", same)
    tell(console, "Power: a fifth of the columns has moved by 0.3 deviations", shifted)
    with tempfile.TemporaryDirectory() as folder:
        columns, others = compare_pages(Path(folder), chosen.rows)
    alarms = max(one.share for one in same if one.rule == NOW)
    powers = [one.share for one in shifted if one.rule == NOW and one.rows >= SURE_ROWS]
    targets = [
        Target("most false alarms", 100 * alarms, "at most", 100 * MOST_ALARMS, "%"),
        Target(f"of {columns} columns, others on Evidently's page", others, "at most", 0, ""),
    ]
    if powers:
        name = f"least power from {SURE_ROWS} rows on"
        targets.append(Target(name, 100 * min(powers), "at least", 100 * LEAST_POWER, "%"))
    show_targets(console, targets)
    keep(rates, targets)
    return 0 if all(target.met for target in targets) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
