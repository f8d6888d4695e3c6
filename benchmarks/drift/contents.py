"""Drift of real texts and images: `python -m benchmarks.drift.contents`.

Recent records of the shipped use cases, 100 to 2,000 of them, are held against those that a version learned
from, where nothing has moved and after known changes: a fifth of the texts from another domain, in another
language, of kinds never seen; a fifth of the images inverted, blurred, noisy, shifted, rotated. Told is how
often drift is found in the data, in the version's answers and in the labels; in the data also by the columns
and thresholds of before. What is compared was chosen by other data (`--corpora clinc150 docstrings "digits
8x8"`). Ends with an error when too many checks are wrong, or too few of what images and texts show are found.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.drift.content_worlds import SAME, Draw, World, changes_of, draw, split
from benchmarks.drift.corpora import CORPORA, JUDGED, open_corpus
from benchmarks.harness.targets import Target, show_targets
from configs.settings import CHECKOUT
from features.encoders.date_and_text_features import with_vocabulary
from models.drift.answers import describe_answers, describe_labels, judge_labelled
from models.drift.judging import judge_frames

RESULTS = CHECKOUT / "benchmarks" / "results" / "drift_contents.json"
ROWS = (100, 200, 500, 2000)
CHANGED_ROWS = (200, 500)
MOST_ALARMS = 0.01
SURELY_FOUND = ("other language", "inverted", "blurred", "noisy", "shifted", "rotated")
"""Changes that the data must show of 500 records..."""
LEAST_FOUND = 0.9
"""...so often."""
ADDED = ("look", "faint", "vocabulary")
"""Columns, or parts of them, that are left out for what was found before."""
FORMERLY: Mapping[str, Mapping[str, float]] = {"image": {"threshold": 0.3, "share": 0.25}}
"""Kind of a use case to what was configured then."""
WAYS = ("data", "data formerly", "answers", "labels")


@dataclass(frozen=True)
class Task:
    """One split of a corpus and what is drawn of it."""

    corpus: str
    seed: int
    rows: Sequence[int]
    draws: int
    changed_rows: Sequence[int]
    changed: int
    """Draws after each change."""


@dataclass(frozen=True)
class Found:
    """Whether drift was found in one draw, by way."""

    corpus: str
    change: str
    rows: int
    ways: Mapping[str, bool]


def play(task: Task) -> list[Found]:
    """All draws of one split."""
    logging.getLogger("ratchet").setLevel(logging.ERROR)
    world = split(open_corpus(task.corpus), task.seed)
    found = []
    for change in changes_of(world.corpus):
        sizes, draws = (task.rows, task.draws) if change == SAME else (task.changed_rows, task.changed)
        for rows in sizes:
            for number in range(draws):
                drawn = draw(world, change, rows, 1000 * task.seed + number)
                if drawn is not None:
                    found.append(Found(task.corpus, change, rows, check(world, drawn)))
    return found


def check(world: World, drawn: Draw) -> Mapping[str, bool]:
    """What a drift check says of one draw."""
    config = world.use_case.drift.model_copy(update={"current_rows": max(ROWS)})
    before, now = describe(world, drawn)
    dates = [field.name for field in world.use_case.record.fields if field.type == "datetime"]
    verdicts = {"data": judge_frames(config, before, now, seed=1, dates=dates)[0].verdict}
    former = config.model_copy(update=dict(FORMERLY.get(world.use_case.kind, {})))
    kept = [name for name in before if str(name).rpartition(":")[2] not in ADDED]
    verdicts["data formerly"] = judge_frames(former, before[kept], now[kept], seed=1, dates=dates)[0].verdict
    target = world.use_case.target
    separator = target.separator if target.task == "multilabel" else None
    pairs = {
        "answers": (describe_answers(world.held_out), describe_answers(drawn.answers)),
        "labels": (
            describe_labels(world.learned_labels, separator),
            describe_labels(drawn.labels, separator),
        ),
    }
    for part, pair in pairs.items():
        verdicts[part] = judge_labelled(config, *pair, seed=1)[0].verdict
    return {way: verdict == "drift" for way, verdict in verdicts.items()}


def describe(world: World, drawn: Draw) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As a check describes them; what is learned only once where each row is described by itself."""
    if world.use_case.kind == "image":
        return world.encoder.summarise_both(world.learned, drawn.columns)
    texts = [field.name for field in world.use_case.record.fields if field.type == "text"]
    now = world.encoder.summarise(drawn.columns)
    return world.before, with_vocabulary(now, drawn.columns, texts)


def sum_up(found: Sequence[Found]) -> pd.DataFrame:
    """Corpus, change, rows, draws, and the share of draws in which drift was found by each way."""
    cells: dict[tuple[str, str, int], list[Mapping[str, bool]]] = defaultdict(list)
    for one in found:
        cells[one.corpus, one.change, one.rows].append(one.ways)
    return pd.DataFrame(
        [
            {"corpus": corpus, "change": change, "rows": rows, "draws": len(ways)}
            | {way: float(np.mean([one[way] for one in ways])) for way in WAYS}
            for (corpus, change, rows), ways in sorted(cells.items(), key=_order)
        ]
    )


def _order(cell: tuple[tuple[str, str, int], object]) -> tuple[int, bool, str, int]:
    (corpus, change, rows), _ = cell
    return list(CORPORA).index(corpus), change != SAME, change, rows


def tell(console: Console, rates: pd.DataFrame) -> None:
    """A table of how often drift is found."""
    table = Table(title="Share of checks that find drift")
    for head in rates.columns:
        table.add_column(str(head), justify="left" if head in ("corpus", "change") else "right")
    for row in rates.itertuples(index=False):
        corpus, change, rows, draws, *shares = row
        table.add_row(str(corpus), str(change), f"{rows:,}", str(draws), *(f"{one:.1%}" for one in shares))
    console.print(table)


def judge(rates: pd.DataFrame) -> list[Target]:
    """False alarms of all sizes together, and what is surely to be found."""
    same = rates[rates["change"] == SAME]
    targets = [
        Target(
            f"false alarms of {part} in {int(same['draws'].sum())} checks",
            100 * float(np.average(same[part], weights=same["draws"])),
            "at most",
            100 * MOST_ALARMS,
            "%",
        )
        for part in ("data", "answers", "labels")
    ]
    sure = rates[rates["change"].isin(SURELY_FOUND) & (rates["rows"] == max(CHANGED_ROWS))]
    if len(sure):
        least = 100 * float(sure["data"].min())
        targets.append(Target("least power of the data", least, "at least", 100 * LEAST_FOUND, "%"))
    return targets


def keep(found: Sequence[Found], targets: Sequence[Target]) -> None:
    """Write what is known so far, so that a run that is stopped has not been for nothing."""
    RESULTS.parent.mkdir(exist_ok=True)
    rates = sum_up(found).to_dict("records")
    told = {"rates": rates, "targets": [target.as_dict() for target in targets]}
    RESULTS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def main(argv: Sequence[str]) -> int:
    """Play, tell, judge."""
    parser = argparse.ArgumentParser(prog="benchmarks.drift.contents", description=__doc__)
    parser.add_argument("--corpora", nargs="+", choices=list(CORPORA), default=JUDGED)
    parser.add_argument("--splits", type=int, default=10, help="versions trained of each corpus")
    parser.add_argument("--draws", type=int, default=20, help="of each size and split, nothing moved")
    parser.add_argument("--changed", type=int, default=5, help="of each size, split and change")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--changed-rows", type=int, nargs="+", default=CHANGED_ROWS)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(argv)
    counts = chosen.rows, chosen.draws, chosen.changed_rows, chosen.changed
    tasks = [Task(name, seed, *counts) for seed in range(chosen.splits) for name in chosen.corpora]
    console = Console(width=150)
    found: list[Found] = []
    with ProcessPoolExecutor(chosen.processes) as pool:
        for done in as_completed([pool.submit(play, task) for task in tasks]):
            found += done.result()
            keep(found, [])
    rates = sum_up(found)
    tell(console, rates)
    targets = judge(rates)
    show_targets(console, targets)
    keep(found, targets)
    return 0 if all(target.met for target in targets) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
