"""POST /v1/{use_case}/feedback: numbers beyond production's fence are named, or refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import orjson
import psycopg
import pytest
from prometheus_client import CollectorRegistry

from service.answers.requests import PredictRequest
from service.feedback.intake import FeedbackIntake
from service.metrics import Metrics
from service.storage.database import Database
from store.ingest.retrying import retry_rows
from tests.store.feedback.test_fences import REASON, people, register

BODY = orjson.dumps(
    {
        "items": [
            {"record": {"age": 30}, "label": "yes"},
            {"record": {"age": 1e9}, "label": "no"},
            {"record": {"age": 1e300}, "label": "maybe"},
        ]
    }
)


def intake_of(conn: psycopg.Connection[Any], fence: str) -> FeedbackIntake:
    def run(work: Any) -> Any:
        result = work(conn)
        conn.commit()
        return result

    database = cast("Database", SimpleNamespace(run=run))
    return FeedbackIntake(people(fence), database, lambda: None, Metrics(CollectorRegistry()))


def take(conn: psycopg.Connection[Any], fence: str) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(intake_of(conn, fence).take(BODY, None))
    return answer


def test_they_are_named_and_kept(conn: psycopg.Connection[Any]) -> None:
    register(conn, 1, 150.0)
    answer = take(conn, "leave_out")
    assert (answer["accepted"], [one["index"] for one in answer["rejected"]]) == (2, [2])
    (note,) = answer["notes"]
    assert note["index"] == 1
    assert note["note"].startswith("field 'age': got 1e+09, beyond production's fence, 0 to 150; it is kept")


@pytest.mark.parametrize("fence", ["off", "clip"])
def test_without_fences_nothing_is_said(conn: psycopg.Connection[Any], fence: str) -> None:
    if fence == "off":
        register(conn, 1, 150.0)
    assert "notes" not in take(conn, fence)


def test_they_are_refused_where_that_is_configured(conn: psycopg.Connection[Any]) -> None:
    register(conn, 1, 150.0)
    answer = take(conn, "quarantine")
    assert (answer["accepted"], "notes" in answer) == (1, False)
    assert answer["rejected"][0] == {"index": 1, "reason": REASON}
    assert retry_rows(conn, people("quarantine")).refused == 2
    assert retry_rows(conn, people("leave_out")).new == 1


@pytest.mark.parametrize(("fence", "stored"), [("leave_out", ["yes", "no"]), ("quarantine", ["yes"])])
def test_labels_beside_records_that_are_predicted_on_are_held_to_the_same_fences(
    conn: psycopg.Connection[Any], fence: str, stored: list[str]
) -> None:
    register(conn, 1, 150.0)
    request = SimpleNamespace(labels=("yes", "no"), groups=None, own_ids=lambda: None)
    ids = ["01a1fe1e-7758-754b-870d-78d48fef5ac1", "01a1fe1e-7758-754b-870d-78d48fef5ac2"]
    intake_of(conn, fence).add_labels(cast("PredictRequest", request), ids, ['{"age":30.0}', '{"age":1e9}'])
    assert [row[0] for row in conn.execute("SELECT label FROM feedback ORDER BY seq")] == stored
    reasons = [row[0] for row in conn.execute("SELECT reason FROM quarantine")]
    assert reasons == [REASON] * (2 - len(stored))
