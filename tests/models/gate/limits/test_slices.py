"""What a challenger may be worse at on a part of the records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.schema import (
    FieldConfig,
    GateConfig,
    ModelConfig,
    RecordConfig,
    SliceConfig,
    TargetConfig,
    UseCase,
)
from flows.retrain.judging.deciding import judge_answers
from models.gate.answers import JudgedAnswers
from models.gate.decision import GateDecision
from models.gate.limits.slices import Slice, find_slices, judge_slices
from models.shadows.evidence import RecordGain
from models.versions.predictor import Answers

ORIGIN = SliceConfig(field="origin", most_loss=0.02, min_rows=50)
FIELDS = (
    FieldConfig(name="origin", type="category", nullable=True),
    FieldConfig(name="paid", type="boolean", nullable=True),
    FieldConfig(name="age", type="number", nullable=True),
)


def use_case(*slices: SliceConfig, metric: str = "accuracy") -> UseCase:
    return UseCase(
        name="parts",
        title="Parts",
        kind="tabular",
        record=RecordConfig(fields=FIELDS),
        target=TargetConfig(task="binary", classes=("no", "yes"), positive="yes"),
        model=ModelConfig(estimator="logistic"),
        gate=GateConfig(metric=metric, min_rows=50, resamples=500, slices=slices),
    )


def answering(right: NDArray[np.bool_]) -> Answers:
    """To rows that are all `yes`."""
    yes = np.where(right, 0.8, 0.2)
    return Answers(("no", "yes"), np.stack([1 - yes, yes], axis=1).astype(np.float32))


def share(rows: int, right: float) -> NDArray[np.bool_]:
    """Which rows are answered rightly: so many, spread evenly."""
    return (np.arange(rows) * right) % 1 + right >= 1 - 1e-9


def asked(challenger: Sequence[float], production: Sequence[float] | None, rows: int = 200) -> JudgedAnswers:
    """Of so many rows in each part one after the other, the share that each answers rightly."""
    had = None if production is None else answering(np.concatenate([share(rows, one) for one in production]))
    has = answering(np.concatenate([share(rows, one) for one in challenger]))
    return JudgedAnswers(["yes"] * rows * len(challenger), {"full": has}, had, None, ("no", "yes"), "yes")


def origins(*names: str | None, rows: int = 200) -> dict[str, NDArray[np.generic]]:
    return {"origin": np.array([name for name in names for _ in range(rows)], dtype=object)}


def judge(case: UseCase, answers: JudgedAnswers, slices: Sequence[Slice], **more: object) -> GateDecision:
    return judge_answers(case, answers, slices=slices, **more).decisions["full"]  # type: ignore[arg-type]


def decide(
    challenger: Sequence[float],
    production: Sequence[float] | None,
    *rules: SliceConfig,
    rows: int = 200,
) -> GateDecision:
    """Of parts that are named A, B and so on."""
    case, names = use_case(*rules), "ABCDEFGH"[: len(challenger)]
    return judge(case, asked(challenger, production, rows), find_slices(case, origins(*names, rows=rows)))


def test_slices_are_the_values_of_a_field_and_those_without_one() -> None:
    ages = SliceConfig(field="age", ranges={"young": (None, 30.0), "old": (60.0, None)}, min_rows=2)
    case = use_case(
        SliceConfig(field="origin", min_rows=2), SliceConfig(field="paid", min_rows=2), ages,
    )  # fmt: skip
    columns = {
        "origin": np.array(["A", "A", None, "B", "A"], dtype=object),
        "paid": np.array([1.0, 0.0, np.nan, 1.0, 0.0]),
        "age": np.array([29.9, 30.0, 60.0, np.nan, -1.0]),
    }
    found = [
        (one.rule.field, one.value, one.places.tolist(), one.is_asked) for one in find_slices(case, columns)
    ]
    assert found == [
        ("origin", "A", [0, 1, 4], True),
        ("origin", "B", [3], False),
        ("origin", None, [2], False),
        ("paid", "false", [1, 4], True),
        ("paid", "true", [0, 3], True),
        ("paid", None, [2], False),
        ("age", "young", [0, 4], True),
        ("age", None, [3], False),
        ("age", "old", [2], False),
    ]


def test_of_very_many_values_with_few_rows_only_some_are_told() -> None:
    case = use_case(ORIGIN)
    columns = {"origin": np.array([f"origin {row}" for row in range(500)], dtype=object)}
    assert len(find_slices(case, columns)) == 20


def test_a_gain_on_all_records_does_not_pay_for_a_loss_on_some() -> None:
    assert decide([1.0, 0.6], [0.5, 0.8]).outcome == "beats_production"
    decision = decide([1.0, 0.6], [0.5, 0.8], ORIGIN)
    assert (decision.verdict, decision.outcome) == ("reject", "slice_worse")
    assert decision.reason.startswith("surely worse than production on a part of the records: origin 'B': ")
    assert "accuracy 0.6000 against 0.8000 on 200 rows, gain -0.2000 [" in decision.reason
    assert "a loss of more than 0.02 is proven; better than production" in decision.reason
    kept, worse = decision.as_dict()["slices"]
    assert (kept["value"], kept["verdict"], worse["value"], worse["verdict"]) == ("A", "kept", "B", "worse")
    assert (worse["rows"], worse["most_loss"]) == (200, 0.02)
    assert worse["difference"] == pytest.approx(-0.2)
    assert worse["interval"]["high"] < -0.02


def test_a_loss_that_chance_may_explain_or_that_is_allowed_is_none() -> None:
    assert decide([1.0, 0.78], [0.5, 0.8], ORIGIN).outcome == "beats_production"
    allowed = ORIGIN.model_copy(update={"most_loss": 0.4})
    assert decide([1.0, 0.6], [0.5, 0.8], allowed).outcome == "beats_production"


def test_more_slices_need_a_clearer_loss() -> None:
    def level(parts: int) -> float:
        interval = decide([1.0] * parts, [0.5] * parts, ORIGIN).slices[0].interval
        assert interval is not None
        return interval.level

    assert level(1) == pytest.approx(0.9)
    assert level(5) == pytest.approx(0.98)
    twice = ORIGIN.model_copy(update={"floor": 0.1})
    interval = decide([1.0], [0.5], twice).slices[0].interval
    assert interval is not None
    assert interval.level == pytest.approx(0.95)
    close = ([1.0, 0.69], [0.5, 0.84])
    more = [1.0] * 6
    assert decide(*close, ORIGIN, rows=100).outcome == "slice_worse"
    assert decide([*close[0], *more], [*close[1], *more], ORIGIN, rows=100).outcome == "beats_production"


def test_a_slice_with_few_rows_is_told_and_not_judged() -> None:
    answers, case = asked([1.0, 0.0], [0.5, 1.0], rows=60), use_case(ORIGIN)
    columns = {"origin": np.array(["A"] * 71 + ["B"] * 49, dtype=object)}
    decision = judge(case, answers.take(np.arange(120)), find_slices(case, columns))
    few = decision.slices[1]
    assert (few.verdict, few.rows, few.challenger, few.interval) == ("too_few_rows", 49, None, None)
    assert decision.slices[0].interval is not None
    assert decision.slices[0].interval.level == pytest.approx(0.9)  # nothing is paid for what is not asked


def test_what_is_not_judged_is_told_when_it_is_promoted() -> None:
    case = use_case(ORIGIN)
    columns = {"origin": np.array(["A"] * 380 + ["B"] * 20, dtype=object)}
    decision = judge(case, asked([1.0, 0.9], [0.5, 0.5]), find_slices(case, columns))
    assert decision.outcome == "beats_production"
    assert decision.reason.endswith("; 1 of 2 slices are not judged: origin 'B': 20 rows; 50 are needed")


FLOOR = SliceConfig(field="origin", most_loss=None, floor=0.7)


def test_below_the_floor_is_refused_where_production_is_no_better_for_it() -> None:
    decision = decide([1.0, 0.5], [0.5, 0.5], FLOOR)
    assert (decision.verdict, decision.outcome) == ("reject", "slice_below_floor")
    assert "origin 'B': accuracy 0.5000 against 0.5000 on 200 rows" in decision.reason
    assert "surely below 0.7 [" in decision.reason
    better = decide([1.0, 0.6], [0.5, 0.5], FLOOR)
    assert better.outcome == "beats_production"
    assert better.slices[1].verdict == "better_below_floor"
    assert "origin 'B': accuracy 0.6000" in better.reason
    assert decide([1.0, 0.68], [0.5, 0.69], FLOOR).outcome == "beats_production"  # not surely below


def test_the_first_model_keeps_to_floors_and_has_nobody_to_be_worse_than() -> None:
    assert decide([1.0, 0.5], None, ORIGIN).outcome == "first_model"
    refused = decide([1.0, 0.5], None, FLOOR)
    assert (refused.verdict, refused.outcome) == ("reject", "slice_below_floor")
    assert refused.slices[1].production is None


def test_of_a_metric_that_falls_a_rise_is_the_loss() -> None:
    rules = SliceConfig(field="origin", most_loss=0.02, floor=0.4)
    case = use_case(rules, metric="log_loss")
    columns = origins("A", "B")
    found = judge_slices(case, asked([1.0, 0.6], [0.5, 0.8]), "full", find_slices(case, columns))
    assert [one.verdict for one in found] == ["kept", "worse"]
    alone = case.model_copy(
        update={
            "gate": case.gate.model_copy(update={"slices": (rules.model_copy(update={"most_loss": None}),)})
        }
    )
    found = judge_slices(alone, asked([1.0, 0.6], [0.5, 0.6]), "full", find_slices(alone, columns))
    assert [one.verdict for one in found] == ["kept", "below_floor"]
    assert "surely above 0.4" in found[1].reason


def test_a_metric_that_is_not_defined_on_a_slice_says_nothing_of_it() -> None:
    case = use_case(ORIGIN, metric="roc_auc")
    found = judge_slices(case, asked([1.0], [0.5]), "full", find_slices(case, origins("A")))
    assert (found[0].verdict, found[0].challenger, found[0].interval) == ("no_score", None, None)
    assert found[0].reason == "origin 'A': roc_auc is not defined on its 200 rows"


def test_rows_count_on_a_slice_for_what_they_count_for_on_all() -> None:
    case = use_case(ORIGIN)
    slices = find_slices(case, origins("A"))
    weights = np.where(share(200, 0.5), 2.0, 0.0)
    found = judge_slices(case, asked([0.5], [0.25]), "full", slices, weights)
    assert (found[0].challenger, found[0].production) == (1.0, 0.5)


SURE = RecordGain(rows=800, periods=3, gain=0.2, error=0.01, lower=0.18, lost=0.6, line=0.008, age=9)


def test_rows_held_out_before_the_world_turned_do_not_speak_against_a_record_in_slices_either() -> None:
    rows = np.arange(460)
    is_new = rows >= 400
    names = np.where(rows % 2 == 0, "A", "B").astype(object)
    answers = JudgedAnswers(
        ["yes"] * 460, {"full": answering(is_new)}, answering(~is_new), None, ("no", "yes"), "yes"
    )
    quick = use_case(ORIGIN.model_copy(update={"min_rows": 20}))

    def outcome(case: UseCase) -> str:
        slices = find_slices(case, {"origin": names})
        return judge(case, answers, slices, records={"full": SURE}, newest=60).outcome

    assert outcome(quick) == "record_beats_production"
    # Where the newest rows are too few for a slice, those just before them tell as well.
    assert outcome(use_case(ORIGIN.model_copy(update={"min_rows": 100}))) == "slice_worse"
