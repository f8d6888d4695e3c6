"""A fit on a few made rows, which shows what a class of scikit-learn says of its parameters only then."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.other_packages import FOREIGN, raised
from models.estimators.arrays import Features, Targets
from models.estimators.fit_watch import SilentWatch
from models.estimators.scikit.estimator import SklearnClassifier
from models.estimators.scikit.spelling import packages_named
from models.versions.fit_failures import told_as
from models.versions.probabilities import probabilities_problem

TRIED = {"sklearn", "imblearn", "lightgbm", "xgboost"}
"""Packages whose fits are short on few rows, and fetch nothing; classes of others are not tried."""
SHAPES = ((240, 40), (360, 60))
"""Rows and numbers of each trial. What depends on how many there are is said otherwise of the second."""
MOST_STEPS = 3
FAR = 1000.0


def trial_problem(params: Mapping[str, Any], kind: str, task: str) -> str | None:
    """What keeps a class from learning whatever rows there are, in its own words; None: nothing is known to.

    Args:
        params: of `model.estimator: sklearn`.
        kind: of the rows.
        task: what each row has.
    """
    if not packages_named(params) <= TRIED:
        return None
    said = {_said_of_trial(params, kind, task, *shape) for shape in SHAPES[:1]}
    if said != {None}:
        said |= {_said_of_trial(params, kind, task, *shape) for shape in SHAPES[1:]}
    return said.pop() if len(said) == 1 else None


def _said_of_trial(params: Mapping[str, Any], kind: str, task: str, rows: int, width: int) -> str | None:
    x, y, classes = _rows(kind, task, rows, width)
    one_class = task != "multilabel"
    estimator = SklearnClassifier(params)
    estimator.most_steps = MOST_STEPS
    name = told_as(estimator)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            estimator.fit(x, y, n_classes=classes, seed=1, watch=SilentWatch())
        except FOREIGN as error:
            return f"{name} {raised(error)} where it is to learn made rows"
        for asked, told in ((x, "made rows"), (_far(x[:1], kind), "a row far from all others")):
            try:
                answers = estimator.predict_proba(asked)
            except FOREIGN as error:
                return f"{name} {raised(error)} where it is to answer {told}"
            problem = probabilities_problem(answers, len(asked), classes, one_class=one_class)
            if problem is not None:
                return f"{name} gives no probabilities for {told}: {problem}"
    return None


def _rows(kind: str, task: str, rows: int, width: int) -> tuple[Features, Targets, int]:
    """Rows as the encoder of a kind gives them, targets of a task, and how many classes there are."""
    random = np.random.default_rng(0)
    classes = 2 if task == "binary" else 3
    y: Targets = np.arange(rows) % classes
    x: NDArray[Any]
    if kind == "text":
        places = np.argsort(random.random((rows, width)), axis=1)[:, : width // 4]
        places[:, 0] = y
        x = np.stack([places, random.uniform(0.1, 1, size=places.shape)], axis=1)
    elif kind == "image":
        x = random.uniform(0, 0.5, size=(rows, width // 4, 4, 1))
        x[np.arange(rows), y, 0, 0] += 0.5
    else:
        x = random.normal(size=(rows, width))
        x[np.arange(rows), y] += 2
    if task == "multilabel":
        y = np.eye(classes, dtype=np.int64)[y] | (random.random((rows, classes)) < 0.2)
    return x.astype(np.float32), y, classes


def _far(x: Features, kind: str) -> Features:
    """A row as no other is: of texts one without a term, of pictures a white one."""
    if kind == "text":
        return np.zeros_like(x)
    return np.ones_like(x) if kind == "image" else x + np.float32(FAR)
