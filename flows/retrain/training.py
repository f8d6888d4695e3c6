"""Make challengers: fit, write the artifact, load it again as a server would."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from configs.schema import ChallengerConfig, ModelConfig, UseCase
from configs.times.durations import read_duration
from features.encoders.contract import row_count
from features.encoders.own import packages_behind_encoder
from features.records.contract import Columns, take
from features.records.rows import RowSource
from flows.retrain.checkpoints import note_snapshot
from flows.retrain.held_run import HeldRun, RunWatch
from flows.retrain.plan import drawn
from models.errors import CannotUpdate, TrainingError
from models.estimators.catalogue import packages_behind
from models.estimators.fit_watch import Watch
from models.gate.answers import ask
from models.provenance.fit_inputs import FitInputs, digest_rows
from models.provenance.surroundings import surroundings_here
from models.shadows.periods import ages_of
from models.shadows.recipes import recipe_digest
from models.shadows.record import Record
from models.streamed.choosing import plan_fit
from models.streamed.fitting import fit_streamed
from models.streamed.sources import ChosenRows, gather, newest
from models.versions.artifact import Lineage, Manifest, artifact_digest, read_manifest
from models.versions.fitting import FittedModel, fit_challenger
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact
from store.snapshots.frames import Newest, SplitRows
from store.snapshots.learned import AnyLearned

log = logging.getLogger("ratchet.retrain")
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


def train_challenger(
    use_case: UseCase,
    split: SplitRows,
    challenger: ChallengerConfig,
    *,
    held: HeldRun,
    workdir: Path,
    lineage: Lineage,
    parent: Path | None,
    learned: AnyLearned,
    record: Record = NO_RECORD,
    checkpoint_dir: Path | None = None,
    client: Any = None,
) -> Trained:
    """Fit one challenger on the training rows and load what was written, through the serving path.

    Args:
        parent: production's artifact, for a warm start.
        learned: rows that production has learned from; a warm start goes on from there with the others, and
            with those whose label was corrected since.
        record: of earlier retrains, by which windows are cut and members of a blend weighed.
        checkpoint_dir: where an earlier training of the same rows left off, and this one leaves its epochs.
        client: of a Dask cluster, on which estimators that can learn over partitions.

    Raises:
        TrainingStopped: somebody asked for it.
        ModelError: it cannot be made, or does not answer as it should once loaded.
    """
    held.ensure_running()
    held.say("train", challenger=challenger.name)
    rows = rows_to_learn(use_case, split.learn, challenger, learned, held.options.sample_count)
    holdout = split.holdout.columns
    watch = RunWatch(held, challenger.name)
    started = time.monotonic()
    directory = workdir / challenger.name
    make_version(
        use_case,
        rows,
        challenger,
        holdout,
        watch=watch,
        on_export=lambda: held.say("export", challenger=challenger.name),
        directory=directory,
        lineage=lineage,
        parent=parent,
        sample_count=held.options.sample_count,
        record=record,
        checkpoint_dir=checkpoint_dir,
        client=client,
    )
    seconds = time.monotonic() - started
    return take_up(challenger.name, directory, holdout, watch.curves, seconds)


def make_version(
    use_case: UseCase,
    rows: RowSource,
    challenger: ChallengerConfig,
    holdout: Columns,
    *,
    watch: Watch,
    on_export: Callable[[], None],
    directory: Path,
    lineage: Lineage,
    parent: Path | None,
    sample_count: int | None,
    record: Record,
    checkpoint_dir: Path | None,
    client: Any = None,
) -> None:
    """Fit on these rows and write the version, in this process or wherever this is called.

    Args:
        holdout: held-out records, for its probe.
        directory: becomes the artifact; it may not be there yet.
        client: of a Dask cluster, on which estimators that can learn over partitions.

    Raises:
        TrainingStopped: the watch asked for it.
        ModelError: it cannot be made.
    """
    plan = plan_fit(use_case, rows, challenger)
    log.info(plan.told)
    inputs = _inputs(use_case, rows, challenger, sample_count, record, parent)
    inputs = inputs.model_copy(update={"in_batches": plan.in_batches or None})
    if checkpoint_dir is not None and lineage.snapshot_digest is not None:
        note_snapshot(checkpoint_dir, lineage.snapshot_digest)
    fitted = fit_rows(
        use_case,
        rows,
        challenger,
        inputs,
        watch=watch,
        parent=parent,
        checkpoint_dir=checkpoint_dir,
        client=client,
    )
    on_export()
    write_artifact(
        directory,
        fitted,
        use_case,
        holdout,
        lineage=lineage,
        created_at=datetime.now(UTC),
        inputs=inputs,
    )


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


def rows_to_learn(
    use_case: UseCase,
    rows: RowSource,
    challenger: ChallengerConfig,
    learned: AnyLearned,
    count: int | None,
    *,
    windowed: bool = True,
) -> RowSource:
    """The training rows, or `count` of them; of a warm start those that production has not learned from.

    Args:
        windowed: those of the challenger's window only; versions of earlier releases were noted without.

    Raises:
        CannotUpdate: there are none.
    """
    if challenger.fit == "warm":
        fresh = ~learned.holds_truth(rows.seq)
        if not fresh.any():
            raise CannotUpdate("there are no training rows that it has not learned from")
        rows = ChosenRows(rows, fresh)
    rows = drawn(rows, count, use_case.training.seed)
    return newest(rows, challenger.window) if windowed else rows


def newest_wanted(challengers: Sequence[ChallengerConfig], *, count: int | None) -> Newest | None:
    """The newest rows that hold all that any of these learns from; None: one learns from all.

    Args:
        count: learn from so many, drawn from all; None: from all.
    """
    windows = [one.window for one in challengers]
    if count is not None or any(window is None for window in windows):
        return None
    spans = [read_duration(window) for window in windows if isinstance(window, str)]
    rows = max((window for window in windows if isinstance(window, int)), default=0)
    return Newest(rows, max(spans, default=None))


def fit_rows(
    use_case: UseCase,
    rows: RowSource,
    challenger: ChallengerConfig,
    inputs: FitInputs,
    *,
    watch: Watch,
    parent: Path | None,
    checkpoint_dir: Path | None,
    client: Any = None,
) -> FittedModel:
    """Fit one challenger on these rows; what is not in the arguments has no part in what comes of it.

    Args:
        client: of a Dask cluster, on which estimators that can learn over partitions.
    """
    if inputs.in_batches:
        with TemporaryDirectory(prefix="ratchet-fit-") as folder:
            return fit_streamed(
                use_case,
                rows,
                challenger=challenger,
                watch=watch,
                folder=Path(folder),
                period_ends=inputs.period_ends,
                weights=inputs.weights,
                client=client,
            )
    whole = gather(rows)
    if whole is None:
        raise TrainingError("there are no rows to learn from")
    return fit_challenger(
        use_case,
        whole.columns,
        list(whole.labels),
        challenger=challenger,
        watch=watch,
        parent=parent,
        checkpoint_dir=checkpoint_dir,
        ages=ages_of(whole.seq, inputs.period_ends),
        weights=inputs.weights,
        times=whole.time,
    )


def _inputs(
    use_case: UseCase,
    rows: RowSource,
    challenger: ChallengerConfig,
    sample_count: int | None,
    record: Record,
    parent: Path | None,
) -> FitInputs:
    """All that the fit is given, as it is written down."""
    widest = max((one.window or 0 for one in challenger.members), default=0)
    origin = parent if challenger.fit == "warm" else None
    if origin is None:
        model = use_case.for_challenger(challenger).model
        made_by = ModelConfig(estimator=model.estimator, params={**model.params, **challenger.params})
    else:
        manifest = read_manifest(origin)
        made_by = ModelConfig(estimator=manifest.estimator, params=manifest.params)
    packages = packages_behind(made_by.estimator, made_by.params)
    packages |= packages_behind_encoder(use_case.for_challenger(challenger).features.encoder)
    return FitInputs(
        rows=len(rows),
        rows_digest=digest_rows(rows.seq),
        sample_count=sample_count,
        period_ends=tuple(record.ends[-widest:]) if widest else (),
        weights=record.weights(challenger, made_by=recipe_digest(use_case, challenger.name)),
        parent_digest=None if origin is None else artifact_digest(origin),
        surroundings=surroundings_here(made_by.estimator, packages),
    )


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
