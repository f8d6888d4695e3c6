"""Judge challengers and production on the same held-out rows, which none of them has learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from features.records import Columns
from models.bootstrap import resampled_differences
from models.decisions import GateDecision, judge
from models.errors import ModelError
from models.fitting import class_indices
from models.metrics import positive_index, score
from models.predictor import Predictor


@dataclass(frozen=True)
class Judgement:
    """What the gate found."""

    decisions: Mapping[str, GateDecision]
    """By name of the challenger."""
    scores: Mapping[str, Mapping[str, float]]
    """All metrics of each challenger on the judged rows."""
    production_scores: Mapping[str, float] | None
    rows: int


def judge_challengers(
    use_case: UseCase,
    columns: Columns,
    labels: Sequence[str],
    challengers: Mapping[str, Predictor],
    production: Predictor | None,
    *,
    production_error: str | None = None,
) -> Judgement:
    """Score every model on these rows and decide about each challenger.

    Models may know different classes (labels are learned from the rows they were given), so answers are
    laid out over all classes that any of them, or the rows, know.

    Args:
        production_error: why production cannot be asked; it then counts as failed, and `production` is None.
    """
    models = [*challengers.values(), *([] if production is None else [production])]
    classes = _all_classes(models, labels)
    truth = class_indices(labels, classes)
    answers = {name: _answers(model, columns, classes) for name, model in challengers.items()}
    incumbent: NDArray[np.float32] | None = None
    if production is not None:
        try:
            incumbent = _answers(production, columns, classes)
        except ModelError as error:
            production_error = str(error)
    gate, task = use_case.gate, use_case.target.task
    positive = models[0].manifest.positive
    scores = {name: score(task, truth, given, classes, positive) for name, given in answers.items()}
    had = None if incumbent is None else score(task, truth, incumbent, classes, positive)
    decisions = {
        name: judge(
            gate,
            rows=len(truth),
            challenger=scores[name][gate.metric],
            production=None if had is None else had[gate.metric],
            differences=None
            if incumbent is None
            else resampled_differences(
                gate.metric,
                truth,
                given,
                incumbent,
                resamples=gate.resamples,
                seed=use_case.training.seed,
                positive=positive_index(classes, positive),
            ),
            challengers=len(challengers),
            production_error=production_error,
        )
        for name, given in answers.items()
    }
    return Judgement(decisions, scores, had, len(truth))


def _all_classes(models: Sequence[Predictor], labels: Sequence[str]) -> list[str]:
    """Classes in the order of the first model, then those that only others or the rows know."""
    known: dict[str, None] = {}
    for source in (*(model.classes for model in models), sorted(set(labels))):
        known |= dict.fromkeys(source)
    return list(known)


def _answers(model: Predictor, columns: Columns, classes: Sequence[str]) -> NDArray[np.float32]:
    given = model.predict(columns).probabilities
    laid_out = np.zeros((len(given), len(classes)), dtype=np.float32)
    laid_out[:, [classes.index(label) for label in model.classes]] = given
    return laid_out
