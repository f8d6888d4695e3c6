"""A checkpoint as a model that answers, to see how a training stands before it has ended.

Beside the checkpoint a fit leaves what it began with: its configuration, classes and encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from features.encoders.contract import Encoder
from features.records.contract import Columns
from models.errors import ArtifactError
from models.estimators.catalogue import make_estimator
from models.estimators.checkpoints import FILE, Checkpoints, read_checkpoint
from models.estimators.contract import Estimator, Resumable
from models.estimators.labels_and_thresholds import threshold_array
from models.versions.artifact import Frozen, read_document, read_encoder, write_encoder, write_json
from models.versions.predictor import Answers, encoded_in_parts

FIT = "fit.json"


class FitDescription(Frozen):
    """What a fit began with."""

    format: Literal[1] = 1
    use_case: dict[str, Any]
    """Its configuration, as in an artifact."""
    classes: tuple[str, ...]
    estimator: str
    params: dict[str, Any]
    input_shape: tuple[int, ...]
    fingerprint: str
    """Of rows, parameters and seed (`models.estimators.checkpoints`)."""


@dataclass(frozen=True)
class CheckpointModel:
    """Where a training stands."""

    use_case: UseCase
    classes: tuple[str, ...]
    epoch: int
    """The last whole epoch."""
    encoder: Encoder
    estimator: Estimator

    @property
    def positive(self) -> str | None:
        """The class that binary metrics speak of."""
        return self.use_case.target.positive_of(self.classes)

    @property
    def thresholds(self) -> NDArray[np.float32] | None:
        """Those configured, else 0.5: the others are chosen when the training is over (multilabel)."""
        target = self.use_case.target
        return (
            threshold_array(target.thresholds_of(self.classes), self.classes)
            if target.task == "multilabel"
            else None
        )

    def predict(self, columns: Columns) -> Answers:
        """Answers for n checked records."""
        parts = encoded_in_parts(self.encoder.encode, columns, self.encoder.input_shape)
        probabilities = np.concatenate([self.estimator.predict_proba(x) for x in parts])
        return Answers(self.classes, probabilities, self.thresholds, self.use_case.target.separator)


def describe_fit(
    folder: Path,
    use_case: UseCase,
    encoder: Encoder,
    *,
    classes: Sequence[str],
    estimator: str,
    params: Mapping[str, Any],
    checkpoints: Checkpoints,
) -> None:
    """Write down what a fit begins with, beside where its checkpoints go."""
    folder.mkdir(parents=True, exist_ok=True)
    write_encoder(folder, encoder)
    description = FitDescription(
        use_case=use_case.model_dump(mode="json"),
        classes=tuple(classes),
        estimator=estimator,
        params=dict(params),
        input_shape=encoder.input_shape,
        fingerprint=checkpoints.fingerprint,
    )
    write_json(folder / FIT, description.model_dump(mode="json"))


def load_checkpoint(path: Path) -> CheckpointModel:
    """The model that a checkpoint holds.

    Args:
        path: the checkpoint, or its folder.

    Raises:
        ArtifactError: there is none, it is damaged, or it belongs to another fit than what is beside it.
    """
    folder = path if path.is_dir() else path.parent
    saved = read_checkpoint(folder / FILE)
    if saved is None:
        raise ArtifactError(folder, f"{FILE} is missing or damaged; a training leaves one after each epoch")
    fingerprint, checkpoint = saved
    fit = read_document(folder, FIT, FitDescription)
    if fit.fingerprint != fingerprint:
        raise ArtifactError(
            folder, f"{FILE} is of another fit than {FIT}; the new one has no whole epoch yet"
        )
    use_case = UseCase.model_validate(fit.use_case)
    estimator = make_estimator(fit.estimator, fit.params)
    if not isinstance(estimator, Resumable):
        raise ArtifactError(folder, f"estimator {fit.estimator} has no checkpoints")
    estimator.restore(
        checkpoint.arrays,
        input_shape=fit.input_shape,
        n_classes=len(fit.classes),
        per_label=use_case.target.task == "multilabel",
    )
    return CheckpointModel(
        use_case, fit.classes, checkpoint.epoch, read_encoder(folder, use_case.kind), estimator
    )
