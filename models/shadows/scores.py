"""A score of each answer between 0 and 1, more is better, that an honest probability makes best.

It is 1 less half of Brier's score (G. W. Brier, "Verification of forecasts expressed in terms of
probability", Monthly Weather Review 78, 1950). It tells two models apart on fewer rows than the share of
right answers does, and is bounded, as evidence that is added up over periods must be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from configs.schema import TargetConfig
from models.estimators.labels_and_thresholds import label_matrix
from models.versions.predictor import Answers

Scores = NDArray[np.float64]


def row_scores(target: TargetConfig, answers: Answers, labels: Sequence[str]) -> Scores:
    """The score of each of n answers, shape (n,).

    A class that the model does not know has probability 0. Where a row may have many labels it is the mean
    over the labels that the model knows.
    """
    probabilities = answers.probabilities.astype(np.float64)
    if target.task == "multilabel":
        truth = label_matrix(labels, answers.classes, target.separator)
        return np.asarray(1 - np.square(probabilities - truth).mean(axis=1))
    places = {label: place for place, label in enumerate(answers.classes)}
    columns = np.array([places.get(label, -1) for label in labels], dtype=np.int64)
    of_truth = np.where(columns >= 0, probabilities[np.arange(len(labels)), columns], 0.0)
    return np.asarray(1 - (np.square(probabilities).sum(axis=1) - 2 * of_truth + 1) / 2)


def row_rights(metric: str, target: TargetConfig, answers: Answers, labels: Sequence[str]) -> Scores | None:
    """What each of n answers adds to the gate's metric, shape (n,): 1 if it is right and 0 if not.

    With `hamming_loss` it is the share of the labels that are rightly given or left out. None where the
    metric is no mean over rows.
    """
    if metric == "accuracy":
        return np.array(
            [mine == label for mine, label in zip(answers.labels, labels, strict=True)], dtype=float
        )
    if metric not in ("subset_accuracy", "hamming_loss"):
        return None
    right = answers.label_mask == label_matrix(labels, answers.classes, target.separator).astype(np.bool_)
    return np.asarray(right.all(axis=1) if metric == "subset_accuracy" else right.mean(axis=1), dtype=float)
