"""Have the records drifted: by share of columns, and with enough of them."""

from __future__ import annotations

from configs.schema import DriftConfig
from models.drift.decision import DriftDecision, decide_drift

DRIFT = DriftConfig(threshold=0.1, share=0.5, min_rows=100)
CERTAIN = 1e-9


def test_drift_needs_its_share_of_columns() -> None:
    one = decide_drift(
        DRIFT, {"a": ("wasserstein", 0.2), "b": ("wasserstein", 0.0), "c": ("wasserstein", 0.0)},
        {"a": CERTAIN, "b": 0.5, "c": 0.5}, reference_rows=500, current_rows=500,
    )  # fmt: skip
    two = decide_drift(
        DRIFT, {"a": ("wasserstein", 0.2), "b": ("wasserstein", 0.0)}, {"a": CERTAIN, "b": 0.5},
        reference_rows=500, current_rows=500,
    )  # fmt: skip
    assert (one.verdict, two.verdict) == ("no_drift", "drift")
    assert two.columns["a"].drifted
    assert not two.columns["b"].drifted


def test_a_low_p_value_is_drift_and_a_high_one_is_not() -> None:
    low = decide_drift(DRIFT, {"a": ("ks", 0.01)}, {"a": CERTAIN}, reference_rows=500, current_rows=500)
    high = decide_drift(DRIFT, {"a": ("ks", 0.6)}, {"a": CERTAIN}, reference_rows=500, current_rows=500)
    assert (low.verdict, high.verdict) == ("drift", "no_drift")


def test_few_records_show_no_drift_and_no_absence_of_it() -> None:
    decision = decide_drift(
        DRIFT, {"a": ("wasserstein", 9.0)}, {"a": CERTAIN}, reference_rows=500, current_rows=99
    )
    assert decision.verdict == "too_little_evidence"
    assert decision.share is None


def decide(p_values: list[float], distance: float = 0.2, share: float = 0.1) -> DriftDecision:
    names = [f"n{place}" for place in range(len(p_values))]
    return decide_drift(
        DRIFT.model_copy(update={"share": share}),
        dict.fromkeys(names, ("wasserstein", distance)),
        dict(zip(names, p_values, strict=True)),
        reference_rows=500,
        current_rows=200,
    )


def test_a_column_counts_where_it_is_far_and_certain() -> None:
    assert decide([CERTAIN]).verdict == "drift"
    assert decide([CERTAIN], distance=0.09).verdict == "no_drift"
    doubtful = decide([0.01])
    assert (doubtful.verdict, doubtful.columns["n0"].p_value) == ("no_drift", 0.01)
    assert doubtful.reason == (
        "0 of 1 columns moved (share 0.00, threshold 0.10); "
        "1 more beyond the threshold, as chance makes of 200 recent rows"
    )


def test_what_is_certain_of_one_column_is_not_of_the_best_of_a_hundred() -> None:
    assert decide([5e-4]).verdict == "drift"
    assert decide([5e-4] + [0.5] * 99, share=0.01).verdict == "no_drift"
    assert decide([5e-6] + [0.5] * 99, share=0.01).verdict == "drift"


def test_where_some_have_moved_more_are_believed() -> None:
    decision = decide([CERTAIN, 0.01, 0.4])
    assert [column.drifted for column in decision.columns.values()] == [True, True, False]
