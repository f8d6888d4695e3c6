"""Whether the estimator of a configuration can learn what the rest of it says; asked before anything is
fitted."""

from __future__ import annotations

from collections.abc import Iterable

from configs.schema import UseCase
from models.errors import ModelError, NotConfigurable
from models.estimators.catalogue import ESTIMATORS, make_estimator
from models.estimators.contract import can_update
from models.versions.fit_checks import encoding_problem

NUMBERS = ("tabular", "mixed")
"""Kinds of which a class that names none learns: their rows are numbers, all of them."""


def ensure_learnable(use_cases: Iterable[UseCase]) -> None:
    """Refuse the first whose estimator is unknown, takes other parameters, or cannot learn from its rows.

    Raises:
        NotConfigurable: naming use case, key, what came and what is allowed.
    """
    for use_case in use_cases:
        if (problem := model_problem(use_case)) is not None:
            raise NotConfigurable(use_case.name, problem)


def model_problem(use_case: UseCase) -> str | None:
    """Why the estimator of a use case, or that of a challenger, cannot work; None: it can."""
    task = use_case.target.task
    try:
        for challenger in use_case.training.challengers:
            model = use_case.for_challenger(challenger).model
            estimator = make_estimator(model.estimator, {**model.params, **challenger.params})
            kinds = getattr(estimator, "kinds", NUMBERS if model.estimator not in ESTIMATORS else None)
            if kinds is not None and use_case.kind not in kinds:
                allowed = " or ".join(kinds)
                return f"model.estimator {model.estimator} learns from kind {allowed}, got {use_case.kind}"
            if task == "multilabel" and not getattr(estimator, "multilabel", False):
                return f"model.estimator {model.estimator} gives one label a row, got task multilabel"
            refusal = getattr(estimator, "refusal", None)
            if refusal is not None and (reason := refusal(use_case.kind, task)) is not None:
                return f"model.params: {reason}"
            if (reason := encoding_problem(use_case.for_challenger(challenger), estimator)) is not None:
                return reason
            if challenger.fit == "warm" and not can_update(estimator):
                return (
                    f"training.challengers: '{challenger.name}' has fit warm, and this "
                    f"{model.estimator} cannot go on from production; use fit full"
                )
    except ModelError as error:
        return str(error)
    return None
