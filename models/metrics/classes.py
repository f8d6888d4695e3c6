"""How each class fares: precision, recall and F1, and which is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics.arrays import Floats, Truth, ratio


@dataclass(frozen=True)
class ClassScore:
    """How one class fares."""

    precision: float
    recall: float
    f1: float
    support: int


def confusion(
    labels: Sequence[str], answered: Sequence[str], classes: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The model's classes, then those that only the rows know; and counts (k, k), true class by row."""
    all_classes = tuple(dict.fromkeys([*classes, *sorted(set(labels) - set(classes))]))
    places = {label: place for place, label in enumerate(all_classes)}
    counts = np.zeros((len(all_classes), len(all_classes)), dtype=np.int64)
    rows = [places[label] for label in labels]
    np.add.at(counts, (rows, [places[label] for label in answered]), 1)
    return all_classes, counts


def score_classes(
    labels: Sequence[str], answered: Sequence[str], classes: Sequence[str]
) -> dict[str, ClassScore]:
    """Precision, recall, F1 and number of rows of each class; 0 where one is not defined."""
    all_classes, whole = confusion(labels, answered, classes)
    counts = whole.astype(np.float64)
    hits, support, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    return _scored(all_classes, hits, support, predicted)


def score_labels(truth: Truth, predicted: NDArray[np.bool_], classes: Sequence[str]) -> dict[str, ClassScore]:
    """Precision, recall, F1 and number of rows of each label, where a row has many."""
    hits, support, answered = (
        counts.sum(axis=0).astype(np.float64) for counts in (predicted & (truth == 1), truth, predicted)
    )
    return _scored(classes, hits, support, answered)


def _scored(classes: Sequence[str], hits: Floats, support: Floats, answered: Floats) -> dict[str, ClassScore]:
    """By class, from the rows of it answered so, of it, and answered so, each of shape (classes,)."""
    parts = (ratio(hits, answered), ratio(hits, support), ratio(2 * hits, support + answered), support)
    return {
        label: ClassScore(float(precision), float(recall), float(f1), int(rows))
        for label, precision, recall, f1, rows in zip(classes, *parts, strict=True)
    }
