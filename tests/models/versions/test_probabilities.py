"""What a model answers must be probabilities: after a fit, when a version is loaded, when it is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.errors import NoProbabilities, ProbeError, TrainingError
from models.estimators.scikit.estimator import SklearnClassifier
from models.versions.fit_failures import ensure_answers
from models.versions.predictor import Predictor
from models.versions.probabilities import probabilities_problem
from tests.contract.cases import Case

FINE = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)
LIES: dict[str, tuple[Any, str]] = {
    "twice as much": (FINE * 2, "between 0 and 2"),
    "below nothing": (FINE - 0.5, "between -0.5 and 0.5"),
    "half as much": (FINE / 2, "sum to 0.5"),
    "nothing at all": (FINE * 0, "sum to 0"),
    "no numbers": (FINE * np.nan, "no numbers"),
    "one that is no number": (np.array([[0.25, 0.75], [1.0, np.nan]]), "no numbers"),
    "one class of two": (FINE[:, :1], r"shape \(2, 1\)"),
    "one row of two": (FINE[:1], r"shape \(1, 2\)"),
    "a number a row": (FINE[:, 0], r"shape \(2\)"),
    "a list": (FINE.tolist(), "of type list"),
    "nothing": (None, "of type NoneType"),
    "names": (np.array([["a", "b"], ["a", "b"]]), "<U1"),
    "whole numbers": (FINE.astype(int), "int64"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_probability_is_told_with_figures(lie: str) -> None:
    answers, told = LIES[lie]
    problem = probabilities_problem(answers, 2, 2, one_class=True)
    assert problem is not None
    assert re.search(told, problem), problem


def test_probabilities_pass_with_what_rounding_does() -> None:
    assert probabilities_problem(FINE, 2, 2, one_class=True) is None
    assert probabilities_problem(FINE * np.float32(1.0004), 2, 2, one_class=True) is None
    assert probabilities_problem(FINE[:0], 0, 2, one_class=True) is None


def test_those_of_several_labels_need_not_sum_to_one() -> None:
    assert probabilities_problem(np.array([[0.9, 0.9]]), 1, 2, one_class=False) is None
    assert probabilities_problem(np.array([[0.9, 1.9]]), 1, 2, one_class=False) is not None


class Twice(SklearnClassifier):
    """Answers twice of what it should."""

    def predict_proba(self, x: Any) -> Any:
        return np.full((len(x), 2), 1.0, np.float32)


class LyingAlone(SklearnClassifier):
    """Answers many rows well, and one by itself with what is no number."""

    def predict_proba(self, x: Any) -> Any:
        return np.full((len(x), 2), 0.5 if len(x) > 1 else np.nan, np.float32)


def test_notes_that_are_no_sentences_are_refused_after_the_fit() -> None:
    estimator = SklearnClassifier({"class": "sklearn.naive_bayes.GaussianNB"})
    estimator.notes = 5  # type: ignore[assignment]
    with pytest.raises(TrainingError, match="its notes are 5; allowed: a tuple of sentences"):
        ensure_answers(estimator, np.zeros((5, 3), np.float32), classes=2, one_class=True)


@pytest.mark.parametrize(
    ("kind", "told"),
    [(Twice, "sum to 2; allowed: 1"), (LyingAlone, "no numbers, asked about one row alone")],
)
def test_a_fit_is_refused_with_the_class_by_name(kind: Callable[..., Any], told: str) -> None:
    estimator = kind({"class": "sklearn.naive_bayes.GaussianNB"})
    with pytest.raises(TrainingError, match=told) as refused:
        ensure_answers(estimator, np.zeros((5, 3), np.float32), classes=2, one_class=True)
    assert str(refused.value).startswith("sklearn (sklearn.naive_bayes.GaussianNB) gives no probabilities: ")


def lying(case: Case, answer: Callable[[Any], Any]) -> Predictor:
    """A version of which something else answers than its own model."""
    honest = case.predictor
    run = honest._runner
    return Predictor(
        honest.manifest, honest.use_case, honest._encoder, lambda x: answer(run(x)), honest._probe
    )


def test_a_version_that_lies_is_refused_where_it_is_loaded_and_where_it_is_asked(trees: Case) -> None:
    version = lying(trees, lambda answers: answers * 2)
    with pytest.raises(ProbeError, match="catboost gives no probabilities: its answers lie between"):
        version.check_probe()
    with pytest.raises(NoProbabilities, match="allowed: probabilities, 0 to 1"):
        version.predict(trees.held_out)


@pytest.mark.parametrize("rows", [1, 40])  # few are looked at one by one, many as an array
@pytest.mark.parametrize(
    ("spoilt", "one_class", "words"),
    [
        (None, True, None),
        (float("nan"), True, "no numbers"),
        (float("nan"), False, "no numbers"),
        (float("inf"), False, "no numbers"),
        (float("-inf"), True, "no numbers"),
        (1.5, False, "between"),
        (-0.2, False, "between"),
        (0.9, True, "sum to"),
        (0.9, False, None),
    ],
)
def test_few_answers_are_judged_as_many_are(
    rows: int, spoilt: float | None, one_class: bool, words: str | None
) -> None:
    answers = np.full((rows, 4), 0.25, dtype=np.float32)
    if spoilt is not None:
        answers[-1, 2] = spoilt
    found = probabilities_problem(answers, rows, 4, one_class=one_class)
    assert found is None if words is None else found is not None and words in found
