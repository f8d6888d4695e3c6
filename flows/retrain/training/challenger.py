"""One challenger of a run: rows chosen, version made, and loaded again as a server would."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import ChallengerConfig, UseCase
from features.encoders.contract import row_count
from features.records.contract import Columns, take
from flows.retrain.held_run import HeldRun
from flows.retrain.training.fitting import Assignment, make_version
from flows.retrain.training.rows import rows_to_learn
from flows.retrain.training.watching import ReportingWatch
from models.gate.answers import ask
from models.shadows.record import Record
from models.versions.artifact import Lineage, Manifest, read_manifest
from models.versions.predictor import Predictor
from store.snapshots.frames import SplitRows
from store.snapshots.learned import AnyLearned

NO_RECORD = Record()
TRIED_ROWS = 256
"""Held-out rows that a challenger is asked about by itself: what fails there fails no other's retrain."""


@dataclass(frozen=True)
class Trained:
    """A challenger on disk that answers."""

    name: str
    artifact: Path
    manifest: Manifest
    predictor: Predictor
    curve: Sequence[tuple[int, dict[str, float]]]
    seconds: float
    compute: str | None = None
    """Where it was made, and by how many processes."""


@dataclass(frozen=True)
class RunInputs:
    """What all challengers of a run are made of."""

    use_case: UseCase
    rows: SplitRows
    learned: AnyLearned
    """Rows that production has learned from; a warm start goes on from there with the others, and with those
    whose label was corrected since."""
    lineage: Lineage
    parent: Path | None
    """Production's artifact, for a warm start."""
    workdir: Path
    """Each version is made in a folder of it."""
    record: Record = NO_RECORD
    """Of earlier retrains, by which windows are cut and members of a blend weighed."""


def train_challenger(
    challenger: ChallengerConfig,
    inputs: RunInputs,
    held: HeldRun,
    *,
    checkpoint_dir: Path | None = None,
    client: Any = None,
) -> Trained:
    """Fit one challenger on the training rows and load what was written, through the serving path.

    Args:
        checkpoint_dir: where an earlier training of the same rows left off, and this one leaves its epochs.
        client: of a Dask cluster, on which estimators that can learn over partitions.

    Raises:
        TrainingStopped: somebody asked for it.
        ModelError: it cannot be made, or does not answer as it should once loaded.
    """
    held.ensure_running()
    held.say("train", challenger=challenger.name)
    count, split = held.options.sample_count, inputs.rows
    rows = rows_to_learn(inputs.use_case, split.learn, challenger, inputs.learned, count)
    watch = ReportingWatch(partial(held.say, "train", challenger=challenger.name), held.should_stop)
    started = time.monotonic()
    assignment = Assignment(
        inputs.use_case,
        challenger,
        inputs.lineage,
        inputs.record,
        directory=inputs.workdir / challenger.name,
        parent=inputs.parent,
        sample_count=count,
        checkpoint_dir=checkpoint_dir,
    )
    export = partial(held.say, "export", challenger=challenger.name)
    make_version(assignment, rows, split.holdout.columns, watch=watch, on_export=export, client=client)
    seconds = time.monotonic() - started
    return take_up(challenger.name, assignment.directory, split.holdout.columns, watch.curves, seconds)


def take_up(
    name: str,
    directory: Path,
    holdout: Columns,
    curve: Sequence[tuple[int, dict[str, float]]],
    seconds: float,
) -> Trained:
    """The challenger that was written to a directory, loaded and tried here as a server would.

    Raises:
        ModelError: it does not answer as it should.
    """
    manifest = read_manifest(directory)
    return Trained(name, directory, manifest, _served(directory, holdout), curve, seconds)


def _served(directory: Path, holdout: Columns) -> Predictor:
    """What was written, loaded and tried as a server would.

    Raises:
        ModelError: it does not answer as it did before, or held-out rows with no probabilities.
    """
    predictor = Predictor.load(directory)
    predictor.check_probe()
    some = np.unique(np.linspace(0, row_count(holdout) - 1, TRIED_ROWS).astype(np.intp))
    ask(predictor, take(holdout, some))
    return predictor
