"""Labels to the targets that a model learns, and probabilities to labels, by thresholds where there are many.

With one label a row, truth is a class index (n,), and the answer the most probable class. With many,
truth is a row of zeros and ones (n, k), and a label is given when its probability reaches its threshold;
where none does, the one nearest to its own is given, as every row has a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from configs.schema import TargetConfig
from features.records.labels import split_labels
from models.errors import TrainingError
from models.estimators.arrays import Targets

Thresholds = NDArray[np.float32]
DEFAULT_THRESHOLD = 0.5
CANDIDATES = 100
"""Thresholds tried for each label."""
ROUNDS = 3
SMOOTHED = 5
"""The score of a threshold is the mean over this many neighbours, so that no lucky one is chosen."""


def class_indices(labels: Sequence[str], classes: Sequence[str]) -> Targets:
    """Positions of labels among the classes.

    Raises:
        TrainingError: a label is not among them.
    """
    places = {label: place for place, label in enumerate(classes)}
    try:
        return np.array([places[label] for label in labels], dtype=np.int64)
    except KeyError as error:
        raise TrainingError(
            f"label {error.args[0]!r} is not a class; allowed: {', '.join(classes)}"
        ) from error


def label_matrix(labels: Sequence[str], classes: Sequence[str], separator: str) -> Targets:
    """A row of zeros and ones for each text of joined labels; labels that are no class are left out."""
    places = {label: place for place, label in enumerate(classes)}
    matrix = np.zeros((len(labels), len(classes)), dtype=np.int64)
    for row, text in enumerate(labels):
        for label in split_labels(text, separator):
            if label in places:
                matrix[row, places[label]] = 1
    return matrix


def to_truth(target: TargetConfig, labels: Sequence[str], classes: Sequence[str]) -> Targets:
    """What `models.gate.metrics` compares answers with: class indices (n,), or a matrix (n, k) if multilabel.

    Raises:
        TrainingError: a label is not a class (multilabel: such labels are left out).
    """
    if target.task == "multilabel":
        return label_matrix(labels, classes, target.separator)
    return class_indices(labels, classes)


def learnable_classes(target: TargetConfig, labels: Sequence[str]) -> tuple[str, ...]:
    """The classes that these stored labels hold, in alphabetical order; the rare left out if multilabel."""
    if target.task != "multilabel":
        return tuple(sorted(set(labels)))
    counts: dict[str, int] = {}
    for text in labels:
        for label in split_labels(text, target.separator):
            counts[label] = counts.get(label, 0) + 1
    return tuple(sorted(label for label, rows in counts.items() if rows >= target.min_label_rows))


def assign_labels(probabilities: NDArray[np.float32], thresholds: Thresholds) -> NDArray[np.bool_]:
    """Which labels are given to each row, shape (n, k); at least one where there are any."""
    assigned: NDArray[np.bool_] = probabilities >= thresholds
    if assigned.shape[1]:
        unlabelled = np.flatnonzero(~assigned.any(axis=1))
        assigned[unlabelled, (probabilities[unlabelled] / thresholds).argmax(axis=1)] = True
    return assigned


def threshold_array(thresholds: Mapping[str, float], classes: Sequence[str]) -> Thresholds:
    """Thresholds in the order of `classes`; 0.5 for a class that the model does not know."""
    return np.array([thresholds.get(label, DEFAULT_THRESHOLD) for label in classes], dtype=np.float32)


def choose_thresholds(probabilities: NDArray[np.float32], truth: Targets) -> Thresholds:
    """Thresholds with which micro-F1 is highest, label by label, the others fixed meanwhile.

    Args:
        probabilities: for rows that the model has not learned from, shape (n, k).
        truth: zeros and ones, shape (n, k).

    See Koyejo et al., "Consistent multilabel classification" (2015), on thresholds for micro-F1.
    """
    thresholds = np.full(truth.shape[1], DEFAULT_THRESHOLD, dtype=np.float32)
    if not len(truth):
        return thresholds
    assigned = probabilities >= thresholds
    # Counted label by label: of thousands, to count all anew for each of them takes many times as long.
    of_label, own = assigned.sum(axis=0), truth.sum(axis=0)
    hits = (assigned & (truth == 1)).sum(axis=0)
    all_assigned, all_hits, total = int(of_label.sum()), int(hits.sum()), int(own.sum())
    for _ in range(ROUNDS):
        for place in np.flatnonzero(own).tolist():
            column, is_true = probabilities[:, place], truth[:, place] == 1
            others, other_hits = all_assigned - int(of_label[place]), all_hits - int(hits[place])
            thresholds[place] = _best(column, truth[:, place], other_hits, others + total)
            given = column >= thresholds[place]
            of_label[place], hits[place] = given.sum(), (given & is_true).sum()
            all_assigned, all_hits = others + int(of_label[place]), other_hits + int(hits[place])
    return np.clip(thresholds, 0.01, 0.99)


def _best(column: NDArray[np.float32], truth: Targets, hits: int, total: int) -> float:
    candidates = np.unique(np.quantile(column, np.linspace(0.3, 1, CANDIDATES)))
    assigned = column[np.newaxis] >= candidates[:, np.newaxis]
    scores = 2 * (hits + assigned @ truth) / np.maximum(1, total + assigned.sum(axis=1))
    if len(scores) > 2 * SMOOTHED:
        half = SMOOTHED // 2
        scores = np.convolve(np.pad(scores, half, mode="edge"), np.ones(SMOOTHED) / SMOOTHED, mode="valid")
    return float(candidates[int(scores.argmax())])
