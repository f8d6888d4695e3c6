"""Does a gain rest on what one source says? Asked of the held-out rows of all the others.

A source that flips labels where nobody else labels contradicts nobody, and among the held-out rows its rows
are as good as any. But a challenger that learned them gains on them alone, and loses on those of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from models.gate.answers import JudgedAnswers
from models.gate.comparison import compare
from models.gate.decision import GateDecision
from models.metrics.catalogue import rises
from models.versions.predictor import Answers

Mask = NDArray[np.bool_]
FEWEST_TOLD = 50
"""Rows of a source and of the others, before it is told that production agrees with it less often."""
MOST_SOURCES = 20
"""Those with the most held-out rows are looked at."""


@dataclass(frozen=True)
class JudgedSources:
    """Whose labels n held-out rows have."""

    names: Sequence[str]
    """Of each row; `key/name` where a key names sources of its own."""
    trusted: Collection[str] = ()
    """Sources that a person lets count, whatever the rules say."""

    def take(self, places: NDArray[np.intp]) -> JudgedSources:
        """The same for some of the rows."""
        return replace(self, names=[self.names[place] for place in places.tolist()])

    def rows_of_each(self) -> dict[str, Mask]:
        """The rows of each source, and of each key or door with several, the most first; trusted ones not."""
        names = np.array(self.names, dtype=object)
        roots = np.array([name.partition("/")[0] for name in self.names], dtype=object)
        rows = {str(name): names == name for name in np.unique(names)}
        rows |= {str(root): roots == root for root in np.unique(roots)}
        trusted = set(self.trusted)
        ranked = sorted(rows.items(), key=lambda pair: (-int(pair[1].sum()), pair[0]))
        kept = [(name, mask) for name, mask in ranked if not {name, name.partition("/")[0]} & trusted]
        return dict(kept[:MOST_SOURCES])


def without_one_source(
    use_case: UseCase, decision: GateDecision, challenger: str, answers: JudgedAnswers, sources: JudgedSources
) -> GateDecision:
    """The decision, or where a gain turns into a loss once one source is left out, one that promotes nothing.

    Args:
        decision: to promote it over production.
        challenger: its name among the answers.
    """
    rules, metric = use_case.labels, use_case.gate.metric
    if rules.most_loss is None:
        return decision
    for name, rows in sources.rows_of_each().items():
        others = ~rows
        if int(others.sum()) < rules.min_judged:
            continue
        compared = compare(use_case, _of_rows(answers, others, challenger))
        assert compared.production is not None
        mine, theirs = compared.scores[challenger][metric], compared.production[metric]
        gain = mine - theirs if rises(metric) else theirs - mine
        if gain < -rules.most_loss:
            reason = (
                f"what is gained rests on one source; once a person has looked, `ratchet sources release "
                f"{use_case.name} {name}`: without the {int(rows.sum())} rows of source '{name}' {metric} "
                f"{mine:.4f} against {theirs:.4f} on {compared.rows} rows, {gain:+.4f}; {decision.reason}"
            )
            return replace(decision, verdict="hold_back", outcome="one_source", reason=reason)
    return decision


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
    reason = (
        f"what is gained rests on one source; once a person has looked, `ratchet sources release "
        f"{use_case.name} {carrying[0]}`: without the rows of source '{carrying[0]}' the record tells of a "
        f"loss; {decision.reason}"
    )
    return replace(decision, verdict="hold_back", outcome="one_source", reason=reason)


def disagreeing_sources(use_case: UseCase, answers: JudgedAnswers, sources: JudgedSources) -> tuple[str, ...]:
    """Sources with whose labels production agrees far less often than with those of the others, told."""
    rules = use_case.labels
    if answers.production is None or rules.disagrees is None or use_case.target.task == "multilabel":
        return ()
    agrees = _top_labels(answers.production) == np.array(answers.labels, dtype=object)
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


def _top_labels(answers: Answers) -> NDArray[np.object_]:
    classes = np.array(answers.classes, dtype=object)
    top: NDArray[np.object_] = classes[answers.probabilities.argmax(axis=1)]
    return top


def _of_rows(answers: JudgedAnswers, rows: Mask, challenger: str) -> JudgedAnswers:
    """What one challenger and production answered to some of the rows."""
    one = {challenger: answers.challengers[challenger]}
    return replace(answers, challengers=one).take(np.flatnonzero(rows))
