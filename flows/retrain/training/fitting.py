"""A version made of rows: fitted all at once or in batches, and written with all that the fit was given."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from configs.schema import ChallengerConfig, ModelConfig, UseCase
from features.encoders.own import packages_behind_encoder
from features.records.contract import Columns
from features.records.rows import RowSource
from flows.retrain.training.checkpoints import note_snapshot
from models.errors import TrainingError
from models.estimators.catalogue import packages_behind
from models.estimators.fit_watch import Watch
from models.provenance.fit_inputs import FitInputs, digest_rows
from models.provenance.surroundings import surroundings_here
from models.shadows.periods import ages_of
from models.shadows.recipes import recipe_digest
from models.shadows.record import Record
from models.streamed.choosing import plan_fit
from models.streamed.fitting import fit_streamed
from models.streamed.sources import gather
from models.versions.artifact import Lineage, artifact_digest, read_manifest
from models.versions.fitting import FittedModel, fit_challenger
from models.versions.writing import write_artifact

log = logging.getLogger("ratchet.retrain")


@dataclass(frozen=True)
class Assignment:
    """One version to be made: as what, from where on, and into which folder."""

    use_case: UseCase
    challenger: ChallengerConfig
    lineage: Lineage
    record: Record
    """Of earlier retrains, by which windows are cut and members of a blend weighed."""
    directory: Path
    """Becomes the artifact; it may not be there yet."""
    parent: Path | None
    """Production's artifact, for a warm start."""
    sample_count: int | None
    """How many rows were drawn to learn from; None: they are all."""
    checkpoint_dir: Path | None
    """Where an earlier training of the same rows left off, and this one leaves its epochs; None: nowhere."""


def make_version(
    assignment: Assignment,
    rows: RowSource,
    holdout: Columns,
    *,
    watch: Watch,
    on_export: Callable[[], None],
    client: Any = None,
) -> None:
    """Fit on these rows and write the version, in this process or wherever this is called.

    Args:
        holdout: held-out records, for its probe.
        client: of a Dask cluster, on which estimators that can learn over partitions.

    Raises:
        TrainingStopped: the watch asked for it.
        ModelError: it cannot be made.
    """
    use_case, challenger, lineage = assignment.use_case, assignment.challenger, assignment.lineage
    plan = plan_fit(use_case, rows, challenger)
    log.info(plan.told)
    inputs = _inputs(assignment, rows, in_batches=plan.in_batches)
    if assignment.checkpoint_dir is not None and lineage.snapshot_digest is not None:
        note_snapshot(assignment.checkpoint_dir, lineage.snapshot_digest)
    fitted = fit_rows(
        use_case,
        rows,
        challenger,
        inputs,
        watch=watch,
        parent=assignment.parent,
        checkpoint_dir=assignment.checkpoint_dir,
        client=client,
    )
    on_export()
    now = datetime.now(UTC)
    write_artifact(
        assignment.directory, fitted, use_case, holdout, lineage=lineage, created_at=now, inputs=inputs
    )


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


def _inputs(assignment: Assignment, rows: RowSource, *, in_batches: bool) -> FitInputs:
    """All that the fit is given, as it is written down."""
    use_case, challenger, record = assignment.use_case, assignment.challenger, assignment.record
    origin = assignment.parent if challenger.fit == "warm" else None
    model = _made_by(use_case, challenger, origin)
    packages = packages_behind(model.estimator, model.params)
    packages |= packages_behind_encoder(use_case.for_challenger(challenger).features.encoder)
    widest = max((one.window or 0 for one in challenger.members), default=0)
    return FitInputs(
        rows=len(rows),
        rows_digest=digest_rows(rows.seq),
        sample_count=assignment.sample_count,
        period_ends=tuple(record.ends[-widest:]) if widest else (),
        weights=record.weights(challenger, made_by=recipe_digest(use_case, challenger.name)),
        parent_digest=None if origin is None else artifact_digest(origin),
        surroundings=surroundings_here(model.estimator, packages),
        in_batches=in_batches or None,
    )


def _made_by(use_case: UseCase, challenger: ChallengerConfig, origin: Path | None) -> ModelConfig:
    """The estimator that learns, with its parameters: the configured one, or that of what it goes on from."""
    if origin is not None:
        manifest = read_manifest(origin)
        return ModelConfig(estimator=manifest.estimator, params=manifest.params)
    model = use_case.for_challenger(challenger).model
    return ModelConfig(estimator=model.estimator, params={**model.params, **challenger.params})
