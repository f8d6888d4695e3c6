"""Does a gain rest on what one source says? Asked of the held-out rows of all the others.

A source that flips labels where nobody else labels contradicts nobody, and among the held-out rows its rows
are as good as any. But a challenger that learned them gains on them alone, and loses on those of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from models.gate.answers import JudgedAnswers
from models.gate.comparison import compare
from models.gate.decision import Gain, GateDecision, weigh
from store.feedback.sources import has_name, root_of

Mask = NDArray[np.bool_]
FEWEST_TOLD = 50
"""Rows of a source and of the others, before it is told that production agrees with it less often."""
CHANCE = 0.001
"""That a source stands apart, and chance alone did it."""
MOST_SOURCES = 20
"""Those with the most held-out rows are looked at."""


@dataclass(frozen=True)
class JudgedSources:
    """Whose labels n held-out rows have."""

    names: Sequence[str]
    """Of each row; `key/name` where a key names sources of its own."""
    trusted: Collection[str] = ()
    """Sources that a person lets count, whatever the rules say."""
    learned: Mapping[str, int] = field(default_factory=dict)
    """Labels of each source that there were when production learned."""

    def take(self, places: NDArray[np.intp]) -> JudgedSources:
        """The same for some of the rows."""
        return replace(self, names=[self.names[place] for place in places.tolist()])

    def rows_of_each(self, weights: NDArray[np.float64] | None = None) -> dict[str, Mask]:
        """The rows of each source, and of each key or door with several, the most first; trusted ones not.

        Args:
            weights: what each row counts for in that order, shape (n,); None: all count alike.
        """
        counts = np.ones(len(self.names)) if weights is None else weights
        names = np.array(self.names, dtype=object)
        roots = np.array([name.partition("/")[0] for name in self.names], dtype=object)
        rows = {str(name): names == name for name in np.unique(names)}
        rows |= {str(root): roots == root for root in np.unique(roots)}
        trusted = set(self.trusted)
        ranked = sorted(rows.items(), key=lambda pair: (-float(counts[pair[1]].sum()), pair[0]))
        kept = [(name, mask) for name, mask in ranked if not {name, name.partition("/")[0]} & trusted]
        return dict(kept[:MOST_SOURCES])

    def is_stranger(self, name: str) -> bool:
        """Whether production learned mostly from others that have names."""
        others = {one: rows for one, rows in self.learned.items() if name not in (one, root_of(one))}
        named = sum(rows for one, rows in others.items() if has_name(one))
        return 2 * named > sum(self.learned.values())


def without_one_source(
    use_case: UseCase,
    decision: GateDecision,
    challenger: str,
    answers: JudgedAnswers,
    sources: JudgedSources,
    *,
    only: Collection[str] | None = None,
    row_weights: NDArray[np.float64] | None = None,
) -> GateDecision:
    """The decision, or where it rests on what one source says, one that promotes nothing.

    It does where the gain turns into a loss once the source is left out; where it is not proven without a
    source with a name whose labels production gives far less often than those of the others; and where
    nobody else can be asked, though production learned mostly from others with names.

    Args:
        decision: to promote it over production.
        challenger: its name among the answers.
        only: the sources that are looked at; None: all.
        row_weights: what each row counts for, shape (n,); default 1.
    """
    most_loss = use_case.labels.most_loss
    if most_loss is None:
        return decision
    agrees = _agreement(answers)
    for name, rows in sources.rows_of_each().items():
        others = ~rows
        if only is not None and name not in only:
            continue
        if int(others.sum()) < use_case.labels.min_judged:
            if sources.is_stranger(name):
                return _rests_on(use_case, decision, name, "most of what production learned is of others")
            continue
        weights = None if row_weights is None else row_weights[others]
        gain = _gain_on(use_case, _of_rows(answers, others, challenger), challenger, weights)
        if gain is None:
            continue
        told = f"without the {int(rows.sum())} rows of source '{name}' {gain.shown}"
        if gain.gain < -most_loss:
            return _rests_on(use_case, decision, name, told)
        is_proven = gain.interval.low > use_case.gate.min_gain
        if has_name(name) and not is_proven and stands_apart(use_case, agrees, rows):
            own, others_share = agrees[rows].mean(), agrees[others].mean()
            apart = f"production agrees with {own:.0%} of its labels and {others_share:.0%} of the others"
            return _rests_on(use_case, decision, name, f"{told}; {apart}")
    return decision


def lone_sources(use_case: UseCase, sources: JudgedSources) -> tuple[str, ...]:
    """Sources besides which too few rows are left to be asked."""
    least = use_case.labels.min_judged
    return tuple(name for name, rows in sources.rows_of_each().items() if int((~rows).sum()) < least)


def stands_apart(use_case: UseCase, agrees: Mask, rows: Mask) -> bool:
    """Whether production agrees with a source far less often than with the others, too far for chance.

    Fisher's exact test, one-sided; far is `labels.disagrees`.

    Args:
        agrees: which of n labels production gives as well.
        rows: those of the source.
    """
    from scipy.stats import fisher_exact  # slow, and most of what imports this needs it not

    disagrees, others = use_case.labels.disagrees, ~rows
    if disagrees is None or agrees[others].mean() - agrees[rows].mean() <= disagrees:
        return False
    counts = [[int((agrees & some).sum()), int((~agrees & some).sum())] for some in (rows, others)]
    return float(fisher_exact(counts, alternative="less").pvalue) < CHANCE


def without_carrying_source(
    use_case: UseCase, decision: GateDecision, sources: JudgedSources
) -> GateDecision:
    """The decision, or where the record rests on what one source says, one that promotes nothing."""
    record = decision.record
    if decision.outcome != "record_beats_production" or record is None or use_case.labels.most_loss is None:
        return decision
    trusted = set(sources.trusted)
    carrying = [name for name in record.carried_by if not {name, name.partition("/")[0]} & trusted]
    if not carrying:
        return decision
    told = f"without the rows of source '{carrying[0]}' the record tells of a loss"
    return _rests_on(use_case, decision, carrying[0], told)


def disagreeing_sources(use_case: UseCase, answers: JudgedAnswers, sources: JudgedSources) -> tuple[str, ...]:
    """Sources with whose labels production agrees far less often than with those of the others, told."""
    rules = use_case.labels
    if answers.production is None or rules.disagrees is None or use_case.target.task == "multilabel":
        return ()
    agrees = _agreement(answers)
    told = []
    for name, rows in sources.rows_of_each().items():
        counts = int(rows.sum()), int((~rows).sum())
        if min(counts) < max(rules.min_judged, FEWEST_TOLD):
            continue
        own, others = float(agrees[rows].mean()), float(agrees[~rows].mean())
        if others - own > rules.disagrees:
            told.append(
                f"production agrees with {own:.0%} of {counts[0]} held-out labels of source '{name}', and "
                f"with {others:.0%} of {counts[1]} of the others (labels.disagrees: {rules.disagrees:g}); "
                f"`ratchet sources hold {use_case.name} {name}` holds it back"
            )
    return tuple(told)


def _rests_on(use_case: UseCase, decision: GateDecision, name: str, why: str) -> GateDecision:
    reason = (
        f"what is gained rests on one source, '{name}'; once a person has looked, `ratchet sources release "
        f"{use_case.name} {name}`: {why}; {decision.reason}"
    )
    return replace(decision, verdict="hold_back", outcome="one_source", reason=reason)


def _gain_on(
    use_case: UseCase, answers: JudgedAnswers, challenger: str, row_weights: NDArray[np.float64] | None
) -> Gain | None:
    """How far the challenger is above production there; None where the metric is not defined."""
    compared, gate = compare(use_case, answers, row_weights), use_case.gate
    assert compared.production is not None
    return weigh(
        gate,
        compared.rows,
        compared.scores[challenger][gate.metric],
        compared.production[gate.metric],
        compared.differences.get(challenger),
        challengers=1,
        swaps=compared.swaps.get(challenger),
    )


def _agreement(answers: JudgedAnswers) -> Mask:
    """Which of the labels production gives as well."""
    assert answers.production is not None
    same = np.array(answers.production.labels, dtype=object) == np.array(answers.labels, dtype=object)
    return np.asarray(same, dtype=np.bool_)


def _of_rows(answers: JudgedAnswers, rows: Mask, challenger: str) -> JudgedAnswers:
    """What one challenger and production answered to some of the rows."""
    one = {challenger: answers.challengers[challenger]}
    return replace(answers, challengers=one).take(np.flatnonzero(rows))
