"""Models on the same rows: their scores, and how sure their differences are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from features.records.contract import Columns
from models.errors import ModelError
from models.estimators.arrays import Targets
from models.estimators.labelling import lay_out_thresholds, to_truth
from models.gate.bootstrap import resampled_differences
from models.gate.guesses import Guess, best_constant, deal
from models.gate.metrics import compute, positive_index, score
from models.versions.predictor import Predictor


@dataclass(frozen=True)
class Comparison:
    """How challengers and production do on the same rows."""

    scores: Mapping[str, Mapping[str, float]]
    """All metrics of each challenger."""
    production: Mapping[str, float] | None
    """Those of production; None: there is none, or it does not answer."""
    differences: Mapping[str, NDArray[np.float64]]
    """By challenger, resampled gains over production in the gate's metric; empty without production."""
    production_error: str | None
    """Why production does not answer, if so."""
    rows: int


@dataclass(frozen=True)
class _Given:
    """Answers of one model, over all classes."""

    probabilities: NDArray[np.float32]
    thresholds: NDArray[np.float32] | None


def compare(
    use_case: UseCase,
    columns: Columns,
    labels: Sequence[str],
    challengers: Mapping[str, Predictor],
    production: Predictor | None,
) -> Comparison:
    """Ask every model about every row.

    Models may know different classes (labels are learned from the rows they were given), so answers are
    laid out over all classes that any of them, or the rows, know. Of many labels a row, those that no model
    knows are left out: they would count against all alike.
    """
    models = [*challengers.values(), *([] if production is None else [production])]
    classes = _all_classes(use_case, models, labels)
    truth = to_truth(use_case.target, labels, classes)
    given = {name: _ask(model, columns, classes) for name, model in challengers.items()}
    incumbent, error = None, None
    if production is not None:
        try:
            incumbent = _ask(production, columns, classes)
        except ModelError as failure:
            error = str(failure)
    positive = models[0].manifest.positive

    def scored(one: _Given) -> dict[str, float]:
        return score(use_case.target.task, truth, one.probabilities, classes, positive, one.thresholds)

    resampled = _resampling(use_case, truth, positive_index(classes, positive))
    return Comparison(
        scores={name: scored(one) for name, one in given.items()},
        production=None if incumbent is None else scored(incumbent),
        differences={}
        if incumbent is None
        else {name: resampled(one, incumbent) for name, one in given.items()},
        production_error=error,
        rows=len(labels),
    )


def compare_with_guesses(
    use_case: UseCase,
    columns: Columns,
    labels: Sequence[str],
    challengers: Mapping[str, Predictor],
    training_labels: Sequence[str],
) -> dict[str, tuple[Guess, ...]]:
    """By challenger, what answers come to that know nothing of the record (`models.gate.guesses`).

    Args:
        training_labels: of which the best constant answer is made.
    """
    models = list(challengers.values())
    classes = _all_classes(use_case, models, [*labels, *training_labels])
    truth = to_truth(use_case.target, labels, classes)
    gate, place = use_case.gate, positive_index(classes, models[0].manifest.positive)
    constant = best_constant(
        gate.metric, to_truth(use_case.target, training_labels, classes), len(classes), place
    )
    majority = _Given(constant.given(len(labels)), constant.thresholds)
    resampled = _resampling(use_case, truth, place)
    weights = np.ones((1, len(labels)))

    def guess(name: str, given: _Given, other: _Given) -> Guess:
        value = compute(gate.metric, truth, other.probabilities, weights, place, other.thresholds)
        return Guess(name, float(value[0]), resampled(given, other))

    found: dict[str, tuple[Guess, ...]] = {}
    for name, model in challengers.items():
        given = _ask(model, columns, classes)
        dealt = _Given(deal(given.probabilities, use_case.training.seed), given.thresholds)
        found[name] = (
            guess("the majority class", given, majority),
            guess("its own answers dealt to other rows", given, dealt),
        )
    return found


def _resampling(
    use_case: UseCase, truth: Targets, positive: int
) -> Callable[[_Given, _Given], NDArray[np.float64]]:
    """Resamples what one model gains over another on the rows of this truth."""

    def resampled(one: _Given, other: _Given) -> NDArray[np.float64]:
        both = (one.thresholds, other.thresholds)
        return resampled_differences(
            use_case.gate.metric,
            truth,
            one.probabilities,
            other.probabilities,
            resamples=use_case.gate.resamples,
            seed=use_case.training.seed,
            positive=positive,
            thresholds=None if both[0] is None or both[1] is None else (both[0], both[1]),
        )

    return resampled


def _all_classes(use_case: UseCase, models: Sequence[Predictor], labels: Sequence[str]) -> list[str]:
    """Classes in the order of the first model, then those that only others or the rows know."""
    known: dict[str, None] = {}
    for model in models:
        known |= dict.fromkeys(model.classes)
    if use_case.target.task != "multilabel":
        known |= dict.fromkeys(sorted(set(labels)))
    return list(known)


def _ask(model: Predictor, columns: Columns, classes: Sequence[str]) -> _Given:
    for field in model.use_case.record.fields:
        if field.name not in columns:
            raise ModelError(f"it reads field '{field.name}', which the configuration no longer has")
    answers = model.predict(columns).probabilities
    laid_out = np.zeros((len(answers), len(classes)), dtype=np.float32)
    laid_out[:, [classes.index(label) for label in model.classes]] = answers
    many = model.manifest.task == "multilabel"
    return _Given(laid_out, lay_out_thresholds(model.manifest.thresholds, classes) if many else None)
