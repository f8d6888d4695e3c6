"""Which challengers a run makes: those configured, or those that it was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from configs.pretrained.text_models import link_problem
from configs.run_options import RunOptions
from configs.schema import ChallengerConfig, ModelConfig, UseCase
from flows.retrain.production import Production
from flows.retrain.training.plain import PLAIN, plain_challenger
from models.errors import ModelError
from models.estimators.catalogue import make_estimator
from models.estimators.contract import can_update

WARM = "warm"
EPOCHS = {"full": "epochs", "warm": "update_epochs"}
"""Parameter that counts the epochs of a fit."""


@dataclass(frozen=True)
class Plan:
    """The challengers of a run, by what each is made for."""

    candidates: tuple[ChallengerConfig, ...]
    """They compete for production's place."""
    plain: ChallengerConfig | None
    """Stands beside them, and in nobody's place; None: none does."""
    links: tuple[ChallengerConfig, ...]
    """Of the chain."""

    @property
    def all(self) -> tuple[ChallengerConfig, ...]:
        """In the order in which they are made."""
        return (*self.candidates, *(() if self.plain is None else (self.plain,)), *self.links)


def plan_run(use_case: UseCase, kind: str, options: RunOptions, production: Production) -> Plan:
    """What a run of this kind makes."""
    candidates = planned_challengers(use_case, kind, options, production=_estimator_of(use_case, production))
    plain = None if kind == "train" else plain_challenger(use_case, first=production.artifact is None)
    return Plan(candidates, plain, planned_links(use_case, kind, options))


def planned_challengers(
    use_case: UseCase, kind: str, options: RunOptions, *, production: ModelConfig | None
) -> tuple[ChallengerConfig, ...]:
    """The challengers of a run that compete for production's place.

    A `train` run continues from production, by the challengers with `fit: warm` or, where none is
    configured, by one made of `training.warm`. Where nothing can be continued (no production yet, or one
    whose estimator has no update) it learns from all labels, as a retrain does.

    Args:
        production: its estimator, with its parameters; None: there is none.
    """
    configured = use_case.candidates
    full = tuple(one for one in configured if one.fit == "full")
    if kind == "train" and production and not options.from_scratch and _can_update(production):
        own = ChallengerConfig(name=WARM, fit="warm", params=use_case.training.warm)
        chosen = tuple(one for one in configured if one.fit == "warm") or (own,)
    elif kind == "train" or options.from_scratch:
        chosen = full
    else:
        chosen = configured
    return tuple(_with_epochs(one, options.epochs) if _is_by(use_case, one) else one for one in chosen)


def planned_links(use_case: UseCase, kind: str, options: RunOptions) -> tuple[ChallengerConfig, ...]:
    """Those for links of the chain that can be made here; a `train` run, which is to be quick, makes none."""
    if kind == "train":
        return ()
    return tuple(
        _with_epochs(one, options.epochs) if _is_by(use_case, one) else one
        for one in use_case.link_challengers
        if link_problem(use_case, one) is None
    )


def _estimator_of(use_case: UseCase, production: Production) -> ModelConfig | None:
    """By which production was made, for a warm start; one that does not load counts as the configured one."""
    if production.artifact is None:
        return None
    loaded = production.predictor
    if loaded is None:
        return use_case.model
    made = loaded.manifest
    if made.challenger == PLAIN and made.estimator != use_case.model.estimator:
        return None  # nobody configured it, so nothing goes on from it
    return ModelConfig(estimator=made.estimator, params=made.params)


def _with_epochs(challenger: ChallengerConfig, epochs: int | None) -> ChallengerConfig:
    if epochs is None:
        return challenger
    params: Mapping[str, Any] = {**challenger.params, EPOCHS[challenger.fit]: epochs}
    return challenger.model_copy(update={"params": params})


def _is_by(use_case: UseCase, challenger: ChallengerConfig) -> bool:
    """Whether it is made by the use case's estimator: another may not learn in epochs."""
    return challenger.model is None or challenger.model.estimator == use_case.model.estimator


def _can_update(production: ModelConfig) -> bool:
    try:
        return can_update(make_estimator(production.estimator, production.params))
    except ModelError:  # what it was made with is not here any more
        return False
