"""Rows that any classifier can learn, and fits by classes named in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if

from models.estimators.fit_watch import SilentWatch, Watch
from models.estimators.scikit.estimator import SklearnClassifier

FEW = 120


class ShyClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One whose class seems to give probabilities, and whose objects do not."""

    @available_if(lambda _model: False)  # type: ignore[untyped-decorator]
    def predict_proba(self, x: Any) -> Any:
        """Never there."""

    def fit(self, _x: Any, y: Any) -> ShyClassifier:
        """Learn nothing."""
        self.classes_ = np.unique(y)
        return self


def rows_of(count: int = FEW, classes: tuple[int, ...] = (0, 2, 3), seed: int = 0) -> Any:
    """Encoded rows (n, 5) and their classes; the first two columns tell them apart, the last are flags."""
    random = np.random.default_rng(seed)
    y = np.array(classes, dtype=np.int64)[np.arange(count) % len(classes)]
    x = random.normal(size=(count, 5))
    x[:, 0] += y
    x[:, 1] -= y
    x[:, 3:] = x[:, 3:] > 0
    return x.astype(np.float32), y


def fitted(params: dict[str, Any], *, seed: int = 3, watch: Watch | None = None) -> SklearnClassifier:
    """A classifier of four classes, of which the second has no rows."""
    x, y = rows_of()
    model = SklearnClassifier(params)
    model.fit(x, y, n_classes=4, seed=seed, watch=watch or SilentWatch())
    return model


def named(path: str, **params: Any) -> dict[str, Any]:
    """Parameters that name a class."""
    return {"class": path, **params}


HIST = named("sklearn.ensemble.HistGradientBoostingClassifier", max_iter=5)
FOREST = named("sklearn.ensemble.RandomForestClassifier", n_estimators=8)
LIGHTGBM = named("lightgbm.LGBMClassifier", n_estimators=6, min_child_samples=3)
XGBOOST = named("xgboost.XGBClassifier", n_estimators=6)
THREE_STEPS: dict[str, Any] = {
    "steps": [
        "sklearn.preprocessing.StandardScaler",
        {"class": "sklearn.decomposition.PCA", "n_components": 4},
        {"class": "sklearn.linear_model.LogisticRegression"},
    ]
}
FIVE: dict[str, dict[str, Any]] = {
    "hist": HIST,
    "forest": FOREST,
    "lightgbm": LIGHTGBM,
    "xgboost": XGBOOST,
    "three_steps": THREE_STEPS,
}
"""Those that are promised to work by name."""
