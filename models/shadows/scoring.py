"""Score a period: every shadow and production on the rows that came since any of them learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from configs.schema import TargetConfig
from models.shadows.periods import Contest, Moments, Period
from models.shadows.scores import Scores, row_scores
from models.versions.predictor import Answers

MOST_SOURCES = 20
"""Those with the most rows are kept apart."""


@dataclass(frozen=True)
class Shadow:
    """A challenger of an earlier retrain, with its answers to n rows."""

    recipe: str
    made: int
    """Number of the period at whose end it was made."""
    answers: Answers
    members: Mapping[str, Answers] = field(default_factory=dict)
    """Those of its members, where it is a blend."""
    version: int | None = None
    """Where it was registered."""


@dataclass(frozen=True)
class Serving:
    """Production, with its answers to the same rows."""

    version: int
    made: int | None
    """Number of the period at whose end it was made; None: before any was kept."""
    answers: Answers


def score_period(
    target: TargetConfig,
    end: Period,
    labels: Sequence[str],
    shadows: Sequence[Shadow],
    production: Serving | None,
    *,
    sources: Sequence[str] = (),
) -> Period:
    """What the models are worth on n rows, none of which they learned from.

    Args:
        end: number and last row of the period, and whether its labels prove anything.
        labels: of the rows.
        shadows: of any recipes and ages; of each recipe the newest is held against all others.
        production: None: it does not answer.
        sources: whose label each row has; nothing where there is one source only.
    """
    if not len(labels) or not shadows:
        return Period(end.number, end.last_seq, len(labels), doubt=end.doubt)
    scores = {id(one): row_scores(target, one.answers, labels) for one in shadows}
    served = None if production is None else row_scores(target, production.answers, labels)
    contests: list[Contest] = []
    members: dict[str, dict[str, float]] = {}
    for recipe in dict.fromkeys(one.recipe for one in shadows):
        of_recipe = sorted((one for one in shadows if one.recipe == recipe), key=lambda one: -one.made)
        newest = of_recipe[0]
        mine = scores[id(newest)]
        contests += [
            _contest(recipe, older.made, None, mine - scores[id(older)], sources) for older in of_recipe[1:]
        ]
        if production is not None and served is not None and newest.version != production.version:
            contests.append(_contest(recipe, production.made, production.version, mine - served, sources))
        members[recipe] = {
            name: float(row_scores(target, answers, labels).mean())
            for name, answers in newest.members.items()
        }
    return Period(end.number, end.last_seq, len(labels), tuple(contests), members, end.doubt)


def _contest(
    recipe: str, made: int | None, version: int | None, gains: Scores, sources: Sequence[str]
) -> Contest:
    names = np.array(sources, dtype=object)
    counted = np.unique(names.astype(str), return_counts=True) if len(names) else ((), ())
    ranked = sorted(zip(*counted, strict=True), key=lambda pair: (-int(pair[1]), str(pair[0])))
    apart = {str(name): Moments.of(gains[names == name]) for name, _ in ranked[:MOST_SOURCES]}
    return Contest(recipe, made, version, Moments.of(gains), apart if len(apart) > 1 else {})
