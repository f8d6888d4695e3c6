"""When challengers of one name are made alike."""

from __future__ import annotations

from typing import Any

from configs.schema import UseCase
from models.shadows.periods import Contest, Moments, Period
from models.shadows.recipes import recipe_digest
from models.shadows.record import Record
from tests.models.shadows.test_evidence import GATE, STANDING

PLAIN: dict[str, Any] = {
    "name": "apples",
    "title": "Apples",
    "kind": "tabular",
    "record": {"fields": [{"name": "weight", "type": "number"}]},
    "target": {"task": "multiclass", "column": "grade", "classes": ["good", "poor"]},
    "model": {"estimator": "catboost", "params": {"iterations": 20}},
}


def digest(challenger: str = "blend", **changes: Any) -> str | None:
    return recipe_digest(UseCase.model_validate(PLAIN | changes), challenger)


def test_fields_and_classes_are_what_a_challenger_learns_from_not_how() -> None:
    fields = [*PLAIN["record"]["fields"], {"name": "sugar", "type": "number"}]
    assert digest(record={"fields": fields}, title="Fruit") == digest() is not None


def test_estimator_parameters_and_members_make_another() -> None:
    plain = [{"name": "blend"}]
    others = [
        digest(model={"estimator": "catboost", "params": {"iterations": 21}}),
        digest(training={"challengers": plain}),
        digest(training={"challengers": [{"name": "blend", "window": 300}]}),
    ]
    assert len({digest(), *others}) == 4
    assert digest("another") is None


def test_periods_of_one_that_was_made_otherwise_do_not_count() -> None:
    random = [0.1, 0.3] * 100
    contest = Contest("blend", 4, 5, Moments(200, sum(random), sum(one * one for one in random)))
    periods = (Period(7, 700, 200, (contest,), {}, None, {"blend": "a"}),)
    record = Record(periods, ends_now=True)
    assert record.gains(GATE, ["blend"], STANDING, made_by={"blend": "a"}).keys() == {"blend"}
    assert record.gains(GATE, ["blend"], STANDING, made_by={"blend": "b"}) == {}
