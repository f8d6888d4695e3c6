"""CatBoost's trees, grown on numbers: of one label a row, or of each label by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingStopped
from models.estimators.arrays import Features, Targets
from models.estimators.boosted.estimator import MAX_THREADS
from models.estimators.fit_watch import Watch
from models.provenance.surroundings import usable_cores

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Growth:
    """How many trees, and of what kind."""

    trees: int
    rate: float
    """Share of each tree's answer that counts."""
    depth: int
    penalty: float
    """On leaf values."""


class Steps:
    """Tells a watch of one fit that is made of several."""

    def __init__(self, watch: Watch, steps: int) -> None:
        self.watch, self._steps, self._done = watch, steps, 0

    def done_one(self, loss: float | None = None) -> None:
        """One more is done."""
        self._done += 1
        self.watch.epoch(self._done, self._steps, {} if loss is None else {"loss": loss})


def outputs_of(y: Targets, n_classes: int) -> tuple[NDArray[np.int64], Weights]:
    """The classes or labels that trees can tell of, and the probability of each of the others.

    A class without rows has probability 0; a label that all rows have, or none, its share of the rows.
    """
    always = np.zeros(n_classes, dtype=np.float32)
    if y.ndim == 1:
        return np.unique(y).astype(np.int64), always
    varies = y.min(axis=0) != y.max(axis=0)
    always[~varies] = y[0][~varies]
    return np.flatnonzero(varies), always


def grow(
    x: Features,
    y: Targets,
    outputs: NDArray[np.int64],
    weights: Weights,
    growth: Growth,
    seed: int,
    steps: Steps,
) -> Any:
    """A CatBoost model of n rows of numbers; None where no label varies.

    Args:
        x: shape (n, numbers).
        y: class indices (n,), or zeros and ones (n, labels).
        outputs: as `outputs_of` gives them.
        weights: of each row.
        growth: how many trees, and of what kind.
        seed: of CatBoost's draws.
        steps: told of each tree.

    Raises:
        TrainingStopped: the watch asked for it.
    """
    if not len(outputs):
        return None
    return _train(x, y if y.ndim == 1 else y[:, outputs], weights, growth, seed, steps)


def _train(x: Features, y: Targets, weights: Weights, growth: Growth, seed: int, steps: Steps) -> Any:
    import catboost

    loss = "MultiClass" if y.ndim == 1 else "MultiLogloss"
    told = _TellSteps(steps, loss)
    model = catboost.CatBoostClassifier(
        loss_function=loss,
        iterations=growth.trees,
        learning_rate=growth.rate,
        depth=growth.depth,
        l2_leaf_reg=growth.penalty,
        random_seed=seed,
        thread_count=min(usable_cores(), MAX_THREADS),
        allow_writing_files=False,
        verbose=False,
    )
    model.fit(x, y, sample_weight=weights, callbacks=[told])
    if told.raised is not None:
        raise told.raised
    return model


class _TellSteps:
    """A CatBoost callback that passes on to a watch, and keeps what it raises.

    CatBoost would make a CatBoostError of it.
    """

    def __init__(self, steps: Steps, loss: str) -> None:
        self._steps, self._loss = steps, loss
        self.raised: Exception | None = None

    def after_iteration(self, info: Any) -> bool:
        try:
            self._steps.done_one(float(info.metrics["learn"][self._loss][-1]))
            if self._steps.watch.should_stop():
                raise TrainingStopped
        except Exception as error:  # noqa: BLE001
            self.raised = error
        return self.raised is None
