"""Have the records drifted: by share of columns, and with enough of them."""

from __future__ import annotations

from configs.schema import DriftConfig
from models.retraining.drift_decision import decide_drift

DRIFT = DriftConfig(threshold=0.1, share=0.5, min_rows=100)


def test_drift_needs_its_share_of_columns() -> None:
    one = decide_drift(
        DRIFT, {"a": ("wasserstein", 0.2), "b": ("wasserstein", 0.0), "c": ("wasserstein", 0.0)},
        reference_rows=500, current_rows=500,
    )  # fmt: skip
    two = decide_drift(
        DRIFT, {"a": ("wasserstein", 0.2), "b": ("wasserstein", 0.0)}, reference_rows=500, current_rows=500
    )
    assert (one.verdict, two.verdict) == ("no_drift", "drift")
    assert two.columns["a"].drifted
    assert not two.columns["b"].drifted


def test_a_low_p_value_is_drift_and_a_high_one_is_not() -> None:
    low = decide_drift(DRIFT, {"a": ("ks", 0.01)}, reference_rows=500, current_rows=500)
    high = decide_drift(DRIFT, {"a": ("ks", 0.6)}, reference_rows=500, current_rows=500)
    assert (low.verdict, high.verdict) == ("drift", "no_drift")


def test_few_records_show_no_drift_and_no_absence_of_it() -> None:
    decision = decide_drift(DRIFT, {"a": ("wasserstein", 9.0)}, reference_rows=500, current_rows=99)
    assert decision.verdict == "too_little_evidence"
    assert decision.share is None
