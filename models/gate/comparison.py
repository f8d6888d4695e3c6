"""Answers of models to the same rows: their scores, and how sure their differences are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from models.estimators.arrays import Targets
from models.estimators.labels_and_thresholds import threshold_array, to_truth
from models.gate.answers import JudgedAnswers
from models.gate.baselines import Baseline, best_constant, deal
from models.gate.bootstrap import Swaps, resampled_differences, resampled_scores, swap_answers
from models.metrics.catalogue import compute, positive_index, score
from models.versions.predictor import Answers

Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """How challengers and production do on the same rows."""

    scores: Mapping[str, Mapping[str, float]]
    """All metrics of each challenger."""
    production: Mapping[str, float] | None
    """Those of production; None: there is none, or it does not answer."""
    differences: Mapping[str, NDArray[np.float64]]
    """By challenger, resampled gains over production in the gate's metric; empty without production."""
    rows: int
    swaps: Mapping[str, Swaps]
    """By challenger, what comes of dealing its answers and production's anew, where few rows tell."""


@dataclass(frozen=True)
class _LaidOut:
    """Answers of one model to n rows, over all k classes."""

    probabilities: NDArray[np.float32]
    """Shape (n, k)."""
    thresholds: NDArray[np.float32] | None
    """Shape (k,), where a row may have many labels."""


def compare(
    use_case: UseCase, answers: JudgedAnswers, row_weights: NDArray[np.float64] | None = None
) -> Comparison:
    """Score every model, and resample the gains of challengers over production.

    Models may know different classes (labels are learned from the rows they were given), so answers are
    laid out over all classes that any of them, or the rows, know. Of many labels a row, those that no model
    knows are left out: they would count against all alike.

    Args:
        row_weights: what each row counts for, shape (n,); default 1.
    """
    classes = _all_classes(use_case, answers.classes, answers.labels)
    truth = to_truth(use_case.target, answers.labels, classes)
    challengers = {name: _lay_out(one, classes) for name, one in answers.challengers.items()}
    production = None if answers.production is None else _lay_out(answers.production, classes)

    def scored(one: _LaidOut) -> dict[str, float]:
        return score(
            use_case.target.task,
            truth,
            one.probabilities,
            classes,
            answers.positive,
            one.thresholds,
            row_weights,
        )

    test = _Test(use_case, truth, positive_index(classes, answers.positive), row_weights)
    pairs = {} if production is None else {name: (one, production) for name, one in challengers.items()}
    swaps = {name: test.swaps(*pair) for name, pair in pairs.items()}
    return Comparison(
        scores={name: scored(one) for name, one in challengers.items()},
        production=None if production is None else scored(production),
        differences={name: test.differences(*pair) for name, pair in pairs.items()},
        rows=len(answers.labels),
        swaps={name: one for name, one in swaps.items() if one is not None},
    )


def resample_scores(
    use_case: UseCase, answers: JudgedAnswers, row_weights: NDArray[np.float64] | None = None
) -> dict[str, NDArray[np.float64]]:
    """By challenger, resamples of its own score in the gate's metric.

    Args:
        row_weights: what each row counts for, shape (n,); default 1.
    """
    classes = _all_classes(use_case, answers.classes, answers.labels)
    truth = to_truth(use_case.target, answers.labels, classes)
    scores = {}
    for name, one in answers.challengers.items():
        laid_out = _lay_out(one, classes)
        scores[name] = resampled_scores(
            use_case.gate.metric,
            truth,
            laid_out.probabilities,
            resamples=use_case.gate.resamples,
            seed=use_case.training.seed,
            positive=positive_index(classes, answers.positive),
            thresholds=laid_out.thresholds,
            row_weights=row_weights,
        )
    return scores


def compare_with_baselines(
    use_case: UseCase,
    answers: JudgedAnswers,
    training_labels: Sequence[str],
    row_weights: NDArray[np.float64] | None = None,
) -> dict[str, tuple[Baseline, ...]]:
    """By challenger, what answers come to that know nothing of the record (`models.gate.baselines`).

    Args:
        training_labels: of which the best constant answer is made.
        row_weights: what each row counts for, shape (n,); default 1.
    """
    learned = [label for one in answers.challengers.values() for label in one.classes]
    classes = _all_classes(use_case, learned, [*answers.labels, *training_labels])
    truth = to_truth(use_case.target, answers.labels, classes)
    gate, place = use_case.gate, positive_index(classes, answers.positive)
    constant = best_constant(
        gate.metric, to_truth(use_case.target, training_labels, classes), len(classes), place
    )
    majority = _LaidOut(constant.repeated(len(answers.labels)), constant.thresholds)
    test = _Test(use_case, truth, place, row_weights)
    weights = np.ones((1, len(answers.labels))) if row_weights is None else row_weights[np.newaxis]

    def baseline(name: str, challenger: _LaidOut, other: _LaidOut) -> Baseline:
        value = compute(gate.metric, truth, other.probabilities, weights, place, other.thresholds)
        return Baseline(
            name, float(value[0]), test.differences(challenger, other), test.swaps(challenger, other)
        )

    baselines: dict[str, tuple[Baseline, ...]] = {}
    for name, one in answers.challengers.items():
        challenger = _lay_out(one, classes)
        dealt = _LaidOut(deal(challenger.probabilities, use_case.training.seed), challenger.thresholds)
        baselines[name] = (
            baseline("the majority class", challenger, majority),
            baseline("its own answers dealt to other rows", challenger, dealt),
        )
    return baselines


@dataclass(frozen=True)
class _Test:
    """Compares models on the rows of one truth."""

    use_case: UseCase
    truth: Targets
    positive: int
    row_weights: NDArray[np.float64] | None = None

    def differences(self, one: _LaidOut, other: _LaidOut) -> NDArray[np.float64]:
        """Resampled gains of the one over the other."""
        return resampled_differences(
            *self._models(one, other),
            resamples=self.use_case.gate.resamples,
            seed=self.use_case.training.seed,
            **self._how(one, other),
        )

    def swaps(self, one: _LaidOut, other: _LaidOut) -> Swaps | None:
        """What comes of dealing their answers anew, where few rows tell."""
        return swap_answers(*self._models(one, other), **self._how(one, other))

    def _models(self, one: _LaidOut, other: _LaidOut) -> tuple[str, Targets, Floats32, Floats32]:
        return self.use_case.gate.metric, self.truth, one.probabilities, other.probabilities

    def _how(self, one: _LaidOut, other: _LaidOut) -> _How:
        both = (one.thresholds, other.thresholds)
        return {
            "positive": self.positive,
            "thresholds": None if both[0] is None or both[1] is None else (both[0], both[1]),
            "row_weights": self.row_weights,
        }


class _How(TypedDict):
    positive: int
    thresholds: tuple[Floats32, Floats32] | None
    row_weights: NDArray[np.float64] | None


def _all_classes(use_case: UseCase, learned: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Classes that models have learned, then those that only the rows know, which may have one label each."""
    only_rows = [] if use_case.target.task == "multilabel" else sorted(set(labels))
    return list(dict.fromkeys([*learned, *only_rows]))


def _lay_out(answers: Answers, classes: Sequence[str]) -> _LaidOut:
    """The same answers over all `classes`; one that the model does not know has probability 0."""
    probabilities = np.zeros((len(answers.probabilities), len(classes)), dtype=np.float32)
    probabilities[:, [classes.index(label) for label in answers.classes]] = answers.probabilities
    if answers.thresholds is None:
        return _LaidOut(probabilities, None)
    own = dict(zip(answers.classes, answers.thresholds.tolist(), strict=True))
    return _LaidOut(probabilities, threshold_array(own, classes))
