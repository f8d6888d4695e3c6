"""Checks before a fit, and the notes that it leaves."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from models.errors import CannotUpdate, TrainingError
from models.estimators.arrays import Targets
from models.estimators.contract import Estimator, Fitted
from models.versions.artifact import Manifest


def check_parent(use_case: UseCase, origin: UseCase, manifest: Manifest, labels: Sequence[str]) -> None:
    """Refuse a warm start from a version that is not of this configuration, or lacks a class.

    Raises:
        CannotUpdate: saying what differs.
    """
    if manifest.estimator != use_case.model.estimator:
        raise CannotUpdate(f"it is a {manifest.estimator}, the configuration says {use_case.model.estimator}")
    if origin.record.fields != use_case.record.fields:
        raise CannotUpdate("its record fields are not those of the configuration")
    if manifest.task != use_case.target.task:
        raise CannotUpdate(f"its task is {manifest.task}, the configuration says {use_case.target.task}")
    if manifest.kind != use_case.kind:
        raise CannotUpdate(f"its kind is {manifest.kind}, the configuration says {use_case.kind}")
    if manifest.task == "multilabel":
        return
    if unknown := sorted(set(labels) - set(manifest.classes)):
        raise CannotUpdate(f"it does not know the class '{unknown[0]}'")


def check_estimator(use_case: UseCase, estimator: Estimator) -> None:
    """Refuse an estimator that cannot learn what the target asks for.

    Raises:
        TrainingError: naming those that can.
    """
    if use_case.target.task == "multilabel" and not getattr(estimator, "multilabel", False):
        raise TrainingError(
            f"model.estimator: {estimator.name} gives one label a row; for multilabel targets use "
            "linear_text or keras_mixed"
        )


def check_classes(use_case: UseCase, targets: Targets, classes: tuple[str, ...]) -> None:
    """Refuse training rows that hold too few classes, or for a binary target too many.

    Raises:
        TrainingError: saying how many there are.
    """
    if use_case.target.task == "multilabel":
        if not classes or not targets.any():
            least = use_case.target.min_label_rows
            raise TrainingError(f"no label has the {least} training rows of target.min_label_rows")
        return
    present = len(np.unique(targets))
    if present < 2:
        raise TrainingError(f"the training rows hold {present} class; at least 2 are needed")
    if use_case.target.task == "binary" and len(classes) != 2:
        raise TrainingError(
            f"a binary target has 2 classes, the training rows hold {len(classes)}: {', '.join(classes[:5])}"
        )


def fit_notes(
    fit_rows: NDArray[np.bool_], encoder_notes: Sequence[str], estimator: Fitted, classes: Sequence[str]
) -> tuple[str, ...]:
    """What the fit decided by itself, with classes by name where the estimator knows numbers only."""
    dropped = int((~fit_rows).sum())
    notes = [f"{dropped} rows with outliers were left out of the fit"] if dropped else []
    notes += encoder_notes
    notes += [
        re.sub(r"class number (\d+)", lambda match: f"class '{classes[int(match[1])]}'", note)
        for note in estimator.notes
    ]
    return tuple(notes)
