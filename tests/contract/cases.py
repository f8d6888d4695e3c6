"""One small trained version of a use case, for laws to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from configs.schema import ChallengerConfig, MemberConfig, UseCase
from features.encoders.contract import row_count
from features.records.contract import Columns
from models.estimators.fit_watch import SilentWatch, Watch
from models.versions.artifact import Lineage, Manifest
from models.versions.fitting import FittedModel, fit_challenger
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact
from tests.contract.generate import Record, make_columns, make_records, tiny

NOW = datetime(2024, 5, 1, tzinfo=UTC)
TRAINING_ROWS = 240
HELD_OUT_ROWS = 60
FULL = ChallengerConfig(name="full")
WARM = ChallengerConfig(name="warm", fit="warm")
BLEND = ChallengerConfig(
    name="blend",
    members=(
        MemberConfig(name="full"),
        MemberConfig(name="newest_2", window=2),
        MemberConfig(name="newest_1", window=1),
    ),
)
AGES = 2 - np.arange(TRAINING_ROWS) // 80
"""Training rows of three retrains, as many of each."""
WEIGHTS = {"full": 0.6, "newest_2": 0.01, "newest_1": 0.4}
"""The second is too light to be asked."""


class FollowingWatch(SilentWatch):
    """Keeps what a fit tells of its epochs."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, int]] = []
        self.metrics: set[str] = set()

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        self.epochs.append((epoch, epochs))
        self.metrics |= set(metrics)


@dataclass(frozen=True)
class WrittenBlend:
    """A blend of three members, one of which is not asked; and as it was written."""

    fitted: FittedModel
    manifest: Manifest
    artifact: Path


@dataclass(frozen=True)
class Case:
    """Rows, and the version made from them."""

    use_case: UseCase
    training: Columns
    labels: list[str]
    records: list[Record]
    """Held-out records as JSON."""
    held_out_labels: list[str]
    fitted: FittedModel
    manifest: Manifest
    artifact: Path
    followed: FollowingWatch
    """What the fit told."""

    @cached_property
    def blend(self) -> WrittenBlend:
        """Made of the same rows; fitted once, as networks take long."""
        fitted = fit_blend(self.use_case, self.training, self.labels)
        folder = self.artifact.with_name(f"{self.artifact.name}_blend")
        manifest = write_artifact(
            folder, fitted, self.use_case, self.held_out, lineage=Lineage(), created_at=NOW
        )
        return WrittenBlend(fitted, manifest, folder)

    @cached_property
    def predictor(self) -> Predictor:
        """The version, loaded as a server does."""
        return Predictor.load(self.artifact)

    @property
    def held_out(self) -> Columns:
        """The held-out records, checked anew."""
        return self.check(self.records)

    def check(self, records: list[Record]) -> Columns:
        """Records that must all be valid, as columns."""
        return self.predictor.contract.check_records(records).all_or_raise()

    def answer(self, columns: Columns) -> NDArray[np.float32]:
        """Probabilities by the loaded version."""
        probabilities = self.predictor.predict(columns).probabilities
        assert probabilities.shape == (row_count(columns), len(self.predictor.classes))
        return probabilities


def make_case(use_case: UseCase, folder: Path) -> Case:
    """Train a tiny version and write it to a folder."""
    small = tiny(use_case)
    training, labels = make_columns(small, TRAINING_ROWS, seed=1)
    records, held_out_labels = make_records(small, HELD_OUT_ROWS, seed=2)
    held_out, _ = make_columns(small, HELD_OUT_ROWS, seed=2)
    followed = FollowingWatch()
    fitted = fit(small, training, labels, watch=followed)
    artifact = folder / small.name
    manifest = write_artifact(artifact, fitted, small, held_out, lineage=Lineage(), created_at=NOW)
    return Case(small, training, labels, records, held_out_labels, fitted, manifest, artifact, followed)


def fit_blend(use_case: UseCase, columns: Columns, labels: list[str]) -> FittedModel:
    """A blend of three members, one of which is not asked."""
    return fit(use_case, columns, labels, challenger=BLEND, ages=AGES, weights=WEIGHTS)


def fit(
    use_case: UseCase,
    columns: Columns,
    labels: list[str],
    *,
    challenger: ChallengerConfig = FULL,
    watch: Watch | None = None,
    parent: Path | None = None,
    checkpoint_dir: Path | None = None,
    ages: NDArray[np.int64] | None = None,
    weights: Mapping[str, float] | None = None,
    times: NDArray[np.datetime64] | None = None,
) -> FittedModel:
    """Make a challenger, watched by nobody unless told otherwise."""
    return fit_challenger(
        use_case,
        columns,
        labels,
        challenger=challenger,
        watch=watch or SilentWatch(),
        parent=parent,
        checkpoint_dir=checkpoint_dir,
        ages=ages,
        weights=weights,
        times=times,
    )
