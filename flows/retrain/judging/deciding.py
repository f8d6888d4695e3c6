"""Judge challengers and production on the same held-out rows, which none of them has learned from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Unpack

import numpy as np

from configs.schema import GateConfig, UseCase
from features.records.contract import Columns
from flows.retrain.judging.judgement import Circumstances, Judgement
from models.gate.answers import JudgedAnswers, ask_all
from models.gate.baselines import Baseline
from models.gate.checks import hold_to_limits, judge
from models.gate.comparison import Comparison, compare, compare_with_baselines
from models.gate.decision import Gain, GateDecision, GateOutcome, weigh
from models.gate.forgetting import Forgetting, weigh_forgetting
from models.gate.limits.calibration import weigh_calibration
from models.gate.limits.slices import find_slices, judge_slices
from models.gate.sources import (
    JudgedSources,
    disagreeing_sources,
    lone_sources,
    without_carrying_source,
    without_one_source,
)
from models.gate.uncompared import believe_nothing, hold_back, judge_without_production
from models.shadows.evidence import RecordGain
from models.versions.predictor import Predictor
from store.snapshots.frames import Frame


def judge_challengers(
    use_case: UseCase,
    columns: Columns,
    labels: Sequence[str],
    challengers: Mapping[str, Predictor],
    production: Predictor | None,
    *,
    original: Frame | None = None,
    **circumstances: Unpack[Circumstances],
) -> Judgement:
    """Ask every model about these rows, once, score the answers and decide about each challenger.

    Args:
        original: rows that the original version was judged on, and that no model has learned from.
    """
    answers = ask_all(columns, labels, challengers, production)
    circumstances["slices"] = find_slices(use_case, columns)
    before = None
    if original is not None and len(original) and answers.production is not None:
        before = ask_all(original.columns, list(original.labels), challengers, production)
    return judge_answers(use_case, answers, original=before, **circumstances)


def judge_answers(
    use_case: UseCase,
    answers: JudgedAnswers,
    *,
    original: JudgedAnswers | None = None,
    **circumstances: Unpack[Circumstances],
) -> Judgement:
    """Score the answers of every model and decide about each challenger.

    Args:
        original: answers to rows that the original version was judged on.
    """
    weights = circumstances.get("row_weights")
    compared = compare(use_case, answers, weights)
    before = None if original is None else compare(use_case, original)
    error = circumstances.get("production_error") or answers.production_error
    if (gone := circumstances.get("production_gone")) is not None:
        decisions = _hold_all_back(use_case.gate, compared, "production_gone", gone)
    elif (left_out := circumstances.get("labels_left_out")) is not None:
        decisions = _hold_all_back(use_case.gate, compared, "labels_left_out", left_out)
    elif (selected := circumstances.get("labels_selected")) is not None:
        decisions = _believe_nothing(use_case.gate, compared, selected)
    elif error is not None:
        learned = circumstances["training_labels"]() if "training_labels" in circumstances else ()
        baselines = compare_with_baselines(use_case, answers, learned, weights)
        decisions = _decide_without_production(use_case.gate, compared, baselines, error)
    else:
        newest = _newest(use_case, answers, circumstances)
        decisions = _decide(use_case.gate, compared, before, newest, circumstances)
    decisions = _with_records(decisions, circumstances.get("records", {}))
    decisions = {
        name: hold_to_limits(use_case.gate, _with_limits(use_case, one, name, answers, circumstances))
        for name, one in decisions.items()
    }
    sources = circumstances.get("sources")
    if sources is None or compared.production is None:
        return Judgement(decisions, answers, compared, before, row_weights=weights)
    decisions = {
        name: _without_sources(use_case, one, name, answers, sources, circumstances)
        if one.verdict == "promote"
        else one
        for name, one in decisions.items()
    }
    warnings = disagreeing_sources(use_case, answers, sources)
    return Judgement(decisions, answers, compared, before, warnings, weights)


def _without_sources(
    use_case: UseCase,
    decision: GateDecision,
    name: str,
    answers: JudgedAnswers,
    sources: JudgedSources,
    circumstances: Circumstances,
) -> GateDecision:
    """The decision to promote, unless it rests on one source.

    By record the newest rows are asked, and where these are of one source alone, all of them.
    """
    newest, weights = circumstances.get("newest"), circumstances.get("row_weights")
    only: Collection[str] | None = None
    if decision.outcome == "record_beats_production" and newest is not None:
        places = np.arange(max(0, len(answers.labels) - newest), len(answers.labels))
        recent = sources.take(places)
        lone = only = lone_sources(use_case, recent)
        decision = without_one_source(
            use_case,
            decision,
            name,
            answers.take(places),
            recent,
            only=set(recent.rows_of_each()) - set(lone),
            row_weights=None if weights is None else weights[places],
        )
    if decision.verdict == "promote":
        decision = without_one_source(
            use_case, decision, name, answers, sources, only=only, row_weights=weights
        )
    return without_carrying_source(use_case, decision, sources)


def _with_records(
    decisions: Mapping[str, GateDecision], records: Mapping[str, RecordGain]
) -> dict[str, GateDecision]:
    """What is known of the record is told, whatever decided."""
    return {name: replace(one, record=records.get(name)) for name, one in decisions.items()}


def _with_limits(
    use_case: UseCase, decision: GateDecision, name: str, answers: JudgedAnswers, circumstances: Circumstances
) -> GateDecision:
    """The decision with all that its challenger is held to besides the metric.

    By record the newest rows are asked, of each slice too: what was held out long ago tells of the world of
    then.
    """
    slices, newest, rows = circumstances.get("slices", ()), circumstances.get("newest"), len(answers.labels)
    weights, recent = circumstances.get("row_weights"), slice(None)
    if decision.outcome == "record_beats_production" and newest is not None:
        slices = [one.newest(rows - newest) for one in slices]
        recent = slice(max(0, rows - max(newest, use_case.gate.min_rows)), None)
    return replace(
        decision,
        slices=judge_slices(use_case, answers, name, slices, weights),
        calibration=weigh_calibration(
            use_case,
            answers.take(np.arange(rows)[recent]),
            name,
            None if weights is None else weights[recent],
        ),
        costs=circumstances.get("costs", {}).get(name),
    )


def _hold_all_back(
    gate: GateConfig,
    compared: Comparison,
    outcome: GateOutcome,
    reason: str,
) -> dict[str, GateDecision]:
    return {
        name: hold_back(
            gate, rows=compared.rows, challenger=scores[gate.metric], reason=reason, outcome=outcome
        )
        for name, scores in compared.scores.items()
    }


def _believe_nothing(gate: GateConfig, compared: Comparison, reason: str) -> dict[str, GateDecision]:
    had = compared.production
    return {
        name: believe_nothing(
            gate,
            rows=compared.rows,
            challenger=scores[gate.metric],
            production=None if had is None else had[gate.metric],
            reason=reason,
        )
        for name, scores in compared.scores.items()
    }


def _decide_without_production(
    gate: GateConfig,
    compared: Comparison,
    baselines: Mapping[str, Sequence[Baseline]],
    error: str,
) -> dict[str, GateDecision]:
    """Against baselines, as production exists and does not answer."""
    return {
        name: judge_without_production(
            gate,
            rows=compared.rows,
            challenger=scores[gate.metric],
            baselines=baselines[name],
            error=error,
            challengers=len(compared.scores),
        )
        for name, scores in compared.scores.items()
    }


def _newest(use_case: UseCase, answers: JudgedAnswers, circumstances: Circumstances) -> Comparison | None:
    """The comparison on the newest rows; None where that is all of them, or nobody has a record."""
    count, rows = circumstances.get("newest"), len(answers.labels)
    if count is None or count >= rows or answers.production is None or not circumstances.get("records"):
        return None
    weights = circumstances.get("row_weights")
    places = np.arange(rows - count, rows)
    return compare(use_case, answers.take(places), None if weights is None else weights[places])


def _decide(
    gate: GateConfig,
    now: Comparison,
    before: Comparison | None,
    newest: Comparison | None,
    circumstances: Circumstances,
) -> dict[str, GateDecision]:
    """Against production, or as the first models."""
    records = circumstances.get("records", {})
    return {
        name: judge(
            gate,
            rows=now.rows,
            challenger=scores[gate.metric],
            production=None if now.production is None else now.production[gate.metric],
            differences=now.differences.get(name),
            challengers=len(now.scores),
            original=None if before is None else _forgetting(gate, before, name),
            record=records.get(name),
            tries=circumstances.get("tries", 0),
            swaps=now.swaps.get(name),
            newest=None if newest is None else _one_look(gate, newest, name, len(now.scores)),
        )
        for name, scores in now.scores.items()
    }


def _one_look(gate: GateConfig, compared: Comparison, name: str, challengers: int) -> Gain | None:
    """What one look at these rows tells of a challenger."""
    assert compared.production is not None
    return weigh(
        gate,
        compared.rows,
        compared.scores[name][gate.metric],
        compared.production[gate.metric],
        compared.differences[name],
        challengers,
        swaps=compared.swaps.get(name),
    )


def _forgetting(gate: GateConfig, before: Comparison, name: str) -> Forgetting | None:
    if before.production is None:
        return None
    return weigh_forgetting(
        gate,
        rows=before.rows,
        challenger=before.scores[name][gate.metric],
        production=before.production[gate.metric],
        differences=before.differences[name],
        swaps=before.swaps.get(name),
    )
