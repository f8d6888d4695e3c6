"""Whether estimator and encoder of a configuration can learn what the rest of it says; asked before anything
is fitted."""

from __future__ import annotations

from collections.abc import Iterable

from configs.schema import ChallengerConfig, UseCase
from configs.schema.features import STANDARD
from features.encoders.own import encoder_problem, learned_as
from features.other_packages import FOREIGN, raised
from models.errors import EstimatorUnavailable, ModelError, NotConfigurable
from models.estimators.catalogue import kinds_of, make_estimator
from models.estimators.contract import Estimator, can_update
from models.versions.fit_checks import encoding_problem


def ensure_learnable(use_cases: Iterable[UseCase]) -> None:
    """Refuse the first whose estimator or encoder is unknown, takes other parameters, or does not suit it.

    Raises:
        NotConfigurable: naming use case, key, what came and what is allowed.
    """
    for use_case in use_cases:
        if (problem := model_problem(use_case)) is not None:
            raise NotConfigurable(use_case.name, problem)


def model_problem(use_case: UseCase) -> str | None:
    """Why estimator or encoder of a use case, or of a challenger, cannot work; None: they can."""
    for challenger in use_case.training.challengers:
        chosen = use_case.for_challenger(challenger)
        problem = encoder_problem(chosen)
        if problem is None:
            try:
                problem = _problem(chosen, challenger)
            except ModelError as error:
                problem = str(error)
            except FOREIGN as error:
                name = chosen.model.estimator
                problem = f"model.estimator: {name} {raised(error)} where it is asked what it can learn"
        if problem is not None:
            own = chosen.model != use_case.model or chosen.features != use_case.features
            return f"training.challengers: '{challenger.name}': {problem}" if own else problem
    return None


def _problem(use_case: UseCase, challenger: ChallengerConfig) -> str | None:
    """Why a challenger cannot be made by a configuration, which is its own already."""
    task, model, kind = use_case.target.task, use_case.model, learned_as(use_case)
    estimator = make_estimator(model.estimator, {**model.params, **challenger.params})
    kinds = kinds_of(model.estimator, estimator)
    if kind not in kinds:
        got = kind if use_case.features.encoder == STANDARD else f"rows of kind {kind} by features.encoder"
        return f"model.estimator {model.estimator} learns from kind {' or '.join(kinds)}, got {got}"
    if task == "multilabel" and not getattr(estimator, "multilabel", False):
        return f"model.estimator {model.estimator} gives one label a row, got task multilabel"
    if (reason := refusal_of(estimator, kind, task)) is not None:
        return f"model.params: {reason}"
    if model.estimator == "sklearn":
        from models.laws.trial import trial_problem  # it imports scikit-learn

        if (reason := trial_problem({**model.params, **challenger.params}, kind, task)) is not None:
            return f"model.params: {reason}"
    if (reason := encoding_problem(use_case, estimator)) is not None:
        return reason
    if challenger.fit == "warm" and not can_update(estimator):
        return (
            f"training.challengers: '{challenger.name}' has fit warm, and this "
            f"{model.estimator} cannot go on from production; use fit full"
        )
    return None


def refusal_of(estimator: Estimator, kind: str, task: str) -> str | None:
    """Why it cannot learn such rows, in its own words; None: it can, or has nothing to say of that.

    Raises:
        EstimatorUnavailable: what it says is no sentence.
    """
    refusal = getattr(estimator, "refusal", None)
    reason = None if refusal is None else refusal(kind, task)
    if reason is not None and not (isinstance(reason, str) and reason.strip()):
        raise EstimatorUnavailable(
            estimator.name, f"its refusal(kind, task) gives {reason!r:.60}; allowed: a sentence, or None"
        )
    return reason
