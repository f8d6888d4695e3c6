"""LightGBM and XGBoost: their trees kept in their own text formats and asked without scikit-learn's wrapping.

A fit of theirs can be watched and stopped after each tree, which scikit-learn's own cannot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingStopped
from models.estimators.fit_watch import Watch


class Boosted(Protocol):
    """Trees that answer, and can be written."""

    form: ClassVar[str]

    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities of the classes that it learned, shape (n, classes)."""
        ...

    def save(self, directory: Path) -> None:
        """Write its own format."""
        ...


class LightgbmTrees:
    """Trees of LightGBM, as text."""

    form: ClassVar[str] = "lightgbm"
    file: ClassVar[str] = "model.txt"

    def __init__(self, booster: Any) -> None:
        self.booster = booster

    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities, by one thread."""
        return _of_two(self.booster.predict(x, num_threads=1))

    def save(self, directory: Path) -> None:
        """Write all trees."""
        text = self.booster.model_to_string(num_iteration=-1)
        (directory / self.file).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The trees that `save` wrote."""
        import lightgbm

        return cls(lightgbm.Booster(model_str=(directory / cls.file).read_text(encoding="utf-8")))


class XgboostTrees:
    """Trees (or the linear model) of XGBoost, as UBJSON."""

    form: ClassVar[str] = "xgboost"
    file: ClassVar[str] = "model.ubj"

    def __init__(self, booster: Any) -> None:
        self.booster = booster
        self.booster.set_param({"nthread": 1})
        self._linear = '"gblinear"' in booster.save_config()

    def predict_proba(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities, by one thread."""
        if not self._linear and self.booster.feature_types is None:
            return _of_two(self.booster.inplace_predict(x, missing=np.nan))
        import xgboost

        types = self.booster.feature_types
        rows = xgboost.DMatrix(x, missing=np.nan, nthread=1, feature_types=types, enable_categorical=True)
        return _of_two(self.booster.predict(rows))

    def save(self, directory: Path) -> None:
        """Write all trees."""
        self.booster.save_model(str(directory / self.file))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The trees that `save` wrote."""
        import xgboost

        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(str(directory / cls.file))
        return cls(booster)


FORMS = {one.form: one for one in (LightgbmTrees, XgboostTrees)}
"""Name of a format to what reads it."""


def trees_of(model: Any) -> Boosted | None:
    """The trees of a fitted classifier of LightGBM's or XGBoost's own; None for any other."""
    root, name = type(model).__module__.split(".")[0], type(model).__name__
    if root == "lightgbm" and name == "LGBMClassifier":
        return LightgbmTrees(model.booster_)
    if root == "xgboost" and name in ("XGBClassifier", "XGBRFClassifier"):
        return XgboostTrees(model.get_booster())
    return None


def is_watched(model: Any) -> bool:
    """Whether a fit can be followed tree by tree."""
    return type(model).__module__.split(".")[0] in FORMS


def fit_watched(model: Any, x: Any, y: Any, watch: Watch, **options: Any) -> None:
    """Fit, telling the watch of every tree and asking it whether to stop.

    Raises:
        TrainingStopped: the watch asked for it.
    """
    if type(model).__name__ == "XGBRFClassifier":  # one round, and it takes no callbacks
        model.fit(x, y, **options)
        _tell(watch, 1, 1)
        return
    trees = int(model.get_params().get("n_estimators") or 100)
    if type(model).__module__.startswith("lightgbm."):

        def after_tree(env: Any) -> None:
            _tell(watch, env.iteration + 1, trees)

        model.fit(x, y, callbacks=[after_tree], **options)
        return
    from xgboost.callback import TrainingCallback

    class Following(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002
            _tell(watch, epoch + 1, trees)
            return False

    model.set_params(callbacks=[Following()])
    try:
        model.fit(x, y, **options)
    finally:
        model.set_params(callbacks=None)


def _tell(watch: Watch, done: int, trees: int) -> None:
    watch.epoch(done, max(done, trees), {})
    if watch.should_stop():
        raise TrainingStopped


def _of_two(answers: Any) -> NDArray[np.float64]:
    """Of two classes they give the second's probability only."""
    found = np.asarray(answers, dtype=np.float64)
    return np.stack([1 - found, found], axis=1) if found.ndim == 1 else found
