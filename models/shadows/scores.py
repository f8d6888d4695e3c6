"""A score of each answer between 0 and 1, more is better, that an honest probability makes best.

It is 1 less half of Brier's score (G. W. Brier, "Verification of forecasts expressed in terms of
probability", Monthly Weather Review 78, 1950). It tells two models apart on fewer rows than the share of
right answers does, and is bounded, as evidence that is added up over periods must be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from configs.schema import TargetConfig
from models.estimators.labels_and_thresholds import label_matrix
from models.versions.predictor import Answers

Scores = NDArray[np.float64]


def classes_of_both(one: Answers, other: Answers) -> tuple[str, ...]:
    """All classes that two models know: where a row may have many labels, both are asked for all of them."""
    return tuple(dict.fromkeys([*one.classes, *other.classes]))


def row_scores(
    target: TargetConfig, answers: Answers, labels: Sequence[str], classes: Sequence[str] | None = None
) -> Scores:
    """The score of each of n answers, shape (n,).

    A class that the model does not know has probability 0. Where a row may have many labels it is the mean
    over `classes`.

    Args:
        classes: where a row may have many labels, those that are asked for; None: those that the model knows.
    """
    probabilities = answers.probabilities.astype(np.float64)
    if target.task == "multilabel":
        classes = answers.classes if classes is None else classes
        truth = label_matrix(labels, classes, target.separator)
        told = _over(probabilities, answers, classes)
        return np.asarray(1 - np.square(told - truth).mean(axis=1))
    places = {label: place for place, label in enumerate(answers.classes)}
    columns = np.array([places.get(label, -1) for label in labels], dtype=np.int64)
    of_truth = np.where(columns >= 0, probabilities[np.arange(len(labels)), columns], 0.0)
    return np.asarray(1 - (np.square(probabilities).sum(axis=1) - 2 * of_truth + 1) / 2)


def row_rights(
    metric: str,
    target: TargetConfig,
    answers: Answers,
    labels: Sequence[str],
    classes: Sequence[str] | None = None,
) -> Scores | None:
    """What each of n answers adds to the gate's metric, shape (n,): 1 if it is right and 0 if not.

    With `hamming_loss` it is the share of the labels that are rightly given or left out. None where the
    metric is no mean over rows.

    Args:
        classes: as in `row_scores`; labels that are none of them are left out.
    """
    if metric == "accuracy":
        return np.array(
            [mine == label for mine, label in zip(answers.labels, labels, strict=True)], dtype=float
        )
    if metric not in ("subset_accuracy", "hamming_loss"):
        return None
    classes = answers.classes if classes is None else classes
    truth = label_matrix(labels, classes, target.separator)
    right = _over(answers.label_mask, answers, classes) == truth.astype(np.bool_)
    return np.asarray(right.all(axis=1) if metric == "subset_accuracy" else right.mean(axis=1), dtype=float)


Told = TypeVar("Told", np.float64, np.bool_)


def _over(told: NDArray[Told], answers: Answers, classes: Sequence[str]) -> NDArray[Told]:
    """What a model says of each of its classes, laid out over more: 0 for those that it does not know."""
    laid_out = np.zeros((len(told), len(classes)), dtype=told.dtype)
    laid_out[:, [classes.index(label) for label in answers.classes]] = told
    return laid_out
