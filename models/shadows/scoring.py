"""Score a period: every shadow and production on the rows that came since any of them learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from configs.schema import TargetConfig
from models.shadows.periods import Contest, Moments, Period
from models.shadows.scores import Scores, classes_of_both, row_rights, row_scores
from models.versions.predictor import Answers

MOST_ROWS = 5000
"""Of a period so many are asked about, drawn by chance where there are more."""
MOST_SOURCES = 20
"""Those with the most rows are kept apart; of keys that name sources of their own the key as well."""


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
    made_by: str | None = None
    """Digest of how it was made (`models.shadows.recipes`); None: nobody knows."""


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
    metric: str = "",
    sources: Sequence[str] = (),
) -> Period:
    """What the models are worth on n rows, none of which they learned from.

    Args:
        end: number and last row of the period, and whether its labels prove anything.
        labels: of the rows.
        shadows: of any recipes and ages; of each recipe the newest is held against all others.
        production: None: it does not answer.
        metric: that the gate judges by (`models.shadows.scores.row_rights`).
        sources: whose label each row has, `key/name` where a key names sources of its own.
    """
    if not len(labels) or not shadows:
        return Period(end.number, end.last_seq, len(labels), doubt=end.doubt)

    def contest(made: int | None, version: int | None, newest: Shadow, other: Answers) -> Contest:
        classes = classes_of_both(newest.answers, other)
        mine, theirs = (_Scored.of(target, metric, one, labels, classes) for one in (newest.answers, other))
        return mine.contest(newest.recipe, made, version, theirs, sources)

    contests: list[Contest] = []
    members: dict[str, dict[str, float]] = {}
    made_by: dict[str, str] = {}
    for recipe in dict.fromkeys(one.recipe for one in shadows):
        of_recipe = sorted((one for one in shadows if one.recipe == recipe), key=lambda one: -one.made)
        newest = of_recipe[0]
        if newest.made_by is not None:
            made_by[recipe] = newest.made_by
        contests += [
            contest(older.made, None, newest, older.answers)
            for older in of_recipe[1:]
            if older.made_by == newest.made_by
        ]
        if production is not None and newest.version != production.version:
            contests.append(contest(production.made, production.version, newest, production.answers))
        members[recipe] = {
            name: float(row_scores(target, answers, labels).mean())
            for name, answers in newest.members.items()
        }
    return Period(end.number, end.last_seq, len(labels), tuple(contests), members, end.doubt, made_by)


@dataclass(frozen=True)
class _Scored:
    """What a model's answers to n rows are worth, row by row."""

    scores: Scores
    rights: Scores | None

    @classmethod
    def of(
        cls,
        target: TargetConfig,
        metric: str,
        answers: Answers,
        labels: Sequence[str],
        classes: Sequence[str],
    ) -> _Scored:
        """What one model answered, where it is asked for these classes."""
        return cls(
            row_scores(target, answers, labels, classes),
            row_rights(metric, target, answers, labels, classes),
        )

    def contest(
        self, recipe: str, made: int | None, version: int | None, other: _Scored, sources: Sequence[str]
    ) -> Contest:
        """It against an older model."""
        gains = self.scores - other.scores
        contest = Contest(recipe, made, version, Moments.of(gains), _by_source(gains, sources))
        if self.rights is None or other.rights is None:
            return contest
        right = self.rights - other.rights
        return replace(contest, right=Moments.of(right), right_by_source=_by_source(right, sources))


def _by_source(gains: Scores, sources: Sequence[str]) -> dict[str, Moments]:
    """Of the rows of each source, and of each key or door with several."""
    names = np.array(sources, dtype=object)
    keys = np.array([name.partition("/")[0] for name in sources], dtype=object)
    rows = {str(name): names == name for name in dict.fromkeys(sources)}
    rows |= {str(key): keys == key for key in dict.fromkeys(keys.tolist())}
    ranked = sorted(rows.items(), key=lambda pair: (-int(pair[1].sum()), pair[0]))
    return {name: Moments.of(gains[mask]) for name, mask in ranked[:MOST_SOURCES]}
