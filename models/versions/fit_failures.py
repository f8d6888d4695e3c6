"""What an estimator raises or answers when it cannot learn: one sentence that names it, no traceback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from features.errors import EncoderFailed, EncoderUnavailable
from features.other_packages import FOREIGN
from models.errors import EstimatorFailed, ModelError, TrainingError
from models.estimators.arrays import Features
from models.estimators.contract import Fitted
from models.estimators.fit_watch import RememberingWatch
from models.versions.probabilities import NO_NUMBERS, probabilities_problem

ANSWERED_ROWS = 256
"""Training rows that are answered after a fit, to see that it came to something."""
LEARN = "learn from these rows"
WRITE = "be written"


@contextmanager
def naming_estimator(name: str, doing: str, watch: RememberingWatch | None = None) -> Iterator[None]:
    """Say of whatever an estimator raises that it was this one's, in one sentence.

    What the watch raised, what the disk did, and what an encoder of another package says of itself is passed
    on: it says nothing of the estimator.

    Raises:
        EstimatorFailed: it gave up.
    """
    try:
        yield
    except (ModelError, EncoderFailed, EncoderUnavailable, OSError):
        raise
    except FOREIGN as error:
        if watch is not None and watch.raised is not None:
            raise watch.raised from error
        raise EstimatorFailed(name, doing, error) from error


def ensure_answers(estimator: Fitted, x: Features, *, classes: int, one_class: bool) -> None:
    """Refuse an estimator whose answers after its fit are no probabilities, of many rows or of one alone, and
    one whose notes are no sentences.

    Args:
        x: training rows (n, ...), of which the first are asked about.
        classes: how many it gives a probability of.
        one_class: each row has one class, so they sum to 1.

    Raises:
        TrainingError: naming the class, with figures; where its fit diverged, saying what to change.
    """
    notes: object = estimator.notes
    if not isinstance(notes, (tuple, list)) or not all(isinstance(one, str) for one in notes):
        raise TrainingError(
            f"{told_as(estimator)}: its notes are {notes!r:.60}; allowed: a tuple of sentences"
        )
    for rows in (x[:ANSWERED_ROWS], x[:1]):
        with naming_estimator(told_as(estimator), "answer its training rows"):
            answers = estimator.predict_proba(rows)
        problem = probabilities_problem(answers, len(rows), classes, one_class=one_class)
        if problem is None:
            continue
        if problem == NO_NUMBERS and len(rows) > 1:
            raise TrainingError(
                f"{told_as(estimator)} has diverged: {problem}; a smaller `learning_rate` may help"
            )
        alone = ", asked about one row alone" if len(rows) == 1 else ""
        raise TrainingError(f"{told_as(estimator)} gives no probabilities: {problem}{alone}")


def told_as(estimator: Fitted) -> str:
    """The name of an estimator; of one of another library, with the class that does the work."""
    params = getattr(estimator, "params", None)
    return named_with_class(estimator.name, params if isinstance(params, Mapping) else {})


def named_with_class(name: str, params: Mapping[str, Any]) -> str:
    """The same of an estimator that is not here, by its parameters.

    >>> named_with_class("sklearn", {"class": "sklearn.svm.SVC", "C": 2})
    'sklearn (sklearn.svm.SVC)'
    >>> named_with_class("catboost", {})
    'catboost'
    """
    steps = params.get("steps")
    if name != "sklearn":
        return name
    last = steps[-1] if isinstance(steps, (list, tuple)) and steps else params
    found = last.get("class") if isinstance(last, Mapping) else last
    return f"{name} ({found})" if isinstance(found, str) else name
