"""Keys of an item that stand in its record, or the other way: told, as they are not read."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest
from prometheus_client import CollectorRegistry

from configs.schema import FieldConfig, RecordConfig, UseCase
from service.feedback.intake import FeedbackIntake
from service.metrics import Metrics
from service.storage.database import Database
from tests.service.conftest import USE_CASES

FIELDS = (FieldConfig(name="amount", type="number"),)
TIMED = RecordConfig(fields=FIELDS, time_column="at", id_column="no")
GOOD = {"record": {"amount": 1}, "label": "One year"}


def intake(record: RecordConfig = TIMED, **serving: Any) -> FeedbackIntake:
    """One that reads items; nothing is stored."""
    plans = USE_CASES["plans"].model_dump() | {"record": record.model_dump(), "serving": serving}
    plans |= {"gate": {}, "drift": {}}
    return FeedbackIntake(
        UseCase.model_validate(plans), cast(Database, None), lambda: None, Metrics(CollectorRegistry())
    )


def notes(item: dict[str, Any], record: RecordConfig = TIMED) -> str | None:
    checked = intake(record).read(orjson.dumps({"items": [GOOD, item]})).checked
    assert checked.rejected == {}
    assert 0 not in checked.notes
    return checked.notes.get(1)


@pytest.mark.parametrize(
    ("more", "beside", "told"),
    [
        ({"at": "2024-05-01"}, {}, "'at' in the record is not read; beside `record` it is `event_time`"),
        ({"event_time": "2024-05-01"}, {}, "'event_time' in the record is not read; beside `record` it is"),
        ({"source": "ann"}, {}, "'source' in the record is not read; beside `record` it is `source`"),
        (
            {"prediction_id": "x"},
            {},
            "'prediction_id' in the record is not read; an item has it in the place",
        ),
        ({"no": 7}, {}, "'no' in the record is not read; in requests that is its `id`"),
        ({}, {"at": "2024-05-01"}, "'at' is not read; `event_time` is when it became true"),
        ({}, {"id": 7}, "'id' beside the record is not read; it belongs into it"),
    ],
)
def test_what_stands_in_the_wrong_place_is_told(
    more: dict[str, Any], beside: dict[str, Any], told: str
) -> None:
    note = notes({"record": {"amount": 2, **more}, "label": "One year", **beside})
    assert note is not None
    assert note.startswith(told)


@pytest.mark.parametrize(
    ("more", "beside"),
    [
        ({"at": "2024-05-01"}, {"event_time": "2024-05-01"}),
        ({"at": None}, {}),
        ({"no": 7, "id": 7}, {}),
        ({"id": 7}, {"id": 7}),
        ({"colour": "red"}, {"mine": 1}),
    ],
)
def test_what_is_said_where_it_belongs_or_says_nothing_is_not(
    more: dict[str, Any], beside: dict[str, Any]
) -> None:
    assert notes({"record": {"amount": 2, **more}, "label": "One year", **beside}) is None


def test_a_field_of_the_name_is_a_field() -> None:
    fields = (FieldConfig(name="event_time", type="text"), FieldConfig(name="at", type="datetime"))
    record = RecordConfig(fields=(*fields, FieldConfig(name="amount", type="number", nullable=True)))
    timed = record.model_copy(update={"time_column": "at"})
    item = {"record": {"event_time": "noon", "at": "2024-05-01", "amount": 1}, "label": "One year"}
    checked = intake(timed).read(orjson.dumps({"items": [item]})).checked
    assert (checked.rejected, checked.notes) == ({}, {})


def test_a_label_in_the_record_is_where_none_is_beside_it() -> None:
    item = {"record": {"amount": 1, "label": "One year"}}
    (reason,) = intake().read(orjson.dumps({"items": [item]})).checked.rejected.values()
    assert reason.startswith("label: missing; allowed: ")
    assert reason.endswith("; 'label' in the record is not read; it belongs beside `record`")
    assert notes({**item, "label": "One year"}) is None


def test_where_unknown_fields_are_refused_so_are_these() -> None:
    body = orjson.dumps({"items": [{"record": {"amount": 1, "event_time": "x"}, "label": "One year"}]})
    (reason,) = intake(unknown_fields="refuse").read(body).checked.rejected.values()
    assert reason == "field 'event_time': there is no such field; allowed: amount"
