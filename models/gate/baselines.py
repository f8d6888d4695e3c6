"""Answers that know nothing of the record: what a challenger must beat where production cannot be asked.

Two of them, because a metric may reward what another does not. The best constant answer, with the classes'
shares among the training rows as probabilities, is the majority class for accuracy; for F1 of a rare class
it is that class. And the challenger's own answers, dealt to other rows: where the metric is a mean over
classes, chance beats every constant, and a model of random labels would too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.estimators.labels_and_thresholds import Thresholds
from models.gate.bootstrap import Swaps
from models.metrics.arrays import Probabilities, Truth
from models.metrics.catalogue import compute, rises

ALWAYS, NEVER = 0.0, 2.0
"""Thresholds with which a label is given to every row, or to none."""


@dataclass(frozen=True)
class Baseline:
    """How one kind of such answers does on the judged rows."""

    name: str
    score: float
    differences: NDArray[np.float64]
    """Resamples of the challenger's gain over it (`models.gate.bootstrap`)."""
    swaps: Swaps | None = None
    """What comes of dealing its answers and the challenger's anew, where few rows tell."""


@dataclass(frozen=True)
class Constant:
    """The same answer to every record."""

    probabilities: NDArray[np.float32]
    """Shape (k,)."""
    thresholds: Thresholds | None = None
    """Shape (k,), where a row may have many labels."""

    def repeated(self, rows: int) -> Probabilities:
        """For so many records, shape (rows, k)."""
        return np.broadcast_to(self.probabilities, (rows, len(self.probabilities)))


def best_constant(metric: str, truth: Truth, classes: int, positive: int) -> Constant:
    """The constant answer with which the metric is best on training rows.

    Args:
        metric: name in `METRICS`.
        truth: class indices (n,), or zeros and ones (n, k).
        classes: how many there are.
        positive: index of the class that binary metrics speak of.
    """
    weights = np.ones((1, len(truth)))
    sign = 1.0 if rises(metric) else -1.0

    def worth(one: Constant) -> float:
        answers = one.repeated(len(truth))
        value = float(compute(metric, truth, answers, weights, positive, one.thresholds)[0])
        return -np.inf if np.isnan(value) else sign * value

    return max(_constants(truth, classes), key=worth)


def deal(answers: Probabilities, seed: int) -> Probabilities:
    """Every answer to a record drawn by chance."""
    return answers[np.random.default_rng(seed).permutation(len(answers))]


def _constants(truth: Truth, classes: int) -> Iterator[Constant]:
    """Those that may be best: by share, then each class, or the labels of most rows and more by and by."""
    if truth.ndim == 1:
        shares = np.bincount(truth, minlength=classes) / max(1, len(truth))
        yield Constant(shares.astype(np.float32))
        yield from (Constant(row) for row in np.eye(classes, dtype=np.float32))
        return
    shares = truth.mean(axis=0).astype(np.float32)
    if len(truth):
        sets, counts = np.unique(truth, axis=0, return_counts=True)
        yield _giving(shares, sets[counts.argmax()] == 1)
    order = np.argsort(-shares, kind="stable")
    for count in range(1, classes + 1):
        yield _giving(shares, np.isin(np.arange(classes), order[:count]))


def _giving(shares: NDArray[np.float32], chosen: NDArray[np.bool_]) -> Constant:
    return Constant(shares, np.where(chosen, ALWAYS, NEVER).astype(np.float32))
