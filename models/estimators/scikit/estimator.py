"""Any classifier with scikit-learn's interface, by the import path of its class, or a pipeline of steps.

`class` names it (`sklearn.ensemble.RandomForestClassifier`, `lightgbm.LGBMClassifier`), and every other
parameter is one of that class; `steps` is a list of such mappings, of which the last is the classifier.
Served through ONNX where a converter agrees with it on held-out rows, else by itself, from a file without
pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from features.encoders.text_rows import to_sparse
from models.errors import CannotUpdate, NoExport, TrainingError, TrainingStopped
from models.estimators.arrays import Features, Targets
from models.estimators.contract import Params
from models.estimators.fit_watch import Watch
from models.estimators.scikit import kept
from models.estimators.scikit.boosters import fit_watched, is_watched, trees_of
from models.estimators.scikit.fitting import (
    answer_alone,
    for_label_sets,
    hold_down,
    label_probabilities,
    noting,
    prepare,
    tell_categories,
    with_probabilities,
    without_samplers,
)
from models.estimators.scikit.graphs import write_graph
from models.estimators.scikit.spelling import build, packages_named

NATIVE_TABLES = ("HistGradientBoostingClassifier", "LGBMClassifier", "XGBClassifier")
"""Classes that take missing values and categories as they are."""
SCORED_ROWS = 2000
"""Training rows that are answered after a fit, to tell how well they were learned."""


class SklearnParams(Params):
    """Parameters of `sklearn`; those not named here are those of the class."""

    model_config = ConfigDict(frozen=True, extra="allow")

    class_: str | None = Field(None, alias="class")
    """Import path of a classifier; or give `steps`."""
    steps: tuple[dict[str, Any], ...] = ()
    """A pipeline: the import path of each step's `class` with its parameters, and a `name` if wanted."""


class SklearnClassifier:
    """A classifier that scikit-learn's interface leads to; it knows classes by number.

    It is given the classes that have rows only, so that whatever it makes of gaps is out of the question;
    those without get probability 0.
    """

    name: ClassVar[str] = "sklearn"
    kinds: ClassVar[tuple[str, ...]] = ("tabular", "mixed", "image", "text")
    multilabel: ClassVar[bool] = True
    export_tolerance: ClassVar[float] = 1e-5
    """A graph that differs by more is left out, and the classifier itself answers."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = dict(params)
        self.model: Any = build(params)
        self.facts = kept.Facts(kept.SKOPS, (), 0, False, None)
        self.notes: tuple[str, ...] = ()
        self._shape: tuple[int, ...] = ()
        self._categories: dict[int, int] = {}
        self.most_steps: int | None = None
        """Trees and iterations of a fit that only tries parameters; None: as many as are configured."""
        self.may_miss: NDArray[np.bool_] | None = None
        """Columns (features,) in which values may be missing; None: no column, or nothing is known of it."""

    @property
    def native_tables(self) -> bool:
        """Whether the class takes missing values, and columns of categories, as they are."""
        return type(self.model).__name__ in NATIVE_TABLES

    def take_categories(self, columns: Mapping[int, int]) -> None:
        """Hear before the fit which columns hold places of categories, and how many there are of each."""
        self._categories = dict(columns)

    @property
    def updatable(self) -> bool:
        """Whether its class goes on from what it has learned (`partial_fit`)."""
        return hasattr(self.model, "partial_fit") and hasattr(self.model, "predict_proba")

    def refusal(self, kind: str, task: str) -> str | None:  # noqa: ARG002
        """Why the class cannot learn rows of a kind, if so."""
        from sklearn.utils import get_tags

        first = self.model.steps[0][1] if hasattr(self.model, "steps") else self.model
        if kind == "text" and not (get_tags(first).input_tags.sparse or is_watched(first)):
            return (
                f"{type(first).__name__} takes no sparse rows, as texts are; begin with a step that makes "
                "them dense, such as {class: sklearn.decomposition.TruncatedSVD, n_components: 100}"
            )
        return None

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; what cannot be followed within is asked to stop before it begins only.

        Raises:
            TrainingStopped: the watch asked for it.
        """
        if watch.should_stop():
            raise TrainingStopped
        per_label = y.ndim == 2
        present = np.arange(n_classes) if per_label else np.unique(y)
        terms = int(x[:, 0].max(initial=0)) + 1 if _are_texts(x) else None
        self.facts = kept.Facts(kept.SKOPS, tuple(present.tolist()), n_classes, per_label, terms)
        self._shape = tuple(x.shape[1:])
        model = build(self.params)
        prepare(model, seed)
        if self.most_steps is not None:
            hold_down(model, self.most_steps)
        targets = y if per_label else np.searchsorted(present, y)
        notes: list[str] = []
        adapt = for_label_sets if per_label else with_probabilities
        model, said = adapt(model, targets)
        notes += said
        rows = self._rows(x, model)
        options = tell_categories(model, rows, self._categories)
        if self.facts.terms is None:
            missing: NDArray[np.bool_] = np.isnan(rows).any(axis=0)
            missing[list(self._categories)] = True
            self.may_miss = missing if missing.any() else None
        with noting(notes):
            if is_watched(model):
                fit_watched(model, rows, targets, watch, **options)
            else:
                model.fit(rows, targets)
        if not hasattr(model, "predict_proba"):
            raise TrainingError(
                f"{type(model).__name__} gives no probabilities; its last part must, or wrap that in "
                "{class: sklearn.calibration.CalibratedClassifierCV, estimator: ...}"
            )
        self.notes = tuple(notes)
        self._take(model)
        if not is_watched(model):
            watch.epoch(1, 1, {"accuracy": self._accuracy(x[:SCORED_ROWS], y[:SCORED_ROWS])})

    def update(self, x: Features, y: Targets, *, seed: int, watch: Watch) -> None:  # noqa: ARG002
        """Go on learning by `partial_fit`, where the class has it.

        Raises:
            CannotUpdate: it has not, or a class among the rows had none when it was first fitted.
            TrainingStopped: the watch asked for it.
        """
        if watch.should_stop():
            raise TrainingStopped
        if not self.updatable or self.facts.per_label:
            raise CannotUpdate(f"{type(self.model).__name__} has no partial_fit")
        known = np.array(self.facts.classes)
        if unknown := sorted(set(y.tolist()) - set(known.tolist())):
            raise CannotUpdate(f"it has no place for class number {unknown[0]}, new among the rows")
        self._shape = tuple(x.shape[1:])
        self.model.partial_fit(self._rows(x, self.model), np.searchsorted(known, y))
        watch.epoch(1, 1, {"accuracy": self._accuracy(x[:SCORED_ROWS], y[:SCORED_ROWS])})

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes); 0 for a class without training rows."""
        probabilities = np.zeros((len(x), self.facts.n_classes), dtype=np.float32)
        if len(x):
            answers = self.model.predict_proba(self._rows(x, self.model))
            if self.facts.per_label:
                answers = label_probabilities(self.model, answers)
            probabilities[:, list(self.facts.classes)] = answers
        return probabilities

    def save(self, directory: Path) -> None:
        """Write the format of LightGBM, of XGBoost, or skops'."""
        kept.save(self.model, self.facts, directory)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The classifier that `save` wrote.

        Raises:
            UntrustedTypes: the file holds a type that its classifier does not need.
        """
        loaded = cls.__new__(cls)  # the class itself need not be installed where only its trees answer
        loaded.params, loaded.notes, loaded._shape = dict(params), (), ()
        loaded._categories, loaded.may_miss, loaded.most_steps = {}, None, None
        loaded.facts = kept.read_facts(directory)
        loaded.model = kept.load(directory, loaded.facts, packages_named(params))
        return loaded

    def export_onnx(self, path: Path) -> None:
        """Write it as ONNX.

        Raises:
            NoExport: there is no converter, or its rows or answers are of no kind that a graph takes.
        """
        if self.facts.terms is not None:
            raise NoExport("its rows are texts, which a graph does not take")
        if self.facts.per_label:
            raise NoExport("it gives several labels a row")
        classes, n_classes = self.facts.classes, self.facts.n_classes
        write_graph(self.model, path, shape=self._shape, classes=classes, n_classes=n_classes)

    def _take(self, model: Any) -> None:
        """Keep what answers: trees of LightGBM and XGBoost by themselves, all else on one thread."""
        trees = None if self.facts.per_label else trees_of(model)
        if trees is not None:
            facts = self.facts
            self.facts = kept.Facts(trees.form, facts.classes, facts.n_classes, facts.per_label, facts.terms)
            self.model = trees
            return
        self.model = without_samplers(model)
        answer_alone(self.model)

    def _rows(self, x: Features, model: Any) -> Any:
        """Rows as the class takes them: texts sparse, all else flat and in double precision."""
        if self.facts.terms is not None:
            if not _are_texts(x):
                raise TrainingError("it has learned texts, and is asked about other rows")
            known = x.copy()
            known[:, 1][known[:, 0] >= self.facts.terms] = 0
            return to_sparse(known, self.facts.terms)
        flat = x.reshape(len(x), -1)
        return flat if hasattr(model, "form") or is_watched(model) else flat.astype(np.float64)

    def _accuracy(self, x: Features, y: Targets) -> float:
        answers = self.predict_proba(x)
        if self.facts.per_label:
            return float(((answers >= 0.5) == y.astype(bool)).mean())
        return float((answers.argmax(axis=1) == y).mean())


def _are_texts(x: Features) -> bool:
    return x.ndim == 3 and x.shape[1] == 2
