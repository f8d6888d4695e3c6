"""Models that learn row by row, by river: what a stream learner would have answered under the same delay.

Adaptive random forest: Gomes et al., "Adaptive random forests for evolving data stream classification",
Machine Learning 106 (2017). Hoeffding adaptive tree: Bifet and Gavaldà, "Adaptive Learning from Evolving
Data Streams", IDA (2009).
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from flows.replay.history import History
from flows.replay.playing import Played, Stage, answered

KEPT_EVERY = 5.0
"""Seconds: a forest takes as long to write as to learn a period. More than these no kill can cost."""
SUITED = frozenset({"number", "integer", "boolean", "category", "datetime"})
"""Fields that such learners take."""


def _arf(seed: int) -> Any:
    return import_module("river.forest").ARFClassifier(seed=seed)


def _hat(seed: int) -> Any:
    return import_module("river.tree").HoeffdingAdaptiveTreeClassifier(seed=seed)


LEARNERS: dict[str, Callable[[int], Any]] = {"river_arf": _arf, "river_hat": _hat}
"""By the name of the policy."""


@dataclass
class _Kept:
    """How far one has come: what is written after each period, and read again after a kill."""

    learner: Any
    seconds: float = 0.0
    learned: int = 0
    """Rows."""
    right: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    """By period."""


def unsuited(use_case: UseCase) -> str | None:
    """Why such learners cannot take a use case's records, if so."""
    if find_spec("river") is None:
        return "river is not installed; it comes with the extra `replay`"
    if use_case.target.task == "multilabel":
        return "it has one label a record only"
    odd = next((one for one in use_case.record.fields if one.type not in SUITED), None)
    return None if odd is None else f"it has no use for field '{odd.name}' of type {odd.type}"


def play_incremental(stage: Stage, name: str, file: Path) -> Played:
    """Answer each period, then learn the labels that have come, row by row.

    Args:
        name: of `LEARNERS`.
        file: where it is kept how far it has come.
    """
    kept = _read(file) or _Kept(LEARNERS[name](stage.use_case.training.seed))
    kept_at = time.monotonic()
    labels = stage.history.rows.labels
    for period in stage.periods.played:
        if period in kept.right:
            continue
        began = time.process_time()
        for row, record in _records(stage.history, kept.learned, stage.known(period - 1)):
            kept.learner.learn_one(record, labels[row])
            kept.learned = row + 1
        rows = stage.periods.rows(period)
        answers = [
            kept.learner.predict_one(record) for _, record in _records(stage.history, rows[0], rows[-1] + 1)
        ]
        kept.right[period] = np.array(answers, dtype=object) == labels[rows]
        kept.seconds += time.process_time() - began
        if time.monotonic() - kept_at >= KEPT_EVERY:
            _write(file, kept)
            kept_at = time.monotonic()
    _write(file, kept)
    return answered(kept.right, kept.seconds)


def _records(history: History, begin: int, end: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows as dictionaries; what is missing is left out."""
    columns = {name: column[begin:end] for name, column in history.rows.columns.items()}
    for place in range(end - begin):
        record = {name: _value(column[place]) for name, column in columns.items()}
        yield begin + place, {name: value for name, value in record.items() if value is not None}


def _value(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else float(value.astype("datetime64[s]").astype(np.int64))
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value


def _read(file: Path) -> _Kept | None:
    """What this user's own replay left in a folder that is nobody else's."""
    try:
        with file.open("rb") as stream:
            kept = pickle.load(stream)
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError):
        return None
    return kept if isinstance(kept, _Kept) else None


def _write(file: Path, kept: _Kept) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_bytes(pickle.dumps(kept))
    draft.replace(file)
