"""A label for an answer that was moved out of the database is taken as before, and so is a trace of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from service.state.tracing import is_young
from service.storage import moved as asking_back
from store.moved import asking
from store.moved.moving import move_old
from tests.flows.retention.bringing import bringing_back
from tests.service.answers.test_predict import error, predict
from tests.service.conftest import USE_CASES, Service, record_of
from tests.service.feedback.test_intake import counts, send
from tests.store.moved.answers import prediction_id, stored

SERVED = ("digits", "plans")
PLANS = USE_CASES["plans"]
THEN = datetime.now(UTC) - timedelta(days=40)


def worker_of(service: Service) -> AbstractContextManager[None]:
    """What the worker does of it."""
    return bringing_back(service.worker.settings, ["digits", "plans"])


@pytest.fixture
def moved(service: Service, conn: psycopg.Connection[Any]) -> list[str]:
    """Three answers of forty days ago, in the table."""
    answers = predict(service, PLANS, [record_of(PLANS) | {"id": "mine"}] * 3)
    made = [one["id"] for one in answers["predictions"]]
    assert service.get(f"/v1/trace/{made[2]}").status_code == 200, "out of the journal"
    ids = [prediction_id(THEN, number) for number in range(3)]
    for old, new in zip(made, ids, strict=True):
        conn.execute("UPDATE prediction SET id = %s, predicted_at = %s WHERE id = %s", (new, THEN, old))
    conn.commit()
    before = stored(conn)
    home = service.worker.settings.home
    assert move_old(conn, home, PLANS, datetime.now(UTC) - timedelta(days=30)) == 3
    assert (len(before), stored(conn)) == (3, [])
    assert not is_young(ids[0], datetime.now(UTC).timestamp())
    return ids


def test_a_late_label_is_taken_once_and_stands_in_the_trace(
    service: Service, conn: psycopg.Connection[Any], moved: list[str]
) -> None:
    label = PLANS.target.classes[0]
    items = [{"prediction_id": one, "label": label} for one in moved[:2]]
    with worker_of(service):
        assert send(service, items, PLANS) == counts(accepted=2)
        assert send(service, items, PLANS) == counts(duplicates=2)
        told = service.get(f"/v1/trace/{moved[0]}").json()
        unlabelled = service.get(f"/v1/trace/{moved[2]}").json()
        unknown = prediction_id(THEN, 2**40)
        error(service.get(f"/v1/trace/{unknown}"), 404, "unknown_prediction")
    assert told["label"]["label"] == label
    assert told["prediction"]["record"] == unlabelled["prediction"]["record"] == record_of(PLANS)
    assert told["prediction"]["record_id"] == "mine"
    assert datetime.fromisoformat(told["prediction"]["predicted_at"]) == THEN
    assert unlabelled["label"] is None
    rows = conn.execute("SELECT identity, record, record_id FROM feedback ORDER BY identity").fetchall()
    assert rows == [(f"p:{one}", record_of(PLANS), "mine") for one in sorted(moved[:2])]


def test_without_a_worker_it_is_to_be_sent_again_and_nothing_is_stored(
    service: Service, conn: psycopg.Connection[Any], moved: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "WAIT_SECONDS", 0.3)
    items = [
        {"prediction_id": moved[0], "label": PLANS.target.classes[0]},
        {"record": record_of(PLANS) | {"id": "other"}, "label": PLANS.target.classes[0]},
    ]
    answered = service.post("/v1/plans/feedback", {"items": items})
    told = error(answered, 503, "prediction_moved")
    assert answered.headers["retry-after"] == "10"
    assert told["message"].startswith(f"prediction '{moved[0]}' is older than those that the database keeps")
    error(service.get(f"/v1/trace/{moved[1]}"), 503, "prediction_moved")
    assert conn.execute("SELECT count(*) FROM feedback").fetchone() == (0,)
    conn.commit()
    with worker_of(service):
        assert send(service, items, PLANS) == counts(accepted=2)


@pytest.mark.usefixtures("moved")
def test_ids_that_cannot_have_been_moved_are_not_waited_for(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking_back, "wait_back", lambda *_args: pytest.fail("waited"))
    for one in ("none", prediction_id(THEN - timedelta(days=3), 1), "f" * 500):
        error(service.get(f"/v1/trace/{one}"), 404, "unknown_prediction")
    rejected = send(service, [{"prediction_id": "none", "label": PLANS.target.classes[0]}], PLANS)["rejected"]
    assert [one["index"] for one in rejected] == [0]


def test_a_prediction_of_another_use_case_is_not_found(service: Service, moved: list[str]) -> None:
    items = [{"prediction_id": moved[0], "label": "3"}]
    rejected = send(service, items, USE_CASES["digits"])["rejected"]
    assert rejected == [{"index": 0, "reason": f"prediction_id: no prediction '{moved[0]}' is known"}]
