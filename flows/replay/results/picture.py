"""A replay as a picture: accuracy over the periods, and when each policy promoted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from configs.security.printable import one_line
from flows.replay.playing import Played
from flows.replay.runner import Outcome

SMOOTHED = 5
"""Periods that a point of a curve is the mean of, so that curves can be told apart."""
COLOURS = {"default": "#0b6bcb", "never": "#9a9a9a", "bound": "#c9c9c9"}
PLAIN = "best_in_hindsight"
"""Is one of the others, drawn already."""


def draw(outcome: Outcome, file: Path) -> None:
    """Write the picture; the kind is that of the file's name (PNG, SVG, PDF)."""
    from matplotlib.figure import Figure

    shown = {name: one for name, one in outcome.played.items() if name != PLAIN}
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    curves, moves = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    for name, played in shown.items():
        curves.plot(
            _smooth(played),
            label=f"{_as_text(name)} {played.accuracy:.4f}",
            color=COLOURS.get(name),
            linewidth=2.4 if name == "default" else 1.2,
        )
    curves.set_ylabel(f"live accuracy, mean of {SMOOTHED} periods")
    curves.legend(loc="lower left", fontsize=8, ncols=2)
    curves.set_title(f"{outcome.plan.use_case.name}: {len(outcome.plan.periods.played)} periods replayed")
    moving = [name for name, played in shown.items() if played.promotions]
    for height, name in enumerate(reversed(moving)):
        promoted_at = shown[name].promoted_at
        moves.scatter(promoted_at, [height] * len(promoted_at), s=14, color=COLOURS.get(name, "#555555"))
    moves.set_yticks(range(len(moving)), [_as_text(name) for name in reversed(moving)], fontsize=8)
    moves.set_xlabel("period")
    moves.set_ylabel("promotions", fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def _as_text(name: str) -> str:
    """A policy's name, of a file, as it is drawn: dollars begin no formula, and no label is left out."""
    shown = one_line(name).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _smooth(played: Played) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Mean of each point and those before it, as far as there are any."""
    sums = np.cumsum([0.0, *played.by_period])
    ends = np.arange(1, len(played.by_period) + 1)
    begins = np.maximum(ends - SMOOTHED, 0)
    return np.asarray((sums[ends] - sums[begins]) / (ends - begins), dtype=np.float64)
