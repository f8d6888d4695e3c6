"""Judge challengers and production on the same held-out rows, which none of them has learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from configs.schema import GateConfig, UseCase
from features.records.contract import Columns
from models.gate.checks import hold_back, judge, judge_without_production
from models.gate.comparison import Comparison, compare, compare_with_guesses
from models.gate.decision import GateDecision
from models.gate.forgetting import Forgetting, weigh_forgetting
from models.versions.predictor import Predictor
from store.snapshots.files import Frame


@dataclass(frozen=True)
class Judgement:
    """What the gate found."""

    decisions: Mapping[str, GateDecision]
    """By name of the challenger."""
    scores: Mapping[str, Mapping[str, float]]
    """All metrics of each challenger on the judged rows."""
    production_scores: Mapping[str, float] | None
    rows: int
    original: Comparison | None = None
    """The same on the rows that the original version was judged on."""

    @property
    def original_scores(self) -> dict[str, dict[str, float]]:
        """All metrics there of each challenger, and of `production`."""
        if self.original is None:
            return {}
        scores = {name: dict(one) for name, one in self.original.scores.items()}
        return {**scores, "production": dict(self.original.production or {})}


def judge_challengers(
    use_case: UseCase,
    columns: Columns,
    labels: Sequence[str],
    challengers: Mapping[str, Predictor],
    production: Predictor | None,
    *,
    production_error: str | None = None,
    production_gone: str | None = None,
    training_labels: Sequence[str] = (),
    original: Frame | None = None,
) -> Judgement:
    """Score every model on these rows and decide about each challenger.

    Args:
        production_error: why production cannot be asked; it then counts as failed, and `production` is None.
        production_gone: why production cannot be had at all, though it serves; nothing is promoted then.
        training_labels: of the rows that challengers learned from, for the majority class.
        original: rows that the original version was judged on, and that no model has learned from.
    """
    now = compare(use_case, columns, labels, challengers, production)
    before = None
    if original is not None and len(original) and now.production is not None:
        before = compare(use_case, original.columns, list(original.labels), challengers, production)
    decisions = _decide(use_case, now, before)
    scores = {name: one[use_case.gate.metric] for name, one in now.scores.items()}
    error = production_error or now.production_error
    if production_gone is not None:
        decisions = {
            name: hold_back(use_case.gate, rows=now.rows, challenger=one, reason=production_gone)
            for name, one in scores.items()
        }
    elif error is not None:
        guesses = compare_with_guesses(use_case, columns, labels, challengers, training_labels)
        decisions = {
            name: judge_without_production(
                use_case.gate, rows=now.rows, challenger=one, guesses=guesses[name], error=error,
                challengers=len(challengers),
            )
            for name, one in scores.items()
        }  # fmt: skip
    return Judgement(decisions, now.scores, now.production, now.rows, before)


def _decide(use_case: UseCase, now: Comparison, before: Comparison | None) -> dict[str, GateDecision]:
    """Against production, or as the first models."""
    gate = use_case.gate
    return {
        name: judge(
            gate,
            rows=now.rows,
            challenger=scores[gate.metric],
            production=None if now.production is None else now.production[gate.metric],
            differences=now.differences.get(name),
            challengers=len(now.scores),
            original=None if before is None else _forgetting(gate, before, name),
        )
        for name, scores in now.scores.items()
    }


def _forgetting(gate: GateConfig, before: Comparison, name: str) -> Forgetting | None:
    if before.production is None:
        return None
    return weigh_forgetting(
        gate,
        rows=before.rows,
        challenger=before.scores[name][gate.metric],
        production=before.production[gate.metric],
        differences=before.differences[name],
    )
