"""A linear classifier of weighted terms, beside which the most similar training texts may answer.

It is trained in epochs (`models.estimators.adagrad`), and a warm start with a few texts takes
milliseconds. Answers need numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import TrainingError
from models.estimators.adagrad import AdagradSettings, LinearTraining, Weights, balance, sigmoid, softmax
from models.estimators.arrays import Features, Targets
from models.estimators.checkpoints import Checkpoints
from models.estimators.contract import Params, read_params
from models.estimators.fit_watch import Watch
from models.estimators.neighbours import Neighbours, index_texts, indicator_matrix

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NATIVE_FILE = "model.npz"
Places = NDArray[np.int64]


class LinearTextParams(Params):
    """Parameters of `linear_text`."""

    epochs: Annotated[int, Field(gt=0, le=10_000)] = 15
    """Times that all rows are gone through."""
    batch_size: Annotated[int, Field(gt=0, le=65_536)] = 32
    """Rows between two steps."""
    step: Annotated[float, Field(gt=0, le=100)] = 3.0
    """Length of the first steps for one row, the same for all terms; it shrinks by a fifth in each epoch."""
    learning_rate: Annotated[float, Field(gt=0, le=100)] | None = None
    """Length of the first steps by AdaGrad, in place of `step`: rare terms then keep longer ones."""
    penalty: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How strongly weights of the terms in a batch are drawn towards 0 (L2)."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """Weight of a class's rows: 1, or inverse to its share. Absent: `balanced` where `gate.metric` is
    `f1` or `f1_macro`."""
    apart: bool = False
    """Learn from words, and from parts of words, apart, and give the mean of both answers."""
    neighbours: Annotated[int, Field(ge=0, le=1000)] = 0
    """Let this many of the most similar training texts answer as well; 0: none."""
    neighbour_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of their answer in the whole."""
    neighbour_rows: Annotated[int, Field(gt=0, le=1_000_000)] = 20_000
    """Keep the newest this many training texts for that."""
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
        self.per_label = False
        self.neighbours: Neighbours | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; x has shape (n, 2, room), places of terms and their weights."""
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
        self.per_label = y.ndim == 2
        terms = int(x[:, 0].max(initial=0)) + 1
        views = self._matrices(to_sparse(x, terms))
        if params.neighbours:
            self.neighbours = index_texts(views[0], indicator_matrix(y, n_classes), params.neighbour_rows)
        rows, targets = _stack(views, y)
        importance = balance(targets, n_classes) if params.class_weights == "balanced" else None
        settings = AdagradSettings(
            params.step if params.learning_rate is None else params.learning_rate,
            params.batch_size,
            params.epochs,
            params.penalty,
            importance,
            "even" if params.learning_rate is None else "adagrad",
        )
        run = LinearTraining(
            np.zeros((terms, n_classes), np.float32),
            np.zeros(n_classes, np.float32),
            per_label=self.per_label,
        )
        if self.neighbours is not None:
            run.extra_arrays = self.neighbours.to_arrays()
        run.train(rows, targets, settings, seed, watch, checkpoints)
        self.weights, self.bias = run.weights, run.bias

    def restore(
        self,
        arrays: Mapping[str, NDArray[Any]],
        *,
        input_shape: tuple[int, ...],  # noqa: ARG002
        n_classes: int,  # noqa: ARG002
        per_label: bool,
    ) -> None:
        """Become what a checkpoint holds."""
        self.weights, self.bias, self.per_label = arrays["weights"], arrays["bias"], per_label
        self.neighbours = Neighbours.from_arrays(arrays)

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Go on learning, by default one text at a time; further training texts are remembered as well."""
        _check_shape(x)
        params = self.params
        terms = max(len(self.weights), int(x[:, 0].max(initial=0)) + 1)
        weights = np.zeros((terms, len(self.bias)), np.float32)
        weights[: len(self.weights)] = self.weights
        run = LinearTraining(weights, self.bias.copy(), per_label=self.per_label)
        run.damp_first_steps()
        views = self._matrices(to_sparse(x, terms))
        settings = AdagradSettings(
            params.update_learning_rate, params.update_batch_size, params.update_epochs
        )
        run.train(*_stack(views, y), settings, seed, watch, None)
        if self.neighbours is not None:
            self.neighbours = self.neighbours.extended(
                views[0], indicator_matrix(y, len(self.bias)), params.neighbour_rows
            )
        self.weights, self.bias = run.weights, run.bias

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        answers = np.empty((len(x), len(self.bias)), np.float32)
        for row, text in enumerate(x):
            # One row at a time: an answer then does not depend on its neighbours, not even in the last bit.
            answers[row] = self._answer_one(text)
        return answers

    def _answer_one(self, text: NDArray[np.float32]) -> Weights:
        views = self._views(text)
        answers = [self._linear_answer(*view) for view in views]
        answer: Weights = answers[0] if len(answers) == 1 else (answers[0] + answers[1]) / np.float32(2)
        if self.neighbours is None:
            return answer
        neighbours = self.neighbours.answer(*views[0], self.params.neighbours)
        if not neighbours.any():
            return answer
        share = np.float32(self.params.neighbour_share)
        return answer * (1 - share) + neighbours * share

    def _linear_answer(self, places: Places, weights: Weights) -> Weights:
        in_vocabulary = places < len(self.weights)
        scores = (weights[in_vocabulary] @ self.weights[places[in_vocabulary]] + self.bias)[np.newaxis]
        answers: Weights = (sigmoid(scores) if self.per_label else softmax(scores))[0]
        return answers

    def _views(self, text: NDArray[np.float32]) -> list[tuple[Places, Weights]]:
        """Terms of one text and their weights: all; or words, and parts of words, each scaled to length 1."""
        used = text[1] != 0
        places, weights = text[0][used].astype(np.int64), text[1][used]
        if not self.params.apart:
            return [(places, weights)]
        return [_select_parity(places, weights, parity) for parity in (0, 1)]

    def _matrices(self, texts: csr_matrix) -> list[csr_matrix]:
        """The same of many texts."""
        return [_select_parity_of_rows(texts, parity) for parity in (0, 1)] if self.params.apart else [texts]

    def save(self, directory: Path) -> None:
        """Write numpy's format, without objects."""
        arrays: dict[str, Any] = {
            "weights": self.weights,
            "bias": self.bias,
            "many": np.array(self.per_label),
        }
        if self.neighbours is not None:
            arrays |= self.neighbours.to_arrays()
        np.savez(directory / NATIVE_FILE, **arrays)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The model that `save` wrote."""
        loaded = cls(params)
        with np.load(directory / NATIVE_FILE, allow_pickle=False) as file:
            arrays = dict(file)
        loaded.weights, loaded.bias, loaded.per_label = (
            arrays["weights"],
            arrays["bias"],
            bool(arrays["many"]),
        )
        loaded.neighbours = Neighbours.from_arrays(arrays)
        return loaded


def to_sparse(x: Features, terms: int) -> csr_matrix:
    """Rows of places and weights as a sparse matrix (n, terms)."""
    from scipy.sparse import csr_matrix

    used = x[:, 1] != 0
    ends = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    return csr_matrix((x[:, 1][used], x[:, 0][used].astype(np.int32), ends), shape=(len(x), terms))


def _select_parity(places: Places, weights: Weights, parity: int) -> tuple[Places, Weights]:
    """The terms at even places (words) or odd ones (parts of words), scaled to length 1."""
    selected = places % 2 == parity
    places, weights = places[selected], weights[selected]
    length = np.sqrt(np.dot(weights, weights))
    return places, weights / length if length > 0 else weights


def _select_parity_of_rows(texts: csr_matrix, parity: int) -> csr_matrix:
    """The same of many texts."""
    view = texts.copy()
    view.data[view.indices % 2 != parity] = 0
    view.eliminate_zeros()
    lengths = np.sqrt(np.asarray(view.multiply(view).sum(axis=1))[:, 0])
    view.data /= np.repeat(lengths, np.diff(view.indptr))
    return view


def _stack(views: Sequence[csr_matrix], y: Targets) -> tuple[csr_matrix, Targets]:
    """All views as rows, each with the labels of its text."""
    from scipy.sparse import csr_matrix, vstack

    return csr_matrix(vstack(views)), np.concatenate([y] * len(views))


def _check_shape(x: Features) -> None:
    if x.ndim != 3 or x.shape[1] != 2:
        raise TrainingError("linear_text learns from texts: use it with `kind: text`")
