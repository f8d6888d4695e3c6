"""CatBoost for records of texts beside numbers, categories and dates (`kind: mixed`).

A linear model scores the texts, another one texts and numbers, and boosted trees learn from these scores
beside the numbers. Answers need numpy only. CatBoost is imported to learn from nothing; a warm start takes
milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import CannotUpdate, TrainingError
from models.estimators.adagrad import AdagradSettings, balance, sigmoid, softmax
from models.estimators.arrays import Features, Targets
from models.estimators.contract import Params, read_params
from models.estimators.fit_watch import Watch
from models.estimators.stacked.growing import Growth, Steps, grow, outputs_of
from models.estimators.stacked.linear_view import LinearView
from models.estimators.stacked.oblivious_trees import ObliviousTrees, read_trees
from models.estimators.stacked.unseen_scores import fit_view

NATIVE_FILE = "model.npz"
TEXTS, WHOLE, CORRECTION = "texts", "whole", "correction"
"""Views of texts alone, and of texts and numbers, which trees are told; and what warm starts add to what
trees say."""
WHOLE_SCALE, CORRECTION_SCALE = 1.0, 0.1
"""What numbers count for beside terms; where a few rows are learned from, less: new rows have new dates."""


class CatboostMixedParams(Params):
    """Parameters of `catboost_mixed`."""

    iterations: Annotated[int, Field(gt=0, le=100_000)] = 300
    """Trees."""
    depth: Annotated[int, Field(gt=0, le=10)] = 6
    """Depth of each tree."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.08
    """Share of each tree's answer that counts."""
    l2_leaf_reg: Annotated[float, Field(ge=0)] = 3.0
    """Weight of the penalty on leaf values."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """Weight of a class's rows: 1, or inverse to its share. With many labels a row: only `equal`."""
    folds: Annotated[int, Field(ge=2, le=20)] = 4
    """Parts of the rows, of which each is scored by linear models of the others."""
    text_epochs: Annotated[int, Field(gt=0, le=10_000)] = 15
    """Times that a linear model goes through all rows."""
    text_batch_size: Annotated[int, Field(gt=0, le=65_536)] = 32
    """Rows between two of its steps."""
    text_learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.5
    """Length of its first steps."""
    update_learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.3
    """Length of the first steps of a warm start, which corrects what the trees say by a linear model."""
    update_batch_size: Annotated[int, Field(gt=0, le=65_536)] = 1
    """Rows between two steps of a warm start."""
    update_epochs: Annotated[int, Field(gt=0, le=10_000)] = 2
    """Epochs of a warm start."""


class CatboostMixed:
    """Softmax over classes, or a probability of its own for each label."""

    name: ClassVar[str] = "catboost_mixed"
    multilabel: ClassVar[bool] = True

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, CatboostMixedParams, params)
        self.views: dict[str, LinearView] = {}
        """By name; without `correction` before the first warm start, with none where no row has a term."""
        self.trees: ObliviousTrees | None = None
        """None where no label varies among the rows."""
        self.outputs: NDArray[np.int64] = np.zeros(0, np.int64)
        """Which class or label each score of the trees is of."""
        self.always: NDArray[np.float32] = np.zeros(0, np.float32)
        """Probability of those that the trees do not know, (n_classes,)."""
        self.per_label = False

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; x has shape (n, 2, numbers + room), as the encoder of terms gives it.

        Raises:
            TrainingError: no number varies, and no term is known.
        """
        numbers, terms = split_rows(x)
        params = self.params
        self.per_label = y.ndim == 2
        has_terms = bool((terms[:, 1] != 0).any()) and len(x) >= params.folds
        steps = Steps(watch, 2 * (params.folds + 1) * has_terms + params.iterations)
        self.views = {}
        told = [numbers]
        for name, count in ((TEXTS, 0), (WHOLE, numbers.shape[1])) if has_terms else ():
            self.views[name], scores = fit_view(
                numbers[:, :count],
                terms,
                y,
                n_classes=n_classes,
                scale=WHOLE_SCALE,
                folds=params.folds,
                settings=AdagradSettings(
                    params.text_learning_rate, params.text_batch_size, params.text_epochs
                ),
                seed=seed,
                watch=watch,
                step=steps.done_one,
            )
            told.append(self._centred(scores))
        numbers = np.concatenate(told, axis=1)
        if not np.ptp(numbers, axis=0).any():
            raise TrainingError(
                "catboost_mixed has nothing to split by: every field has one value in all these rows"
            )
        self.outputs, self.always = outputs_of(y, n_classes)
        growth = Growth(params.iterations, params.learning_rate, params.depth, params.l2_leaf_reg)
        balanced = params.class_weights == "balanced" and not self.per_label
        weights = balance(y, n_classes) if balanced else np.ones(len(y), np.float32)
        grown = grow(numbers, y, self.outputs, weights, growth, seed, steps)
        self.trees = None if grown is None else read_trees(grown)

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:
        """Learn what the answers lack, by default from one row at a time; the trees stay as they are.

        Raises:
            CannotUpdate: a class among the rows had none when the trees were grown.
        """
        if y.ndim == 1 and (unknown := sorted(set(y.tolist()) - set(self.outputs.tolist()))):
            raise CannotUpdate(f"its trees have no place for class number {unknown[0]}, new among the rows")
        if self.trees is None:
            return
        numbers, terms = split_rows(x)
        params = self.params
        settings = AdagradSettings(
            params.update_learning_rate, params.update_batch_size, params.update_epochs
        )
        empty = LinearView.empty(numbers.shape[1], len(self.outputs), CORRECTION_SCALE)
        before = self.views.get(CORRECTION, empty)
        targets = np.searchsorted(self.outputs, y) if y.ndim == 1 else y[:, self.outputs]
        base = self.trees.scores(self._inputs(numbers, terms)).astype(np.float32)
        self.views[CORRECTION] = before.learned(numbers, terms, targets, base, settings, seed, watch)

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes)."""
        probabilities = np.tile(self.always, (len(x), 1))
        if not len(x) or self.trees is None:
            return probabilities
        numbers, terms = split_rows(x)
        scores = self.trees.scores(self._inputs(numbers, terms)).astype(np.float32)
        if CORRECTION in self.views:
            scores += self.views[CORRECTION].scores(numbers, terms)
        probabilities[:, self.outputs] = sigmoid(scores) if self.per_label else softmax(scores)
        return probabilities

    def save(self, directory: Path) -> None:
        """Write numpy's format, without objects."""
        arrays: dict[str, Any] = {
            "outputs": self.outputs,
            "always": self.always,
            "per_label": np.array(self.per_label),
        }
        for name, view in self.views.items():
            arrays |= view.to_arrays(name)
        arrays |= {} if self.trees is None else self.trees.to_arrays()
        np.savez(directory / NATIVE_FILE, **arrays)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The model that `save` wrote."""
        loaded = cls(params)
        with np.load(directory / NATIVE_FILE, allow_pickle=False) as file:
            arrays = dict(file)
        loaded.outputs, loaded.always = arrays["outputs"], arrays["always"]
        loaded.per_label = bool(arrays["per_label"])
        loaded.trees = ObliviousTrees.from_arrays(arrays) if "tree_leaves" in arrays else None
        views = {name: LinearView.from_arrays(name, arrays) for name in (TEXTS, WHOLE, CORRECTION)}
        loaded.views = {name: view for name, view in views.items() if view is not None}
        return loaded

    def _inputs(self, numbers: Features, terms: Features) -> Features:
        """What the trees ask: numbers, then scores by the views."""
        views = [self.views[name] for name in (TEXTS, WHOLE) if name in self.views]
        scores = [self._centred(view.scores(numbers, terms)) for view in views]
        return np.concatenate([numbers, *scores], axis=1)

    def _centred(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of one label a row only the differences say something: the mean of a row's scores becomes 0."""
        centred: NDArray[np.float32] = (
            scores if self.per_label else scores - scores.mean(axis=1, keepdims=True)
        )
        return centred


def split_rows(x: Features) -> tuple[Features, Features]:
    """Numbers (n, numbers), and places and weights of terms (n, 2, room), of encoded rows.

    Raises:
        TrainingError: the rows are not what `kind: mixed` gives.
    """
    if x.ndim != 3 or x.shape[1] != 2:
        raise TrainingError("catboost_mixed learns from texts beside numbers: use it with `kind: mixed`")
    count = int((x[0, 0] < 0).sum()) if len(x) else 0
    return np.ascontiguousarray(x[:, 1, :count]), x[:, :, count:]
