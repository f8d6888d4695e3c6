"""A key that is there twice in what brings labels, or asks for a run, is refused by its name."""

from __future__ import annotations

import orjson
import psycopg
import pytest

from tests.service.answers.test_predict import error
from tests.service.conftest import USE_CASES, Service, record_of

PLANS = USE_CASES["plans"]
RECORD = orjson.dumps(record_of(PLANS))
LABEL = b'"label": "One year"'


def stored(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT count(*) FROM feedback WHERE use_case = 'plans'").fetchone()
    return 0 if row is None else int(row[0])


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("feedback", b'{"items": [{"record": %b, %b, "label": "Two year"}]}', "items.0.label"),
        ("train", b'{"items": [{"record": %b, %b, "label": "Two year"}]}', "items.0.label"),
        ("predict", b'{"records": [%b], "labels": ["One year"], "labels": ["Two year"], %b}', "labels"),
        ("predictions", b'{"records": [%b], "labels": ["One year"], "labels": ["Two year"], %b}', "labels"),
    ],
)
def test_nothing_is_stored_of_a_body_that_says_two_things(
    service: Service, conn: psycopg.Connection, path: str, body: bytes, place: str
) -> None:
    before = stored(conn)
    told = error(service.post(f"/v1/plans/{path}", body % (RECORD, LABEL)), 400, "repeated_key")["message"]
    assert told == f"key '{place}': got it twice in one object; allowed: once"
    assert stored(conn) == before


def test_a_field_of_a_record_is_named_with_its_item(service: Service) -> None:
    twice = RECORD[:-1] + b', "tenure": 1}'
    body = b'{"items": [{"record": %b, %b}, {"record": %b, %b}]}' % (RECORD, LABEL, twice, LABEL)
    told = error(service.post("/v1/plans/feedback", body), 400, "repeated_key")["message"]
    assert "key 'items.1.record.tenure'" in told


def test_an_option_is_named(service: Service) -> None:
    told = error(service.post("/v1/plans/rollback", b'{"to": 1, "to": 2}'), 400, "repeated_key")["message"]
    assert "key 'to'" in told


def test_of_a_prediction_without_labels_the_last_counts(service: Service) -> None:
    records = [RECORD, b'{"tenure": -5, ' + RECORD[1:]]
    answers = [service.post("/v1/plans/predict", b'{"records": [%b]}' % one).json() for one in records]
    assert answers[0]["predictions"][0]["scores"] == answers[1]["predictions"][0]["scores"]
