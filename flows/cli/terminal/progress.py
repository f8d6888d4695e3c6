"""Progress bars of commands that take long; they are drawn on stderr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from configs.security.printable import one_line
from flows.cli.terminal.output import progress_console

STEPS = ("settle", "data", "production", "snapshot", "rows", "train", "gate", "log", "promote")
"""Steps of a retrain, in order; training takes most of the time."""
WITHIN = {"record": "rows", "export": "train", "keep": "promote", "link": "promote", "links": "promote"}
"""Steps that are told of within another."""
WEIGHTS = {"train": 10.0, "data": 2.0, "gate": 2.0, "log": 3.0}


@contextmanager
def bar(title: str) -> Iterator[_Bar]:
    """A bar from 0 to 1 with a sentence beside it."""
    columns = (
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[sentence]}", markup=False),
    )
    with Progress(*columns, console=progress_console()) as progress:
        yield _Bar(progress, title)


class _Bar:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(one_line(title), total=1.0, sentence="")

    def show(self, fraction: float, sentence: str) -> None:
        """Move to `fraction`; never back."""
        done = max(self._progress.tasks[0].completed, min(fraction, 1.0))
        self._progress.update(self._task, completed=done, sentence=one_line(sentence))

    def follow_run(self, state: Mapping[str, Any]) -> None:
        """Show what a run says of itself."""
        self.show(run_fraction(state), run_sentence(state))


def run_fraction(state: Mapping[str, Any]) -> float:
    """About which share of a retrain is done."""
    step = WITHIN.get(state.get("step", ""), state.get("step"))
    if step not in STEPS:
        return 0.0
    weights = [WEIGHTS.get(name, 0.5) for name in STEPS]
    place = STEPS.index(step)
    within = 0.0
    if (epochs := state.get("epochs")) and (epoch := state.get("epoch")) is not None:
        within = min(float(epoch) / float(epochs), 1.0)
    return (sum(weights[:place]) + within * weights[place]) / sum(weights)


def run_sentence(state: Mapping[str, Any]) -> str:
    """What a run says of itself, in words.

    >>> run_sentence({"step": "train", "challenger": "full", "epoch": 2, "epochs": 6, "loss": 0.25})
    'train full, epoch 2 of 6, loss 0.25'
    """
    parts = [" ".join(str(state[key]) for key in ("step", "challenger") if state.get(key))]
    for one, many in (("epoch", "epochs"), ("batch", "batches")):
        if state.get(one) is not None:
            parts.append(f"{one} {state[one]}" + (f" of {state[many]}" if state.get(many) else ""))
    worded = {"step", "challenger", "epoch", "epochs", "batch", "batches"}
    parts += [f"{key} {value:.4g}" for key, value in state.items() if key not in worded and _is_number(value)]
    if state.get("compute"):
        parts.append(str(state["compute"]))
    return ", ".join(parts)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
