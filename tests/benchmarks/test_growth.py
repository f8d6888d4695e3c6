"""Rows of the growth benchmark are the same each time and fit its use case; each figure finds its place."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow.parquet as pq
import yaml
from rich.console import Console

from benchmarks.growth.__main__ import together
from benchmarks.growth.made_up import CATEGORIES, CONFIG, NUMBERS, made_up, write_rows
from benchmarks.growth.report import LINES, draw_growth, judge, show
from configs.schema import UseCase

PARTS = dict.fromkeys(("production", "snapshot", "record", "train", "gate", "log", "promote"), 0.5)


def measured(rows: int, *, snapshot: float = 0.5, status: float = 20.0, peak: int = 900) -> dict[str, Any]:
    """As `benchmarks.growth.world.measure` tells it."""
    step = {"seconds": 3.0, "cpu": 2.0, "postgres_cpu": 0.1, "peak_mb": 400}
    asked = dict.fromkeys(("metrics", "health", "quality", "quarantine", "audits", "drift report"), 5.0)
    parts = {**PARTS, "snapshot": snapshot}
    return {
        "steps": {
            "ingest": step, "drift check": step,
            "snapshot": {**step, "parts": parts, "cpu_parts": PARTS},
            "retrain": {**step, "parts": PARTS, "cpu_parts": PARTS},
            "streamed retrain": {**step, "peak_mb": peak, "parts": PARTS, "cpu_parts": PARTS},
            "questions": {**step, "ms": {"status": status, **asked}},
        },
        "grown": {"history": rows, "database": 1_000_000},
        "ingest": {"all": 20_000, "last": 21_000},
    }  # fmt: skip


def test_rows_are_the_same_each_time_and_their_label_can_be_learned(tmp_path: Path) -> None:
    table = made_up(5_000, 4_000)
    assert pq.read_table(write_rows(tmp_path / "rows.parquet", 5_000, 4_000)).equals(table)
    assert table["id"][0].as_py() == "row-000005000"
    assert len(set(table["happened"].to_pylist())) == 4_000
    assert {name: len(set(table[name].to_pylist())) for name in ("plan", "channel")} == {
        "plan": 5,
        "channel": 4,
    }
    is_yes = np.array(table["label"].to_pylist()) == "yes"
    amounts = np.log(table["amount_0"].to_numpy())
    assert 0.3 < is_yes.mean() < 0.7
    assert amounts[is_yes].mean() - amounts[~is_yes].mean() > 0.3
    head = (write_rows(tmp_path / "rows.csv", 0, 2)).read_text(encoding="utf-8").splitlines()[0]
    assert head.replace('"', "").split(",") == ["id", *NUMBERS, *CATEGORIES, "label", "happened"]


def test_its_use_case_is_one() -> None:
    use_case = UseCase.model_validate(yaml.safe_load(CONFIG))
    assert [field.name for field in use_case.record.fields] == [*NUMBERS, *CATEGORIES]


def test_what_is_too_slow_misses_its_target() -> None:
    good = {"1000": measured(1000), "1000000": measured(1_000_000)}
    assert all(target.met for target in judge(good))
    missed = [
        one.name
        for one in judge(good | {"1000000": measured(10_000_000, snapshot=3, status=150, peak=4001)})
        if not one.met
    ]
    assert missed == [
        "disk of a retrain: the most of the least",
        "snapshot, 1,000,000 rows",
        "status, the slowest to answer, 1,000,000 rows",
        "peak of a retrain of all, 1,000,000 rows",
    ]


def test_all_figures_are_shown_and_drawn_of_several_runs(tmp_path: Path) -> None:
    first, second = ({"runs": {name: {"1000": measured(1000)}}} for name in ("now", "before"))
    runs = together([first, second, {"runs": {"now": {"2000": measured(2000)}}}])["runs"]
    assert {name: list(sizes) for name, sizes in runs.items()} == {
        "now": ["1000", "2000"],
        "before": ["1000"],
    }
    console = Console(width=150, record=True, file=StringIO())
    show(console, runs)
    told = console.export_text()
    assert [line for line in LINES if line.strip() not in told] == []
    draw_growth(runs, tmp_path / "growth.svg")
    assert ET.parse(tmp_path / "growth.svg").getroot().tag.endswith("svg")
