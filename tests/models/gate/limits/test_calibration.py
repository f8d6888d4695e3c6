"""When scores of a challenger are too far from how often it is right."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from configs.schema import FieldConfig, GateConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from flows.retrain.judging.deciding import judge_answers
from models.gate.answers import JudgedAnswers
from models.gate.decision import GateDecision
from models.shadows.evidence import RecordGain
from models.versions.predictor import Answers

ROWS = 400


def use_case(most: float | None) -> UseCase:
    return UseCase(
        name="sure",
        title="Sure",
        kind="tabular",
        record=RecordConfig(fields=(FieldConfig(name="x", type="number"),)),
        target=TargetConfig(task="binary", classes=("no", "yes"), positive="yes"),
        model=ModelConfig(estimator="logistic"),
        gate=GateConfig(min_rows=50, resamples=500, most_calibration_error=most),
    )


def answering(right: NDArray[np.bool_], score: float | NDArray[np.float64]) -> Answers:
    """To rows that are all `yes`, with this score whatever is answered."""
    yes = np.where(right, score, 1 - np.asarray(score))
    return Answers(("no", "yes"), np.stack([1 - yes, yes], axis=1).astype(np.float32))


def share(right: float) -> NDArray[np.bool_]:
    """So many rows of each hundred, the first of them."""
    return np.arange(ROWS) % 100 < round(100 * right)


CHALLENGER, PRODUCTION = share(0.8), share(0.7)


def judged(
    challenger: float, production: float | None, most: float | None = 0.05, **more: object
) -> GateDecision:
    """A challenger that is right 80 times of 100 against 70, with these scores."""
    had = None if production is None else answering(PRODUCTION, production)
    asked = JudgedAnswers(
        ["yes"] * ROWS, {"full": answering(CHALLENGER, challenger)}, had, None, ("no", "yes"), "yes"
    )
    return judge_answers(use_case(most), asked, **more).decisions["full"]  # type: ignore[arg-type]


def test_one_that_is_too_sure_and_more_so_than_production_is_refused() -> None:
    decision = judged(0.99, 0.71)
    assert (decision.verdict, decision.outcome) == ("reject", "miscalibrated")
    assert "calibration error 0.19" in decision.reason
    assert "on 400 rows, rise [+0." in decision.reason
    assert "gate.most_calibration_error is 0.05; better than production" in decision.reason
    told = decision.as_dict()["calibration"]
    assert told["challenger"] == pytest.approx(0.19, abs=0.001)
    assert told["rows"] == 400
    assert told["rise"]["low"] > 0.1


def test_one_that_is_no_worse_than_production_or_within_the_limit_is_promoted() -> None:
    assert judged(0.99, 0.99).outcome == "beats_production"
    assert judged(0.83, 0.7).outcome == "beats_production"
    assert judged(0.99, 0.71, most=0.3).outcome == "beats_production"
    assert judged(0.88, 0.77).outcome == "beats_production"  # 0.08 against 0.07: chance may explain that


def test_without_a_limit_it_is_only_told() -> None:
    decision = judged(0.99, 0.71, most=None)
    assert decision.outcome == "beats_production"
    assert decision.calibration is not None
    assert decision.calibration.challenger == pytest.approx(0.19, abs=0.001)
    assert decision.calibration.production is not None
    assert decision.calibration.production < 0.02
    assert decision.calibration.rise is None


def test_the_first_model_has_nobody_to_be_worse_than() -> None:
    decision = judged(0.99, None)
    assert decision.outcome == "first_model"
    assert decision.calibration is not None
    assert decision.calibration.production is None


def test_by_record_the_newest_rows_are_asked() -> None:
    record = RecordGain(rows=800, periods=3, gain=0.2, error=0.01, lower=0.18, lost=0.6, line=0.008, age=9)
    is_new = np.arange(ROWS) >= 300
    scores = np.where(is_new, 0.8, 0.99)
    right = np.where(is_new, share(0.8), share(0.6))
    asked = JudgedAnswers(
        ["yes"] * ROWS, {"full": answering(right, scores)}, answering(PRODUCTION, 0.7), None,
        ("no", "yes"), "yes",
    )  # fmt: skip
    decision = judge_answers(use_case(0.05), asked, records={"full": record}, newest=100).decisions["full"]
    assert decision.outcome == "record_beats_production"
    assert decision.calibration is not None
    assert decision.calibration.rows == 100


def test_it_is_for_one_label_a_row() -> None:
    raw = use_case(0.05).model_dump() | {"target": {"task": "multilabel"}}
    raw["gate"]["metric"] = "f1_micro"
    with pytest.raises(ValidationError, match="most_calibration_error` is for binary and multiclass"):
        UseCase.model_validate(raw)
