"""A linear classifier of weighted terms and of meaning, beside which the most similar texts may answer.

It is trained in epochs (`models.estimators.adagrad`), and a warm start with a few texts takes
milliseconds. Answers need numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from features.encoders.text_rows import (
    TextRows,
    count_meaning,
    count_terms,
    no_terms,
    read_rows,
    stack,
    terms_of_parity,
)
from models.errors import TrainingError
from models.estimators.adagrad import AdagradSettings, LinearTraining, Weights, balance, sigmoid, softmax
from models.estimators.arrays import Features, Targets
from models.estimators.checkpoints import Checkpoints
from models.estimators.contract import Params, read_params
from models.estimators.fit_watch import Watch
from models.estimators.neighbours import Neighbours, index_texts, indicator_matrix

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
    """Learn from words, from parts of words and from meaning apart, and give the mean of the answers."""
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


@dataclass(frozen=True)
class _View:
    """What one answer to a text is made of."""

    places: Places
    """Of its terms."""
    weights: Weights
    meaning: Weights


class LinearText:
    """Softmax over classes, or a probability of its own for each label."""

    name: ClassVar[str] = "linear_text"
    multilabel: ClassVar[bool] = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, LinearTextParams, params)
        self.weights: Weights = np.zeros((1, 1), np.float32)
        self.meaning: Weights = np.zeros((0, 1), np.float32)
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
        terms, places = count_terms(x), count_meaning(x)
        views = self._views_of_rows(read_rows(x, terms))
        if params.neighbours:
            self.neighbours = index_texts(
                views[0].terms, indicator_matrix(y, n_classes), params.neighbour_rows
            )
        rows, targets = stack(views, y)
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
            np.zeros((places, n_classes), np.float32),
            np.zeros(n_classes, np.float32),
            per_label=self.per_label,
        )
        if self.neighbours is not None:
            run.extra_arrays = self.neighbours.to_arrays()
        run.train(rows, targets, settings, seed, watch, checkpoints)
        self._take(run)

    def restore(
        self,
        arrays: Mapping[str, NDArray[Any]],
        *,
        input_shape: tuple[int, ...],  # noqa: ARG002
        n_classes: int,  # noqa: ARG002
        per_label: bool,
    ) -> None:
        """Become what a checkpoint holds."""
        self._read(arrays, per_label=per_label)

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Go on learning, by default one text at a time; further training texts are remembered as well."""
        _check_shape(x)
        params = self.params
        terms = max(len(self.weights), count_terms(x))
        weights = np.zeros((terms, len(self.bias)), np.float32)
        weights[: len(self.weights)] = self.weights
        run = LinearTraining(weights, self.meaning.copy(), self.bias.copy(), per_label=self.per_label)
        run.damp_first_steps()
        views = self._views_of_rows(read_rows(x, terms))
        settings = AdagradSettings(
            params.update_learning_rate, params.update_batch_size, params.update_epochs
        )
        run.train(*stack(views, y), settings, seed, watch, None)
        if self.neighbours is not None:
            self.neighbours = self.neighbours.extended(
                views[0].terms, indicator_matrix(y, len(self.bias)), params.neighbour_rows
            )
        self._take(run)

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        answers = np.empty((len(x), len(self.bias)), np.float32)
        for row, text in enumerate(x):
            # One row at a time: an answer then does not depend on its neighbours, not even in the last bit.
            answers[row] = self._answer_one(text)
        return answers

    def _answer_one(self, text: NDArray[np.float32]) -> Weights:
        views = self._views(text)
        answers = [self._linear_answer(view) for view in views]
        answer: Weights = answers[0]
        for other in answers[1:]:
            answer = answer + other
        answer = answer / np.float32(len(answers)) if len(answers) > 1 else answer
        if self.neighbours is None:
            return answer
        neighbours = self.neighbours.answer(views[0].places, views[0].weights, self.params.neighbours)
        if not neighbours.any():
            return answer
        share = np.float32(self.params.neighbour_share)
        return answer * (1 - share) + neighbours * share

    def _linear_answer(self, view: _View) -> Weights:
        known = view.places < len(self.weights)
        scores = view.weights[known] @ self.weights[view.places[known]] + self.bias
        if len(view.meaning):
            scores = scores + view.meaning @ self.meaning
        answers: Weights = (sigmoid(scores[np.newaxis]) if self.per_label else softmax(scores[np.newaxis]))[0]
        return answers

    def _views(self, text: NDArray[np.float32]) -> list[_View]:
        """All of one text; or words, parts of words, each scaled to length 1, and meaning."""
        meaning = text[1, : len(self.meaning)]
        used = (text[1] != 0) & (text[0] >= 0)
        places, weights = text[0][used].astype(np.int64), text[1][used]
        if not self.params.apart:
            return [_View(places, weights, meaning)]
        views = [_View(*_select_parity(places, weights, parity), meaning[:0]) for parity in (0, 1)]
        return [*views, _View(places[:0], weights[:0], meaning)] if len(meaning) else views

    def _views_of_rows(self, texts: TextRows) -> list[TextRows]:
        """The same of many texts."""
        if not self.params.apart:
            return [texts]
        meaning = texts.meaning
        views = [TextRows(terms_of_parity(texts.terms, parity), 0 * meaning) for parity in (0, 1)]
        return [*views, TextRows(no_terms(texts.terms), meaning)] if meaning.shape[1] else views

    def _take(self, run: LinearTraining) -> None:
        self.weights, self.meaning, self.bias = run.weights, run.meaning, run.bias

    def _read(self, arrays: Mapping[str, NDArray[Any]], *, per_label: bool) -> None:
        self.weights, self.bias, self.per_label = arrays["weights"], arrays["bias"], per_label
        self.meaning = arrays.get("meaning", np.zeros((0, len(self.bias)), np.float32))
        self.neighbours = Neighbours.from_arrays(arrays)

    def save(self, directory: Path) -> None:
        """Write numpy's format, without objects."""
        arrays: dict[str, Any] = {
            "weights": self.weights,
            "bias": self.bias,
            "many": np.array(self.per_label),
        }
        if len(self.meaning):
            arrays["meaning"] = self.meaning
        if self.neighbours is not None:
            arrays |= self.neighbours.to_arrays()
        np.savez(directory / NATIVE_FILE, **arrays)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The model that `save` wrote."""
        loaded = cls(params)
        with np.load(directory / NATIVE_FILE, allow_pickle=False) as file:
            arrays = dict(file)
        loaded._read(arrays, per_label=bool(arrays["many"]))
        return loaded


def _select_parity(places: Places, weights: Weights, parity: int) -> tuple[Places, Weights]:
    """The terms at even places (words) or odd ones (parts of words), scaled to length 1."""
    selected = places % 2 == parity
    places, weights = places[selected], weights[selected]
    length = np.sqrt(np.dot(weights, weights))
    return places, weights / length if length > 0 else weights


def _check_shape(x: Features) -> None:
    if x.ndim != 3 or x.shape[1] != 2:
        raise TrainingError("linear_text learns from texts: use it with `kind: text`")
