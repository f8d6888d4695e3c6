"""Scores of training rows by linear models that have not seen them.

What a model says of rows that it has learned from is surer than what it says of others, and whoever learns
from that would trust it too much (Wolpert, "Stacked generalization", 1992).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.estimators.adagrad import AdagradSettings, LinearTraining
from models.estimators.arrays import Features, Targets
from models.estimators.fit_watch import Watch
from models.estimators.stacked.linear_view import (
    LinearView,
    Scores,
    as_one,
    start_training,
    without_meaning,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


class OnlyStop:
    """Lets a watch stop a fit that is a part of another, of whose epochs nothing is told."""

    def __init__(self, watch: Watch) -> None:
        self.should_stop = watch.should_stop

    def batch(self, epoch: int, batch: int, batches: int, metrics: Mapping[str, float]) -> None:
        """Tell nothing."""

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        """Tell nothing."""


def fit_view(
    numbers: Features,
    terms: Features,
    y: Targets,
    *,
    n_classes: int,
    scale: float,
    folds: int,
    settings: AdagradSettings,
    seed: int,
    watch: Watch,
    step: Callable[[], None],
) -> tuple[LinearView, Scores]:
    """A view of all rows, and of each row the scores by one that has not seen it.

    Args:
        numbers: that the view looks at, shape (n, any).
        terms: places and weights, shape (n, 2, room).
        y: class indices (n,), or zeros and ones (n, classes).
        n_classes: number of scores that a row gets.
        scale: what numbers are multiplied with.
        folds: into how many parts the rows fall, of which each is scored by a model of the others.
        settings: of each of these models.
        seed: of the parts, and of the models.
        watch: asked whether to stop.
        step: told that one of the `folds + 1` models is made.

    Raises:
        TrainingStopped: the watch asked for it.
    """
    rows = as_one(numbers, terms, scale)
    fold = _draw_folds(y, folds, seed)
    unseen = np.zeros((len(terms), n_classes), dtype=np.float32)
    for number in range(folds):
        inside = fold == number
        part = _train(rows[~inside], y[~inside], n_classes, settings, seed + 1 + number, watch)
        unseen[inside] = rows[inside] @ part.weights + part.bias
        step()
    whole = _train(rows, y, n_classes, settings, seed, watch)
    step()
    count = numbers.shape[1]
    return LinearView(whole.weights[:count], whole.weights[count:], whole.bias, scale), unseen


def _train(
    rows: csr_matrix, y: Targets, n_classes: int, settings: AdagradSettings, seed: int, watch: Watch
) -> LinearTraining:
    weights = np.zeros((rows.shape[1], n_classes), np.float32)
    run = start_training(weights, np.zeros(n_classes, np.float32), y)
    run.train(without_meaning(rows), y, settings, seed, OnlyStop(watch), None)
    return run


def _draw_folds(y: Targets, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row; each class is spread over all of them."""
    drawn = np.random.default_rng(seed).permutation(len(y))
    order = drawn if y.ndim == 2 else drawn[np.argsort(y[drawn], kind="stable")]
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % folds
    return fold
