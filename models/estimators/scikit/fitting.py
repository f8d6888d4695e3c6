"""Fits by scikit-learn's interface: seed and cores, weights of labels, and probabilities for what has only
scores."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.estimators.arrays import Targets
from models.provenance.surroundings import usable_cores

STEPS = ("n_estimators", "max_iter", "n_iter", "num_iterations", "num_boost_round")
"""Parameters that say how long a fit goes on."""
FOLDS = 5
"""Parts of the training rows; scores of each, by a model of the others, show how they become
probabilities."""
MOST_NOTES, MOST_LETTERS = 3, 200


def prepare(model: Any, seed: int) -> None:
    """Give seed and cores to a classifier and all that it is made of, where they have them and none is
    configured."""
    given = model.get_params(deep=True)
    values: dict[str, Any] = {}
    for name, value in given.items():
        last = name.rpartition("__")[2]
        if last == "random_state" and value is None:
            values[name] = seed
        elif last == "n_jobs" and value is None and _shares_out(model, name):
            values[name] = usable_cores()
    model.set_params(**values)
    for part in parts_of(model):
        if type(part).__module__.startswith("lightgbm."):
            # Sums in one order whatever the cores, and nothing on the console.
            quiet = {"deterministic": True, "force_row_wise": True, "verbosity": -1}
            named = part.get_params(deep=False)
            part.set_params(**{name: value for name, value in quiet.items() if name not in named})


def hold_down(model: Any, most: int) -> None:
    """Let a classifier, and all that it is made of, take no more than a few steps in its fit, on one core."""
    for name, value in model.get_params(deep=True).items():
        last = name.rpartition("__")[2]
        counted = type(value) is int and value > most
        if last in STEPS and (counted or (value is None and last == "n_estimators")):
            model.set_params(**{name: most})
        elif last == "n_jobs":
            model.set_params(**{name: 1})


def answer_alone(model: Any) -> None:
    """Have a classifier answer on one thread: requests run side by side, and one may not occupy every
    core."""
    names = [name for name in model.get_params(deep=True) if name.rpartition("__")[2] == "n_jobs"]
    model.set_params(**dict.fromkeys(names, 1))
    for part in fitted_parts_of(model):
        if getattr(part, "n_jobs", 1) != 1:
            part.n_jobs = 1
        # What histogram boosting looks at numbers with beside categories: a function, which no file may hold.
        if type(part).__name__ == "FunctionTransformer" and isinstance(part.func, partial):
            part.func = None


def parts_of(model: Any) -> Iterator[Any]:
    """The classifier, and every object with parameters of its own that it is made of."""
    yield model
    for value in model.get_params(deep=True).values():
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield value


def fitted_parts_of(model: Any) -> Iterator[Any]:
    """What a fit has made of the parts: copies in attributes whose names end with an underscore, and in
    lists."""
    waiting, seen = [model], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, (list, tuple)):
            waiting += [one for one in part if hasattr(one, "__dict__") or isinstance(one, (list, tuple))]
        elif hasattr(part, "get_params") or type(part).__name__.startswith("_"):
            yield part
            waiting += [
                value
                for value in vars(part).values()
                if hasattr(value, "get_params") or isinstance(value, (list, tuple))
            ]


def tell_categories(model: Any, rows: Any, categories: Mapping[int, int]) -> dict[str, Any]:
    """Say which columns hold places of categories; gives what the fit is to be told besides.

    Histogram boosting takes as many categories as it has bins: columns of more are numbers to it.
    """
    if not categories:
        return {}
    for part in parts_of(model):
        name = type(part).__name__
        if name == "HistGradientBoostingClassifier" and part.categorical_features == "from_dtype":
            few = [place for place, count in categories.items() if count <= part.max_bins]
            part.set_params(categorical_features=few)
        elif name == "XGBClassifier":
            types = ["c" if place in categories else "q" for place in range(rows.shape[1])]
            part.set_params(enable_categorical=True, feature_types=types)
        elif name == "LGBMClassifier" and part is not model:
            part.set_params(categorical_feature=list(categories))
    return {"categorical_feature": list(categories)} if type(model).__name__ == "LGBMClassifier" else {}


def with_probabilities(model: Any, y: Targets) -> tuple[Any, tuple[str, ...]]:
    """The classifier, calibrated where it has scores only; and what there is to say of that.

    Scores become probabilities by a sigmoid for each class (Platt, 1999), fitted on scores of rows that the
    model which gave them had not learned; the model that answers learns all rows. Of a pipeline the last step
    is calibrated, so that a converter knows it; the whole where a step resamples, as scores of made-up rows
    say nothing of real ones.

    Args:
        model: one that has not learned.
        y: class numbers (n,), or zeros and ones (n, labels), each label of which is learned by itself.
    """
    if hasattr(model, "predict_proba") or not hasattr(model, "decision_function"):
        return model, ()
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import Pipeline

    smallest = _smallest_class(y)
    folds: Any = min(FOLDS, smallest)
    notes: tuple[str, ...] = ()
    if smallest < 2:
        everything = np.arange(len(y))
        folds = [(everything, everything)]
        notes = (
            "its scores were made probabilities by the rows that it has learned, as a class has one row "
            "only: they are surer than they should be",
        )

    def calibrated(scored: Any) -> Any:
        return CalibratedClassifierCV(scored, method="sigmoid", cv=folds, ensemble=False)

    if isinstance(model, Pipeline) and not any(hasattr(step, "fit_resample") for _, step in model.steps):
        *before, (name, last) = model.steps
        return Pipeline([*before, (name, calibrated(last))]), notes
    return calibrated(model), notes


def _smallest_class(y: Targets) -> int:
    """Rows of the smallest class; of label sets, rows that have, or lack, the rarest label that tells any
    apart."""
    if y.ndim == 1:
        return int(np.unique(y, return_counts=True)[1].min())
    have = y.sum(axis=0)
    counts = np.concatenate([have, len(y) - have])
    return int(counts[counts > 0].min(initial=FOLDS))


def for_label_sets(model: Any, y: Targets) -> tuple[Any, tuple[str, ...]]:
    """The classifier for zeros and ones (n, labels), and what there is to say of that.

    It is the classifier itself where it learns them, else a copy of it for each label.
    """
    from sklearn.utils import get_tags

    tags = get_tags(model)
    learns = tags.classifier_tags is not None and tags.classifier_tags.multi_label
    resamples = any(hasattr(part, "fit_resample") for part in parts_of(model))
    if learns and not resamples and hasattr(model, "predict_proba"):
        return model, ()
    from sklearn.multiclass import OneVsRestClassifier

    model, notes = with_probabilities(model, y)
    return OneVsRestClassifier(model), notes


def label_probabilities(model: Any, answers: Any) -> NDArray[np.float64]:
    """Probability of each label, shape (n, labels), in whichever of the two forms a classifier gives it."""
    if not isinstance(answers, list):
        return np.asarray(answers, dtype=np.float64)
    columns = [
        part[:, list(known).index(1)] if 1 in known else np.zeros(len(part))
        for part, known in zip(answers, model.classes_, strict=True)
    ]
    return np.stack(columns, axis=1)


@contextmanager
def noting(notes: list[str]) -> Iterator[None]:
    """Take what libraries warn of as notes; what they say of their own future is left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if not issubclass(warning.category, UserWarning) or len(notes) >= MOST_NOTES:
            continue
        sentence = " ".join(str(warning.message).split())[:MOST_LETTERS]
        if sentence not in notes:
            notes.append(sentence)


def without_samplers(model: Any) -> Any:
    """A fitted pipeline without the steps that only resample training rows, as answers pass them by."""
    from sklearn.pipeline import Pipeline

    if not isinstance(model, Pipeline) or not any(hasattr(step, "fit_resample") for _, step in model.steps):
        return model
    return Pipeline([(name, step) for name, step in model.steps if not hasattr(step, "fit_resample")])


def _shares_out(model: Any, name: str) -> bool:
    """Whether a part uses more cores than one; a linear one says that it does not, in a warning."""
    path = name.rpartition("__")[0]
    part = model.get_params(deep=True)[path] if path else model
    return not type(part).__module__.startswith("sklearn.linear_model._logistic")
