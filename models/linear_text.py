"""A linear classifier of weighted terms, trained in epochs by steps of its own length for each weight.

The method is AdaGrad (Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning",
2011) on logistic loss, which suits terms as a rare one keeps long steps. Only the terms in a batch are
touched, so a warm start with a few texts takes milliseconds. Answers need numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.checkpoints import Checkpoint, Checkpoints
from models.errors import TrainingError, TrainingStopped
from models.estimator import Features, Params, Targets, Watch, read_params

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NATIVE_FILE = "model.npz"
TINY = np.float32(1e-8)
Weights = NDArray[np.float32]


class LinearTextParams(Params):
    """Parameters of `linear_text`."""

    epochs: Annotated[int, Field(gt=0, le=10_000)] = 15
    """Times that all rows are gone through."""
    batch_size: Annotated[int, Field(gt=0, le=65_536)] = 32
    """Rows between two steps."""
    learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.5
    """Length of the first steps."""
    penalty: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How strongly weights of the terms in a batch are drawn towards 0 (L2)."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """Weight of a class's rows: 1, or inverse to its share."""
    update_learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.1
    """Length of the first steps of a warm start."""
    update_batch_size: Annotated[int, Field(gt=0, le=65_536)] = 1
    """Rows between two steps of a warm start."""
    update_epochs: Annotated[int, Field(gt=0, le=10_000)] = 2
    """Epochs of a warm start."""


class LinearText:
    """Softmax over classes, or a probability of its own for each label."""

    name: ClassVar[str] = "linear_text"
    multilabel: ClassVar[bool] = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, LinearTextParams, params)
        self.weights: Weights = np.zeros((1, 1), np.float32)
        self.bias: Weights = np.zeros(1, np.float32)
        self.many = False

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; x has shape (n, 2, room): places and weights of terms."""
        self.fit_from(x, y, n_classes=n_classes, seed=seed, watch=watch, checkpoints=None)

    def fit_from(
        self,
        x: Features,
        y: Targets,
        *,
        n_classes: int,
        seed: int,
        watch: Watch,
        checkpoints: Checkpoints | None,
    ) -> None:
        """Learn, from the last checkpoint on where there is one, leaving one after each epoch."""
        _check_shape(x)
        params = self.params
        self.many = y.ndim == 2
        terms = int(x[:, 0].max(initial=0)) + 1
        run = _Run(np.zeros((terms, n_classes), np.float32), np.zeros(n_classes, np.float32), self.many)
        importance = _importance(y, n_classes) if params.class_weights == "balanced" else None
        run.train(
            to_sparse(x, terms),
            y,
            _Pace(params.learning_rate, params.penalty, params.batch_size, params.epochs, importance),
            seed,
            watch,
            checkpoints,
        )
        self.weights, self.bias = run.weights, run.bias

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Go on learning with fresh steps, by default of one text each."""
        _check_shape(x)
        params = self.params
        terms = max(len(self.weights), int(x[:, 0].max(initial=0)) + 1)
        weights = np.zeros((terms, self.weights.shape[1]), np.float32)
        weights[: len(self.weights)] = self.weights
        run = _Run(weights, self.bias.copy(), self.many)
        # Sums of squares begin at 1, not 0: the first steps are then no longer than the slopes.
        run.start_gently()
        pace = _Pace(params.update_learning_rate, 0.0, params.update_batch_size, params.update_epochs, None)
        run.train(to_sparse(x, terms), y, pace, seed, watch, None)
        self.weights, self.bias = run.weights, run.bias

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        scores = np.empty((len(x), len(self.bias)), np.float32)
        for row, (places, weights) in enumerate(x):
            used = weights != 0
            at = places[used].astype(np.int64)
            known = at < len(self.weights)
            # One row at a time: an answer then does not depend on its neighbours, not even in the last bit.
            scores[row] = weights[used][known] @ self.weights[at[known]] + self.bias
        return _sigmoid(scores) if self.many else _softmax(scores)

    def save(self, directory: Path) -> None:
        """Write numpy's format, without objects."""
        np.savez(directory / NATIVE_FILE, weights=self.weights, bias=self.bias, many=np.array(self.many))

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The model that `save` wrote."""
        loaded = cls(params)
        with np.load(directory / NATIVE_FILE, allow_pickle=False) as file:
            loaded.weights, loaded.bias, loaded.many = file["weights"], file["bias"], bool(file["many"])
        return loaded


class _Pace:
    """How fast a training goes."""

    def __init__(
        self, rate: float, penalty: float, batch_size: int, epochs: int, importance: Weights | None
    ) -> None:
        self.rate = np.float32(rate)
        self.penalty = np.float32(penalty)
        self.batch_size = batch_size
        self.epochs = epochs
        self.importance = importance
        """Weight of each row (n,), or of each row and label (n, k)."""


class _Run:
    """Weights on their way, with the sums of squared slopes."""

    def __init__(self, weights: Weights, bias: Weights, many: bool) -> None:
        self.weights, self.bias, self.many = weights, bias, many
        self._squares = np.zeros_like(weights)
        self._bias_squares = np.zeros_like(bias)

    def start_gently(self) -> None:
        self._squares += 1
        self._bias_squares += 1

    def train(
        self,
        x: csr_matrix,
        y: Targets,
        pace: _Pace,
        seed: int,
        watch: Watch,
        checkpoints: Checkpoints | None,
    ) -> None:
        done = self._take_up(None if checkpoints is None else checkpoints.load())
        rows = x.shape[0]
        batches = -(-rows // pace.batch_size)
        for epoch in range(done + 1, pace.epochs + 1):
            order = np.random.default_rng((seed, epoch)).permutation(rows)
            loss = 0.0
            for batch in range(batches):
                chosen = order[batch * pace.batch_size : (batch + 1) * pace.batch_size]
                loss += self._step(x[chosen], y[chosen], pace, chosen)
                told = {"loss": loss / min(rows, (batch + 1) * pace.batch_size)}
                watch.batch(epoch, batch + 1, batches, told)
                if watch.should_stop():
                    raise TrainingStopped
            if checkpoints is not None:
                checkpoints.save(Checkpoint(epoch, self._state()))
            watch.epoch(epoch, pace.epochs, {"loss": loss / max(1, rows)})

    def _step(self, x: csr_matrix, y: Targets, pace: _Pace, chosen: NDArray[np.int64]) -> float:
        terms, places = np.unique(x.indices, return_inverse=True)
        here = type(x)((x.data, places.astype(np.int32), x.indptr), shape=(x.shape[0], len(terms)))
        weights = self.weights[terms]
        scores = here @ weights + self.bias
        answers, truth = (
            (_sigmoid(scores), y) if self.many else (_softmax(scores), _one_hot(y, scores.shape[1]))
        )
        slopes = (answers - truth).astype(np.float32)
        if pace.importance is not None:
            slopes *= pace.importance[chosen].reshape(len(chosen), -1)
        slopes /= len(chosen)
        slope = here.T @ slopes + pace.penalty * weights
        squares = self._squares[terms] + slope * slope
        self._squares[terms] = squares
        self.weights[terms] = weights - pace.rate * slope / (np.sqrt(squares) + TINY)
        bias_slope = slopes.sum(axis=0)
        self._bias_squares += bias_slope * bias_slope
        self.bias -= pace.rate * bias_slope / (np.sqrt(self._bias_squares) + TINY)
        return _loss(answers, truth)

    def _state(self) -> dict[str, NDArray[Any]]:
        return {
            "weights": self.weights,
            "bias": self.bias,
            "squares": self._squares,
            "bias_squares": self._bias_squares,
        }

    def _take_up(self, checkpoint: Checkpoint | None) -> int:
        if checkpoint is None:
            return 0
        kept = checkpoint.arrays
        self.weights, self.bias = kept["weights"], kept["bias"]
        self._squares, self._bias_squares = kept["squares"], kept["bias_squares"]
        return checkpoint.epoch


def to_sparse(x: Features, terms: int) -> csr_matrix:
    """Rows of places and weights as a sparse matrix (n, terms)."""
    from scipy.sparse import csr_matrix

    used = x[:, 1] != 0
    ends = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    return csr_matrix((x[:, 1][used], x[:, 0][used].astype(np.int32), ends), shape=(len(x), terms))


def _check_shape(x: Features) -> None:
    if x.ndim != 3 or x.shape[1] != 2:
        raise TrainingError("linear_text learns from texts: use it with `kind: text`")


def _importance(y: Targets, n_classes: int) -> Weights:
    """Weights inverse to shares: of a row's class (n,), or of a label's presence and absence (n, k)."""
    if y.ndim == 1:
        counts = np.bincount(y, minlength=n_classes)
        weights = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        return weights[y].astype(np.float32)
    present = np.maximum(y.sum(axis=0), 1)
    absent = np.maximum(len(y) - present, 1)
    weighted: Weights = np.where(y == 1, len(y) / (2 * present), len(y) / (2 * absent)).astype(np.float32)
    return weighted


def _one_hot(y: Targets, n_classes: int) -> Weights:
    hot: Weights = np.eye(n_classes, dtype=np.float32)[y]
    return hot


def _softmax(scores: Weights) -> Weights:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Weights = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _sigmoid(scores: Weights) -> Weights:
    shares: Weights = (1 / (1 + np.exp(-np.clip(scores, -60, 60)))).astype(np.float32)
    return shares


def _loss(answers: Weights, truth: NDArray[Any]) -> float:
    given = np.clip(np.where(truth == 1, answers, 1 - answers), 1e-7, 1)
    # With softmax only the true class counts.
    counted = given if truth.dtype != np.float32 else given[truth == 1]
    return float(-np.log(counted).sum())
