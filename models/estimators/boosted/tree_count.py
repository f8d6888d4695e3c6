"""How many trees few rows are to be learned by: as many as are best for parts of them that are held back.

Of few rows many trees learn one table by heart and are only just enough for another, and how many rows there
are does not tell which it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingStopped
from models.estimators.arrays import Features, Targets
from models.estimators.fit_watch import Watch

LEAST_TREES, MOST_TREES = 50, 800
ENOUGH_ROWS = 1600
"""So many are learned by the most trees."""
FOLDS = 3
PATIENCE = 100
"""Trees without a gain after which a fold is given up."""
OF_ALL_ROWS = 1.2
"""All rows bear so many times the trees that two thirds of them do."""


def best_tree_count(
    x: Features,
    y: Targets,
    weights: NDArray[np.float64],
    settings: Mapping[str, Any],
    watch: Watch,
) -> int:
    """The median of what is best for each of three folds, for all rows.

    Args:
        x: shape (n, features).
        weights: of the rows, in the fit and in the loss of those that are held back, shape (n,).
        settings: of CatBoost, but for the number of trees.

    Raises:
        TrainingStopped: the watch says so.
    """
    import catboost
    from sklearn.model_selection import StratifiedKFold

    rows = np.flatnonzero(np.isin(y, np.flatnonzero(np.bincount(y) >= FOLDS)))
    if len(np.unique(y[rows])) < 2:
        return LEAST_TREES
    seed = int(settings["random_seed"])
    best = []
    for learned, held in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(rows, y[rows]):
        fit, judged = rows[learned], rows[held]
        if not np.ptp(x[fit], axis=0).any():
            return LEAST_TREES
        stop = _Stop(watch)
        model = catboost.CatBoostClassifier(
            **settings, iterations=MOST_TREES, od_type="Iter", od_wait=PATIENCE, use_best_model=True
        )
        held_back = catboost.Pool(x[judged], y[judged], weight=weights[judged])
        model.fit(x[fit], y[fit], sample_weight=weights[fit], eval_set=held_back, callbacks=[stop])
        if stop.asked:
            raise TrainingStopped
        best.append(model.tree_count_)
    return int(np.clip(OF_ALL_ROWS * np.median(best), LEAST_TREES, MOST_TREES))


class _Stop:
    """A CatBoost callback that ends a fit when the watch says so."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.asked = False

    def after_iteration(self, _info: Any) -> bool:
        self.asked = self._watch.should_stop()
        return not self.asked
