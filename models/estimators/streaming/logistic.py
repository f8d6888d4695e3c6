"""Logistic regression whose rows are never all in memory: the optimum that `logistic` finds of all at once.

Each step of the solver (L-BFGS: Liu and Nocedal, "On the limited memory BFGS method for large scale
optimization", 1989) goes through the parts once and adds up loss and gradient, so no step length is to be
chosen and no order of rows matters. It starts from the optimum of a sample, next to which that of all rows
lies: a handful of passes is enough, where one that starts from nothing takes dozens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import TrainingError, TrainingStopped
from models.estimators.arrays import ArrayRows, EncodedRows, Features, Targets, each_part
from models.estimators.contract import Params, read_params
from models.estimators.fit_watch import StopOnlyWatch, Watch
from models.estimators.streaming.linear_graph import write_linear_graph

NATIVE_FILE = "model.npz"
NEVER = -1e9
"""Score of a class without training rows: its probability is 0."""
GRADIENT, LOSS = 1e-4, 64 * np.finfo(np.float64).eps
"""Largest slope, and smallest gain of a step, at which the solver ends: those of scikit-learn."""

Floats = NDArray[np.float64]


class LogisticBatchesParams(Params):
    """Parameters of `logistic_batches`."""

    c: Annotated[float, Field(gt=0)] = 1.0
    """Inverse weight of the penalty on coefficients."""
    passes: Annotated[int, Field(gt=0, le=10_000)] = 200
    """Most times that all rows are gone through."""
    sample: Annotated[int, Field(gt=0, le=10_000_000)] = 100_000
    """Rows, drawn at random, by which it is found where to start."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """Weight of a class's rows: 1, or inverse to its share. Absent: `balanced` where `gate.metric` is
    `f1` or `f1_macro`."""


class LogisticBatches:
    """Multinomial logistic regression with L2 penalty, by passes over parts of the rows."""

    name: ClassVar[str] = "logistic_batches"
    kinds: ClassVar[tuple[str, ...]] = ("tabular", "mixed", "image")

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, LogisticBatchesParams, params)
        self.weights: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        """Of each class (n_classes, numbers of a row)."""
        self.start: NDArray[np.float32] = np.zeros(0, np.float32)
        """Score of each class where all numbers are 0."""
        self.notes: tuple[str, ...] = ()
        self._shape: tuple[int, ...] = ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing: as from parts of these rows."""
        self.fit_batches(ArrayRows(x, y), n_classes=n_classes, seed=seed, watch=watch)

    def fit_batches(self, rows: EncodedRows, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing, part by part.

        Raises:
            TrainingStopped: the watch asked for it.
        """
        self._shape = rows.row_shape
        counts = np.zeros(n_classes, dtype=np.int64)
        for _, y in each_part(rows):
            counts += np.bincount(y, minlength=n_classes)
        present = np.flatnonzero(counts)
        if len(present) < 2:
            raise TrainingError(f"the training rows hold {len(present)} class; at least 2 are needed")
        shares = np.ones(n_classes)
        if self.params.class_weights == "balanced":
            shares[present] = len(rows) / (len(present) * counts[present])
        problem = _Problem(present, shares, 1 / (self.params.c * len(rows)), int(np.prod(self._shape)))
        start = np.zeros(problem.size)
        if rows.parts > 1 and len(rows) > self.params.sample:
            some = _sample(rows, self.params.sample, seed)
            start = _minimise(problem, some, start, StopOnlyWatch(watch), self.params.passes)[0]
        found, loss, converged, passes = _minimise(problem, rows, start, watch, self.params.passes)
        self.notes = (f"its optimum was found by {passes} passes over {len(rows)} rows",)
        if not converged:
            self.notes = (f"the solver had not converged after `passes` {self.params.passes}",)
        self._take(problem, found, n_classes)
        watch.epoch(1, 1, {"loss": loss})

    def _take(self, problem: _Problem, found: Floats, n_classes: int) -> None:
        weights, start = problem.unpack(found)
        self.weights = np.zeros((n_classes, weights.shape[1]), np.float32)
        self.start = np.full(n_classes, NEVER, np.float32)
        if len(problem.present) == 2:  # one score tells both
            weights, start = np.stack([0 * weights[0], weights[0]]), np.array([0.0, start[0]])
        self.weights[problem.present], self.start[problem.present] = weights, start

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes); 0 for a class without training rows."""
        scores = x.reshape(len(x), self.weights.shape[1]) @ self.weights.T + self.start
        if not len(x):
            return scores
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def save(self, directory: Path) -> None:
        """Write numpy's format."""
        shape = np.array(self._shape, dtype=np.int64)
        np.savez(directory / NATIVE_FILE, weights=self.weights, start=self.start, shape=shape)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """What `save` wrote."""
        loaded = cls(params)
        with np.load(directory / NATIVE_FILE, allow_pickle=False) as kept:
            loaded.weights, loaded.start = kept["weights"], kept["start"]
            loaded._shape = tuple(kept["shape"].tolist())
        return loaded

    def export_onnx(self, path: Path) -> None:
        """Write it as ONNX."""
        write_linear_graph(path, self.weights, self.start, self._shape)


@dataclass(frozen=True)
class _Problem:
    """What is minimised: mean loss and penalty, of the weights of all classes in one row of numbers.

    Of two classes there is one score, of more one each, as in scikit-learn.
    """

    present: NDArray[np.intp]
    """Classes with rows."""
    shares: Floats
    """Weight of the rows of each class."""
    penalty: float
    numbers: int
    """Of an encoded row."""

    @property
    def scores(self) -> int:
        """How many scores a row has."""
        return 1 if len(self.present) == 2 else len(self.present)

    @property
    def size(self) -> int:
        """Weights, and one start for each score."""
        return self.scores * (self.numbers + 1)

    def unpack(self, found: Floats) -> tuple[Floats, Floats]:
        """Weights (scores, numbers) and starts (scores,)."""
        together = found.reshape(self.scores, self.numbers + 1)
        return together[:, :-1], together[:, -1]

    def loss_and_slope(self, found: Floats, x: Features, y: Targets) -> tuple[float, Floats]:
        """Of some rows: the sum of their losses, and its slope."""
        weights, start = self.unpack(found)
        places = np.searchsorted(self.present, y)
        heavy = self.shares[y]
        scores = (x @ weights.astype(np.float32).T).astype(np.float64) + start
        if self.scores == 1:
            signed = np.where(places == 1, scores[:, 0], -scores[:, 0])
            losses = np.logaddexp(0, -signed)
            slopes = 1 / (1 + np.exp(np.clip(-scores, -700, 700))) - places[:, np.newaxis]
        else:
            top = scores.max(axis=1, keepdims=True)
            shares = np.exp(scores - top)
            total = shares.sum(axis=1, keepdims=True)
            rows = np.arange(len(y))
            losses = (np.log(total) + top)[:, 0] - scores[rows, places]
            slopes = shares / total
            slopes[rows, places] -= 1
        slopes *= heavy[:, np.newaxis]
        slope = np.empty((self.scores, self.numbers + 1))
        slope[:, :-1] = slopes.astype(np.float32).T @ x
        slope[:, -1] = slopes.sum(axis=0)
        return float((losses * heavy).sum()), slope.reshape(-1)


def _minimise(
    problem: _Problem, rows: EncodedRows, start: Floats, watch: Watch, most: int
) -> tuple[Floats, float, bool, int]:
    """The optimum, its loss, whether the solver had come to its end, and how many passes it took."""
    from scipy.optimize import minimize

    passes = 0

    def loss_and_slope(found: Floats) -> tuple[float, Floats]:
        nonlocal passes
        passes += 1
        loss, slope = 0.0, np.zeros(problem.size)
        for place in range(rows.parts):
            if watch.should_stop():
                raise TrainingStopped
            x, y = rows.part(place)
            added, along = problem.loss_and_slope(found, x.reshape(len(x), -1), y)
            loss, slope = loss + added, slope + along
        loss, slope = loss / len(rows), slope / len(rows)
        weights = problem.unpack(found)[0]
        watch.batch(1, passes, max(passes, most), {"loss": loss})
        drawn = slope.reshape(problem.scores, -1)
        drawn[:, :-1] += problem.penalty * weights
        return loss + problem.penalty / 2 * float(np.square(weights).sum()), slope

    options = {"maxiter": most, "maxfun": most, "maxls": 50, "gtol": GRADIENT, "ftol": LOSS}
    found = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x), float(found.fun), bool(found.success), passes


def _sample(rows: EncodedRows, count: int, seed: int) -> ArrayRows:
    """Rows drawn at random, about so many."""
    random = np.random.default_rng(seed)
    share = count / len(rows)

    def drawn() -> Iterator[tuple[Features, Targets]]:
        for x, y in each_part(rows):
            chosen = random.random(len(y)) < share
            yield x[chosen], y[chosen]

    parts = list(drawn())
    return ArrayRows(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))
