"""Training of a linear classifier in epochs, on logistic loss; only the terms in a batch are touched.

By AdaGrad (Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning", 2011) each weight
has a step length of its own, and a rare term keeps long steps. By even steps, which shrink, all weights
have the same (Bottou, "Large-scale machine learning with stochastic gradient descent", 2010): rare terms then
count less, as under a penalty on squares, and what is learned of few texts holds for others more often.

Numbers of the meaning of texts, which every row has, are one dense block and always take AdaGrad's steps:
even ones, of all rows of a batch in the same direction, would leap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from features.encoders.text_rows import TextRows
from models.errors import TrainingStopped
from models.estimators.arrays import Targets
from models.estimators.checkpoints import Checkpoint, Checkpoints
from models.estimators.fit_watch import Watch

TINY = np.float32(1e-8)
SHRINKING = 0.8
"""Of even steps, in an epoch."""
BIAS_SHARE = np.float32(0.05)
"""Of an even step, for biases: every row moves them, and a term only those rows that have it."""
MEANING_RATE = 0.3
"""Length of AdaGrad's first steps for numbers of meaning, where terms take even steps."""
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class AdagradSettings:
    """Hyperparameters of a training."""

    rate: float
    """Length of the first steps; of even ones for one row, so that it does not depend on the batch."""
    batch_size: int
    epochs: int
    penalty: float = 0.0
    """How strongly weights of the terms in a batch are drawn towards 0 (L2)."""
    importance: Weights | None = None
    """Weight of each row (n,), or of each row and label (n, k)."""
    steps: Literal["adagrad", "even"] = "adagrad"


class LinearTraining:
    """Weights in training, with the sums of their squared gradients.

    Those of terms have shape (terms, classes), those of meaning (places, classes), perhaps without places.
    """

    def __init__(self, weights: Weights, meaning: Weights, bias: Weights, *, per_label: bool) -> None:
        self.weights, self.meaning, self.bias, self.per_label = weights, meaning, bias, per_label
        self._squares = np.zeros_like(weights)
        self._meaning_squares = np.zeros_like(meaning)
        self._bias_squares = np.zeros_like(bias)
        self.offsets: Weights | None = None
        """Scores that each row has from elsewhere (n, classes): what is learned is what they lack."""
        self.learns_bias = True
        """Whether it learns how frequent classes are, whatever a row holds."""
        self.extra_arrays: dict[str, NDArray[Any]] = {}
        """Further arrays that a checkpoint keeps."""

    def damp_first_steps(self) -> None:
        """Begin the sums of squares at 1, not 0: the first steps are then no longer than the gradients."""
        self._squares += 1
        self._meaning_squares += 1
        self._bias_squares += 1

    def train(
        self,
        x: TextRows,
        y: Targets,
        settings: AdagradSettings,
        seed: int,
        watch: Watch,
        checkpoints: Checkpoints | None,
    ) -> None:
        """Go through the rows, from the checkpoint on where there is one.

        Raises:
            TrainingStopped: the watch asked for it.
        """
        last_epoch = self._resume(None if checkpoints is None else checkpoints.load(settings.epochs))
        rows = len(x)
        batches = -(-rows // settings.batch_size)
        for epoch in range(last_epoch + 1, settings.epochs + 1):
            order = np.random.default_rng((seed, epoch)).permutation(rows)
            loss = 0.0
            for batch in range(batches):
                index = order[batch * settings.batch_size : (batch + 1) * settings.batch_size]
                # By what is done, not by what is to come: a longer fit can go on where a shorter one ended.
                shrunk = SHRINKING ** (epoch - 1 + batch / batches)
                loss += self._step(x.take(index), y[index], settings, index, shrunk)
                metrics = {"loss": loss / min(rows, (batch + 1) * settings.batch_size)}
                watch.batch(epoch, batch + 1, batches, metrics)
                if watch.should_stop():
                    raise TrainingStopped
            if checkpoints is not None:
                checkpoints.save(Checkpoint(epoch, self._state()))
            watch.epoch(epoch, settings.epochs, {"loss": loss / max(1, rows)})

    def _step(
        self, x: TextRows, y: Targets, settings: AdagradSettings, index: NDArray[np.int64], shrunk: float
    ) -> float:
        """One batch; `shrunk` is what is left of the length of even steps."""
        terms, places = np.unique(x.terms.indices, return_inverse=True)
        shape = (len(x), len(terms))
        batch = type(x.terms)((x.terms.data, places.astype(np.int32), x.terms.indptr), shape=shape)
        weights = self.weights[terms]
        scores = batch @ weights + x.meaning @ self.meaning + self.bias
        if self.offsets is not None:
            scores = scores + self.offsets[index]
        answers, truth = (
            (sigmoid(scores), y) if self.per_label else (softmax(scores), _one_hot(y, scores.shape[1]))
        )
        score_gradients = (answers - truth).astype(np.float32)
        if settings.importance is not None:
            score_gradients *= settings.importance[index].reshape(len(index), -1)
        score_gradients /= len(index)
        if len(self.meaning):
            steep = x.meaning.T @ score_gradients + np.float32(settings.penalty) * self.meaning
            rate = MEANING_RATE if settings.steps == "even" else settings.rate
            _descend(self.meaning, self._meaning_squares, steep, rate)
        gradient = batch.T @ score_gradients + np.float32(settings.penalty) * weights
        bias_gradient = score_gradients.sum(axis=0) * np.float32(self.learns_bias)
        if settings.steps == "even":
            length = np.float32(settings.rate * shrunk * len(index))
            self.weights[terms] = weights - length * gradient
            self.bias -= BIAS_SHARE * length * bias_gradient
            return _loss(answers, truth)
        squares = self._squares[terms]
        _descend(weights, squares, gradient, settings.rate)
        self.weights[terms], self._squares[terms] = weights, squares
        _descend(self.bias, self._bias_squares, bias_gradient, settings.rate)
        return _loss(answers, truth)

    def _state(self) -> dict[str, NDArray[Any]]:
        return {
            "weights": self.weights,
            "bias": self.bias,
            "squares": self._squares,
            "bias_squares": self._bias_squares,
            **(
                {"meaning": self.meaning, "meaning_squares": self._meaning_squares}
                if len(self.meaning)
                else {}
            ),
            **self.extra_arrays,
        }

    def _resume(self, checkpoint: Checkpoint | None) -> int:
        if checkpoint is None:
            return 0
        arrays = checkpoint.arrays
        self.weights, self.bias = arrays["weights"], arrays["bias"]
        self._squares, self._bias_squares = arrays["squares"], arrays["bias_squares"]
        if "meaning" in arrays:
            self.meaning, self._meaning_squares = arrays["meaning"], arrays["meaning_squares"]
        return checkpoint.epoch


def balance(y: Targets, n_classes: int) -> Weights:
    """Weights inverse to shares: of a row's class (n,), or of a label's presence and absence (n, k)."""
    if y.ndim == 1:
        counts = np.bincount(y, minlength=n_classes)
        weights = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        return weights[y].astype(np.float32)
    present = np.maximum(y.sum(axis=0), 1)
    absent = np.maximum(len(y) - present, 1)
    weighted: Weights = np.where(y == 1, len(y) / (2 * present), len(y) / (2 * absent)).astype(np.float32)
    return weighted


def softmax(scores: Weights) -> Weights:
    """Shares of one, row by row."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Weights = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def sigmoid(scores: Weights) -> Weights:
    """A probability for each score by itself."""
    shares: Weights = (1 / (1 + np.exp(-np.clip(scores, -60, 60)))).astype(np.float32)
    return shares


def _descend(weights: Weights, squares: Weights, gradient: Weights, rate: float) -> None:
    """One step of AdaGrad, in place: each weight's as long as the squares of its gradients so far allow."""
    squares += gradient * gradient
    weights -= np.float32(rate) * gradient / (np.sqrt(squares) + TINY)


def _one_hot(y: Targets, n_classes: int) -> Weights:
    hot: Weights = np.eye(n_classes, dtype=np.float32)[y]
    return hot


def _loss(answers: Weights, truth: NDArray[Any]) -> float:
    likelihoods = np.clip(np.where(truth == 1, answers, 1 - answers), 1e-7, 1)
    # With softmax only the true class counts.
    counted = likelihoods if truth.dtype != np.float32 else likelihoods[truth == 1]
    return float(-np.log(counted).sum())
