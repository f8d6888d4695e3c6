"""What was measured, as a table, as targets and as a plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness.targets import Target

LAST = 50_000
"""Rows of the last file of the history; how fast it is read is told beside that of all."""
Run = Mapping[str, Any]
"""Of one checkout at one size (`benchmarks.growth.world.measure`)."""
Runs = Mapping[str, Mapping[str, Run]]
"""By checkout and by size."""


def _seconds(step: str) -> Callable[[Run], str]:
    return lambda run: (
        f"{run['steps'][step]['seconds']:.1f}"
        f" ({run['steps'][step]['cpu']:.1f} + {run['steps'][step]['postgres_cpu']:.1f})"
    )


def _part(step: str, part: str) -> Callable[[Run], str]:
    def told(run: Run) -> str:
        found = run["steps"][step]
        return f"{found['parts'].get(part, 0):.2f} ({found['cpu_parts'].get(part, 0):.2f})"

    return told


def _peak(step: str) -> Callable[[Run], str]:
    return lambda run: f"{run['steps'][step]['peak_mb']:,.0f}"


def _question(name: str) -> Callable[[Run], str]:
    return lambda run: f"{run['steps']['questions']['ms'][name]:.1f}"


LINES: Mapping[str, Callable[[Run], str]] = {
    "ingest of all but the last, rows/s": lambda run: f"{run['ingest']['all']:,}",
    "ingest of the last 50,000, rows/s": lambda run: f"{run['ingest']['last']:,}",
    "the same, rows a CPU second, with those of PostgreSQL": lambda run: (
        f"{round(LAST / (run['steps']['ingest']['cpu'] + run['steps']['ingest']['postgres_cpu'])):,}"
    ),
    "snapshot after 1,000 new rows, s (CPU s)": _part("snapshot", "snapshot"),
    "production found before it, s (CPU s)": _part("snapshot", "production"),
    "of both PostgreSQL, CPU s": lambda run: f"{run['steps']['snapshot']['postgres_cpu']:.2f}",
    "of both the peak, MB": _peak("snapshot"),
    "drift check, s (CPU s + those of PostgreSQL)": _seconds("drift check"),
    "its peak, MB": _peak("drift check"),
    "retrain after 1,000 new rows, s (the same)": _seconds("retrain"),
    **{f"of it {part}": _part("retrain", part)
       for part in ("production", "snapshot", "rows", "record", "train", "gate", "log", "promote")},
    "its peak, MB ": _peak("retrain"),
    "retrain of all rows in batches, s (the same)": _seconds("streamed retrain"),
    "of it train ": _part("streamed retrain", "train"),
    "its peak, MB  ": _peak("streamed retrain"),
    "stays on disk of 1,000 rows and a retrain, MB": lambda run: f"{sum(run['grown'].values()) / 1e6:,.1f}",
    **{f"{name}, ms": _question(name)
       for name in ("status", "metrics", "health", "quality", "quarantine", "audits", "drift report")},
}  # fmt: skip


def show(console: Console, runs: Runs) -> None:
    """A line for each figure, a column for each size and checkout."""
    columns = [(size, name, run) for name, sizes in runs.items() for size, run in sizes.items()]
    columns.sort(key=lambda one: (int(one[0]), one[1]))
    table = Table(title="labelled rows")
    table.add_column("")
    for size, name, _ in columns:
        table.add_column(f"{int(size):,}\n{name}", justify="right")
    for line, figure in LINES.items():
        table.add_row(line, *(_told(figure, run) for _, _, run in columns))
    console.print(table)


def _told(figure: Callable[[Run], str], run: Run) -> str:
    try:
        return figure(run)
    except KeyError:  # an older checkout has no such step
        return ""


def judge(sizes: Mapping[str, Run]) -> list[Target]:
    """What each size is held to."""
    # Of a file as large at each size: what a file takes by itself is no matter of the rows that there are.
    rates = [run["ingest"]["last"] for run in sizes.values()]
    grown = [sum(run["grown"].values()) for run in sizes.values()]
    targets = [
        Target("ingest: the slowest of the fastest", min(rates) / max(rates), "at least", 0.8),
        Target("disk of a retrain: the most of the least", max(grown) / min(grown), "at most", 2.0),
    ]
    for size, run in sizes.items():
        steps, rows = run["steps"], f"{int(size):,} rows"
        asked = steps["questions"]["ms"]
        slowest = max(asked, key=lambda name: float(asked[name]))
        targets += [
            Target(f"snapshot, {rows}", steps["snapshot"]["parts"]["snapshot"], "at most", 2.0, "s"),
            Target(f"{slowest}, the slowest to answer, {rows}", asked[slowest], "at most", 100.0, "ms"),
            Target(
                f"peak of a retrain of all, {rows}",
                steps["streamed retrain"]["peak_mb"],
                "at most",
                4000.0,
                "MB",
            ),
            Target(f"drift check, {rows}", steps["drift check"]["seconds"], "at most", 10.0, "s"),
        ]
    return targets


PANELS: Mapping[str, Callable[[Run], float]] = {
    "snapshot after 1,000 rows, s": lambda run: float(run["steps"]["snapshot"]["parts"]["snapshot"]),
    "retrain after 1,000 rows, s": lambda run: float(run["steps"]["retrain"]["seconds"]),
    "drift check, s": lambda run: float(run["steps"]["drift check"]["seconds"]),
    "peak of the retrain, MB": lambda run: float(run["steps"]["retrain"]["peak_mb"]),
    "peak of the drift check, MB": lambda run: float(run["steps"]["drift check"]["peak_mb"]),
    "disk of a retrain, MB": lambda run: sum(run["grown"].values()) / 1e6,
}


def draw_growth(runs: Runs, path: Path) -> None:
    """Six panels over the number of rows, as an SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9}):
        _draw_panels(runs, path)


def _draw_panels(runs: Runs, path: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(9, 4.8), layout="constrained")
    colours = {"now": "#0f766e", "before": "#9ca3af"}
    for axis, (title, figure_of) in zip(axes.flat, PANELS.items(), strict=True):
        for name, sizes in runs.items():
            points = sorted((int(size), figure_of(run)) for size, run in sizes.items())
            axis.plot(*zip(*points, strict=True), marker="o", color=colours[name], label=name, linewidth=1.5)
        axis.set(xscale="log", yscale="log", title=title)
        axis.title.set_size(9)
        axis.grid(visible=True, which="major", alpha=0.3)
    axes.flat[0].legend(frameon=False)
    figure.supxlabel("labelled rows", size=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
