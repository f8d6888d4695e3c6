"""What a challenger may lose of what the original version could do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import GateConfig
from models.gate.bootstrap import Swaps
from models.gate.checks import judge
from models.gate.forgetting import Forgetting, weigh_forgetting
from models.metrics.catalogue import rises

GATE = GateConfig(metric="accuracy", min_rows=50, forgetting_margin=0.01)
STRICT = GATE.model_copy(update={"forgetting_proof": "kept"})
GAIN = np.full(500, 0.2)


def weigh(
    challenger: float, production: float = 0.9, *, rows: int = 400, gate: GateConfig = GATE
) -> Forgetting:
    differences = np.full(300, challenger - production if rises(gate.metric) else production - challenger)
    return weigh_forgetting(
        gate, rows=rows, challenger=challenger, production=production, differences=differences
    )


@pytest.mark.parametrize(
    ("challenger", "verdict"), [(0.95, "kept"), (0.9, "kept"), (0.89, "kept"), (0.889, "forgotten")]
)
def test_a_fall_up_to_the_margin_is_allowed(challenger: float, verdict: str) -> None:
    found = weigh(challenger)
    assert found.verdict == verdict
    assert found.difference == pytest.approx(challenger - 0.9)
    assert found.margin == 0.01


def weigh_between(low: float, high: float, *, swaps: Swaps | None = None) -> Forgetting:
    """What is found where the middle nine tenths of the draws lie about there."""
    differences = np.linspace(low, high, 1001)
    middle = float(np.mean(differences))
    return weigh_forgetting(
        GATE, rows=400, challenger=0.9 + middle, production=0.9, differences=differences, swaps=swaps
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.08, -0.02, "forgotten"),
        (-0.08, 0.02, "unproven"),  # falls by 0.03, and chance may explain it
        (-0.03, 0.05, "unproven"),  # gains 0.01, and may have lost more than 0.01 all the same
        (-0.005, 0.05, "kept"),
        (-0.009, -0.001, "kept"),
    ],
)
def test_where_the_interval_ends_decides_and_not_the_fall_that_was_seen(
    low: float, high: float, verdict: str
) -> None:
    assert weigh_between(low, high).verdict == verdict


def test_a_fall_that_so_few_rows_tell_of_is_not_proven() -> None:
    assert weigh_between(-0.08, -0.02, swaps=Swaps(3, 1.0, 0.125)).verdict == "unproven"
    assert weigh_between(-0.08, -0.02, swaps=Swaps(8, 1.0, 0.004)).verdict == "forgotten"


def test_without_a_margin_it_is_only_reported() -> None:
    gate = GATE.model_copy(update={"forgetting_margin": None})
    assert weigh(0.1, gate=gate).verdict == "only_reported"


def test_few_rows_and_no_score_are_outcomes() -> None:
    assert weigh(0.1, rows=49).verdict == "too_few_rows"
    found = weigh(float("nan"))
    assert (found.verdict, found.challenger, found.difference) == ("no_score", None, None)
    assert found.interval is None


def test_of_a_metric_that_falls_a_rise_is_the_loss() -> None:
    gate = GATE.model_copy(update={"metric": "log_loss"})
    assert weigh(0.95, gate=gate).verdict == "forgotten"
    assert weigh(0.85, gate=gate).verdict == "kept"


def decide(original: Forgetting | None, differences: float = 0.2, gate: GateConfig = GATE) -> tuple[str, str]:
    decision = judge(
        gate,
        rows=100,
        challenger=0.7 + differences,
        production=0.7,
        differences=np.full(500, differences),
        original=original,
    )
    assert decision.original is original
    return decision.verdict, decision.outcome


def test_one_that_forgets_is_rejected_however_much_it_gains() -> None:
    assert decide(weigh(0.95)) == ("promote", "beats_production")
    assert decide(weigh(0.8)) == ("reject", "forgets")
    assert decide(weigh(0.8, rows=10)) == ("promote", "beats_production")
    assert decide(None) == ("promote", "beats_production")


def test_one_that_may_forget_is_promoted_unless_proof_is_asked_for() -> None:
    assert decide(weigh_between(-0.08, 0.02)) == ("promote", "beats_production")
    assert decide(weigh_between(-0.08, 0.02), gate=STRICT) == ("too_little_evidence", "kept_not_proven")
    assert decide(weigh_between(-0.08, -0.02), gate=STRICT) == ("reject", "forgets")
    assert decide(weigh_between(-0.005, 0.05), gate=STRICT) == ("promote", "beats_production")
    assert decide(weigh(0.1, rows=49), gate=STRICT) == ("promote", "beats_production")
    assert decide(weigh_between(-0.08, 0.02), -0.1, STRICT) == ("reject", "worse")


def test_a_fall_beyond_the_margin_that_chance_may_explain_is_told() -> None:
    def reason(original: Forgetting, gate: GateConfig = GATE) -> str:
        return judge(
            gate, rows=100, challenger=0.9, production=0.7, differences=GAIN, original=original
        ).reason

    told = "-0.0300 [-0.0750, +0.0150]: a fall of more than 0.01 is neither proven nor excluded"
    assert reason(weigh_between(-0.08, 0.02)).endswith(told)
    assert reason(weigh_between(-0.08, 0.02), STRICT).endswith(f"{told}; more labels may prove it")
    assert "original" not in reason(weigh_between(-0.03, 0.05))  # it gained there


@given(st.floats(0, 1), st.floats(-0.3, 0.3))
def test_what_is_kept_never_turns_a_rejection_into_a_promotion(challenger: float, gain: float) -> None:
    without, beside = decide(None, gain), decide(weigh(challenger), gain)
    assert without[0] == "promote" or beside == without


def test_the_reason_tells_both_numbers() -> None:
    decision = judge(GATE, rows=100, challenger=0.9, production=0.7, differences=GAIN, original=weigh(0.8))
    assert "accuracy 0.9000 against 0.7000 on 100 rows" in decision.reason
    old = "accuracy 0.8000 against 0.9000 on 400 rows of the original holdout, -0.1000 [-0.1000, -0.1000]"
    assert f"{old}: a fall of more than 0.01 is proven" in decision.reason
    assert decision.as_dict()["original"]["verdict"] == "forgotten"
