"""Where the plain model stands beside the others: when it may be the first, and what is said of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from configs.schema import UseCase
from flows.retrain.judging.judgement import Judgement
from flows.retrain.training.plain import PLAIN
from models.gate.comparison import compare
from models.gate.decision import OPENINGS, Gain, best, weigh
from models.metrics.catalogue import rises
from models.metrics.shown import SAME, digits_for
from models.versions.predictor import Answers


@dataclass(frozen=True)
class PlainStanding:
    """The plain model beside what serves, on the same rows."""

    metric: str
    plain: float
    serving: float
    rows: int
    better: bool
    """Whether the plain one scored better; never where it serves itself."""
    proven: bool
    """Whether chance does not explain that."""
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def keep_configured(use_case: UseCase, judgement: Judgement) -> Judgement:
    """The same decisions, but that a plain model serves first only where it is surely better than the others.

    Where production answers it is judged as they are: to replace production it must be surely better too.
    """
    decisions = judgement.decisions
    others = {name: one for name, one in decisions.items() if name != PLAIN}
    plain = decisions.get(PLAIN)
    if plain is None or plain.verdict != "promote" or judgement.production_scores is not None:
        return judgement
    if not any(one.verdict == "promote" for one in others.values()):
        return judgement
    name = best(others)
    gain = _gain(use_case, judgement, judgement.answers.challengers[name])
    if gain is not None and gain.interval.low > use_case.gate.min_gain:
        return judgement
    shown = "cannot be compared" if gain is None else gain.shown
    reason = f"{OPENINGS['plain_not_better']}: {shown} ('{name}')"
    kept = replace(plain, verdict="reject", outcome="plain_not_better", reason=reason)
    return replace(judgement, decisions={**decisions, PLAIN: kept})


def plain_standing(
    use_case: UseCase, judgement: Judgement, challenger: str, *, promoted: bool
) -> PlainStanding | None:
    """What is to be told after a run; None: there is no plain model in it, or nothing to hold it against.

    Args:
        challenger: the one that was registered.
        promoted: whether that one serves now; otherwise production does.
    """
    metric = use_case.gate.metric
    if PLAIN not in judgement.scores:
        return None
    if promoted and challenger == PLAIN:
        others = {name: one for name, one in judgement.decisions.items() if name != PLAIN}
        name = best(others) if others else None
        return None if name is None else _served_itself(judgement, metric, name)
    answers = judgement.answers.challengers[challenger] if promoted else judgement.answers.production
    serving = judgement.scores[challenger] if promoted else judgement.production_scores
    if answers is None or serving is None:
        return None
    plain, other = judgement.scores[PLAIN][metric], serving[metric]
    better = (plain - other if rises(metric) else other - plain) > SAME
    gain = _gain(use_case, judgement, answers)
    proven = better and gain is not None and gain.interval.low > 0
    digits = digits_for((plain, other))
    told = f"{metric} {other:.{digits}f}, a plain model {plain:.{digits}f} on the same {judgement.rows} rows"
    if better:
        told += ": the plain one is better, " + (
            "and chance does not explain it" if proven else "though chance may explain it"
        )
    return PlainStanding(metric, plain, other, judgement.rows, better, proven, told)


def _served_itself(judgement: Judgement, metric: str, name: str) -> PlainStanding:
    plain, other = judgement.scores[PLAIN][metric], judgement.scores[name][metric]
    digits = digits_for((plain, other))
    told = (
        f"{metric} {plain:.{digits}f}, by a plain model, which is surely better than '{name}' with "
        f"{other:.{digits}f} on the same {judgement.rows} rows"
    )
    return PlainStanding(metric, plain, plain, judgement.rows, False, False, told)


def _gain(use_case: UseCase, judgement: Judgement, other: Answers) -> Gain | None:
    """How far the plain model is above another one; None where the metric is not defined."""
    plain = judgement.answers.challengers[PLAIN]
    pair = replace(judgement.answers, challengers={PLAIN: plain}, production=other)
    compared = compare(use_case, pair, judgement.row_weights)
    assert compared.production is not None
    metric = use_case.gate.metric
    return weigh(
        use_case.gate,
        compared.rows,
        compared.scores[PLAIN][metric],
        compared.production[metric],
        compared.differences[PLAIN],
        1,
        swaps=compared.swaps.get(PLAIN),
    )
