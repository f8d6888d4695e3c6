"""What a run made, in words: who learned it, how good it is on how many rows, and what serves now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from configs.schema import ChallengerConfig, ModelConfig, UseCase
from flows.cli.terminal.words import many
from flows.retrain.training.plain import PLAIN, plain_model
from store.splits.sizes import holdout_now


def estimator_words(model: ModelConfig) -> str:
    """What learns, by the name that people know it by.

    >>> estimator_words(ModelConfig(estimator="sklearn", params={"class": "lightgbm.LGBMClassifier"}))
    'LGBMClassifier'
    >>> estimator_words(ModelConfig(estimator="catboost"))
    'catboost'
    """
    path = model.params.get("class") if model.estimator == "sklearn" else None
    return path.rpartition(".")[2] if isinstance(path, str) else model.estimator


def maker_words(use_case: UseCase, name: str) -> str:
    """Who makes the model of a challenger: the estimator, and how many of its models are blended."""
    made = _challenger(use_case, name)
    if made is None:
        return "as configured before"
    model = estimator_words(made.model or use_case.model)
    if name == PLAIN:
        return f"a plain model ({model})"
    return f"{model}, up to {len(made.members)} models blended" if made.members else model


def challenger_words(use_case: UseCase, name: str) -> str:
    """The same, with what the challenger is called."""
    made = maker_words(use_case, name)
    return made if name == PLAIN else f"{made} (challenger '{name}')"


def serving_line(use_case: UseCase, result: Mapping[str, Any]) -> str:
    """What serves after a run that promoted, and how good it is.

    Args:
        result: of `flows.retrain.outcome.RetrainResult`.
    """
    name, metric = str(result["challenger"]), use_case.gate.metric
    score = (result["scores"].get(name) or {}).get(metric)
    told = (
        "" if score is None else f", {metric} {score:.3f} on {many(result['holdout_rows'], 'held-out row')}"
    )
    line = f"version {result['version']} serves: {challenger_words(use_case, name)}{told}"
    others = {one: scores for one, scores in result["scores"].items() if one != name}
    if name == PLAIN:
        beaten = "; ".join(
            f"{challenger_words(use_case, one)} {_score(others[one], metric)}" for one in others
        )
        reason = "as it is surely better" if beaten else "as nothing else could be judged"
        return f"{line}, {reason}{f': {beaten}' if beaten else ''} (`training.baseline`)"
    plain = others.get(PLAIN)
    if plain is None:
        return line
    standing = result.get("plain") or {}
    chance = "and chance does not explain it" if standing.get("proven") else "though chance may explain it"
    better = f", which is better, {chance}" if standing.get("better") else ""
    return f"{line}; a plain model has {_score(plain, metric)}{better}"


def judged_words(use_case: UseCase, rows: int, *, has_production: bool) -> str:
    """How many rows were judged on, and why so many: a share of what is new is little where little is new."""
    holdout = holdout_now(use_case, has_production=has_production)
    share, bounds = f"{holdout.fraction:.0%}", f"{holdout.min_rows} at least, {holdout.max_rows:,} at most"
    if holdout.by == "hash":
        return f"{rows} (of the {share} of all that are never learned from, what is new; {bounds})"
    return f"{rows} ({share} of {'those that came since production' if has_production else 'all'}; {bounds})"


def _challenger(use_case: UseCase, name: str) -> ChallengerConfig | None:
    """As it is configured; None: what is configured has changed since."""
    named = {one.name: one for one in use_case.training.challengers}
    return named.get(name) or (plain_model(use_case) if name == PLAIN else None)


def _score(scores: Mapping[str, float], metric: str) -> str:
    return f"{scores[metric]:.3f}" if metric in scores else "no score"
