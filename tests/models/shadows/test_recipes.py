"""When challengers of one name are made alike."""

from __future__ import annotations

from typing import Any

from configs.schema import UseCase
from configs.schema.training import POOL
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


def test_records_that_are_kept_still_count() -> None:
    """The digest of a challenger without a model of its own, as it is in the records of databases."""
    assert digest() == "a98c17c3b23e415477f0ec2dd347a6b91961af428f8bba1f5e5896c90fd216d9"


def test_estimator_parameters_and_members_make_another() -> None:
    plain = [{"name": "blend"}]
    others = [
        digest(model={"estimator": "catboost", "params": {"iterations": 21}}),
        digest(training={"challengers": plain}),
        digest(training={"challengers": [{"name": "blend", "window": 300}]}),
        digest(training={"challengers": [{"name": "blend", "model": {"estimator": "logistic"}}]}),
        digest(training={"challengers": [{"name": "blend", "features": {"tabular": {"scale": False}}}]}),
    ]
    assert len({digest(), *others}) == 6
    assert digest("another") is None


def test_periods_of_one_that_was_made_otherwise_do_not_count() -> None:
    random = [0.1, 0.3] * 100
    contest = Contest("blend", 4, 5, Moments(200, sum(random), sum(one * one for one in random)))
    periods = (Period(7, 700, 200, (contest,), {}, None, {"blend": "a"}),)
    record = Record(periods, ends_now=True)
    assert record.gains(GATE, ["blend"], STANDING, made_by={"blend": "a"}).keys() == {"blend"}
    assert record.gains(GATE, ["blend"], STANDING, made_by={"blend": "b"}) == {}


def test_members_of_one_that_was_made_otherwise_weigh_nothing() -> None:
    scores = {"blend": {"full": 0.8, "newest_1": 0.9}}
    record = Record((Period(1, 500, 500, (), scores, None, {"blend": "a"}),), ends_now=True)
    alike = record.weights(POOL, made_by="a")
    assert alike is not None
    assert alike["newest_1"] > 0.9
    assert record.weights(POOL, made_by=None) == alike
    otherwise = record.weights(POOL, made_by="b")
    assert otherwise is not None
    assert otherwise["full"] == 1.0
