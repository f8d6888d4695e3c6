"""Logistic regression by scikit-learn, for encoded tables (and, laid flat, images).

It is served by scikit-learn itself; `sklearn` with the same class is served through ONNX where that agrees.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import TrainingStopped
from models.estimators.arrays import Features, Targets
from models.estimators.contract import Params, read_params
from models.estimators.fit_watch import Watch

NATIVE_FILE = "model.skops"
TRUSTED: tuple[str, ...] = ()
"""Types that a saved file may hold besides numpy's and scikit-learn's, which skops knows; any other is
refused, so that a file runs no code."""


class LogisticParams(Params):
    """Parameters of `logistic`."""

    c: Annotated[float, Field(gt=0)] = 1.0
    """Inverse weight of the penalty on coefficients."""
    max_iter: Annotated[int, Field(gt=0, le=100_000)] = 1000
    """Most steps of the solver."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """Weight of a class's rows: 1, or inverse to its share. Absent: `balanced` where `gate.metric` is
    `f1` or `f1_macro`."""


class Logistic:
    """Multinomial logistic regression with L2 penalty."""

    name: ClassVar[str] = "logistic"

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = read_params(self.name, LogisticParams, params)
        self.model: Any = None
        self.n_classes = 0
        self.notes: tuple[str, ...] = ()

    def fit(self, x: Features, y: Targets, *, n_classes: int, seed: int, watch: Watch) -> None:
        """Learn from nothing; the solver cannot be watched or stopped within."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        if watch.should_stop():
            raise TrainingStopped
        weights = None if self.params.class_weights == "equal" else "balanced"
        model = LogisticRegression(
            C=self.params.c, max_iter=self.params.max_iter, class_weight=weights, random_state=seed
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(_flat(x), y)
        if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
            self.notes = (f"the solver had not converged after max_iter {self.params.max_iter} steps",)
        # scikit-learn knows only the classes it saw, so the number of all travels with it.
        model.ratchet_classes_ = n_classes
        self.model, self.n_classes = model, n_classes
        watch.epoch(1, 1, {"accuracy": float(model.score(_flat(x), y))})

    def predict_proba(self, x: Features) -> NDArray[np.float32]:
        """Probabilities, shape (n, n_classes); 0 for a class without training rows.

        They are scikit-learn's, without its checks of the input, which take ten times as long for one row.
        """
        probabilities = np.zeros((len(x), self.n_classes), dtype=np.float32)
        if len(x):
            model = self.model
            probabilities[:, model.classes_] = _probabilities(_flat(x) @ model.coef_.T + model.intercept_)
        return probabilities

    def save(self, directory: Path) -> None:
        """Write skops' format."""
        import skops.io

        skops.io.dump(self.model, directory / NATIVE_FILE)

    @classmethod
    def load(cls, directory: Path, params: Mapping[str, Any]) -> Self:
        """The model that `save` wrote."""
        import skops.io

        loaded = cls(params)
        loaded.model = skops.io.load(directory / NATIVE_FILE, trusted=list(TRUSTED))
        loaded.n_classes = int(loaded.model.ratchet_classes_)
        return loaded


def _probabilities(decisions: NDArray[Any]) -> NDArray[Any]:
    """Of decisions (n, classes), or (n, 1) for the second of two classes."""
    if decisions.shape[1] == 1:
        second = np.exp(-np.logaddexp(0, -decisions))
        return np.hstack((1 - second, second))
    decisions -= decisions.max(axis=1, keepdims=True)
    np.exp(decisions, out=decisions)
    decisions /= decisions.sum(axis=1, keepdims=True)
    return decisions


def _flat(x: Features) -> Features:
    return x.reshape(len(x), -1)
