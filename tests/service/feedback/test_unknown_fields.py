"""Feedback with a field that the use case does not have: rejected where that is configured."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest
from prometheus_client import CollectorRegistry

from configs.schema import UseCase
from service.feedback.intake import FeedbackIntake
from service.metrics import Metrics
from service.storage.database import Database
from tests.service.conftest import USE_CASES, record_of

PLANS = USE_CASES["plans"]


def intake(**serving: Any) -> FeedbackIntake:
    """One that reads items; nothing is stored."""
    use_case = UseCase.model_validate(PLANS.model_dump() | {"serving": serving})
    return FeedbackIntake(use_case, cast(Database, None), lambda: None, Metrics(CollectorRegistry()))


@pytest.mark.parametrize("known", [{}, {"id": "7"}])
def test_an_item_with_one_is_rejected_and_others_are_taken(known: dict[str, Any]) -> None:
    record = record_of(PLANS) | known
    items = [{"record": record, "label": "One year"}, {"record": record | {"tenur": 1}, "label": "One year"}]
    body = orjson.dumps({"items": items})
    assert intake().read(body).checked.rejected == {}
    read = intake(unknown_fields="refuse").read(body)
    assert read.checked.rejected == {1: "field 'tenur': there is no such field; is 'tenure' meant?"}
    assert list(read.sent) == [0]


def test_a_needed_field_that_is_misspelt_is_asked_for() -> None:
    record = record_of(PLANS)
    misspelt = {("tenur" if name == "tenure" else name): value for name, value in record.items()}
    items = [{"record": record, "label": "One year"}, {"record": misspelt, "label": "One year"}]
    for serving in ({}, {"unknown_fields": "refuse"}):
        read = intake(**serving).read(orjson.dumps({"items": items}))
        assert list(read.checked.rejected) == [1]
        assert read.checked.rejected[1].startswith("field 'tenure': missing; allowed: ")
        assert read.checked.rejected[1].endswith("; is 'tenur' meant for it?")
        assert list(read.sent) == [0]
