"""POST /v1/{use_case}/feedback: durable, once, and nothing lost."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from configs.schema import UseCase
from service.swap.watcher import JOURNAL_CHANNEL
from tests.service.conftest import USE_CASES, Service, StartService, record_of, truth_of
from tests.service.tiny import classes_of

SERVED = ("digits",)

DIGITS = USE_CASES["digits"]
PATH = "/v1/digits/feedback"
OWN_KEYS = (
    "resource", "sources", "data_source", "source_id", "labels", "labeler", "label_id", "records",
    "record_id", "recorded", "event", "event_type", "event_times", "event_id", "prediction", "predictions",
    "prediction_ids", "predicted_id", "time", "timestamp", "comment", "user", "outsource",
)  # fmt: skip
"""Keys that callers have of their own, some of them much like those that are read."""


def predict(service: Service, use_case: UseCase, count: int = 1) -> list[str]:
    response = service.post(f"/v1/{use_case.name}/predict", {"records": [record_of(use_case)] * count})
    return [prediction["id"] for prediction in response.json()["predictions"]]


def send(service: Service, items: list[Any], use_case: UseCase = DIGITS, **headers: str) -> Any:
    response = service.post(f"/v1/{use_case.name}/feedback", {"items": items}, **headers)
    assert response.status_code == 200, response.text
    return response.json()


def counts(accepted: int = 0, corrected: int = 0, duplicates: int = 0) -> dict[str, Any]:
    return {
        "accepted": accepted,
        "corrected": corrected,
        "duplicates": duplicates,
        "stale": 0,
        "outvoted": 0,
        "rejected": [],
    }


def rows(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    return conn.execute("SELECT identity, label, prediction_id FROM feedback ORDER BY seq").fetchall()


def test_records_with_labels_are_stored_once(
    service: Service, use_case: UseCase, conn: psycopg.Connection
) -> None:
    label = classes_of(use_case)[0]
    truth = truth_of(use_case, label)
    items = [{"record": record_of(use_case) | {"id": f"row-{number}"}, "label": truth} for number in range(3)]
    assert send(service, items, use_case) == counts(accepted=3)
    assert send(service, items, use_case) == counts(duplicates=3)
    assert rows(conn) == [(f"i:row-{number}", label, None) for number in range(3)]


def test_records_without_an_id_are_known_by_content_and_time(
    service: Service, conn: psycopg.Connection
) -> None:
    item = {"record": record_of(DIGITS), "label": "3"}
    assert send(service, [item, item])["accepted"] == 2
    assert send(service, [item])["duplicates"] == 1
    assert send(service, [item | {"event_time": "2024-05-17T09:30:00+02:00"}])["accepted"] == 1
    assert send(service, [item | {"event_time": "2024-05-17T07:30:00Z"}])["duplicates"] == 1
    assert conn.execute(
        "SELECT count(*) FROM feedback WHERE event_time = '2024-05-17 07:30Z'"
    ).fetchone() == (1,)


def test_a_prediction_just_given_is_found(
    service: Service, use_case: UseCase, conn: psycopg.Connection
) -> None:
    service.worker.mover._interval = 60.0
    (name,) = predict(service, use_case)
    label = classes_of(use_case)[0]
    item = {"prediction_id": name, "label": truth_of(use_case, label)}
    assert send(service, [item], use_case) == counts(accepted=1)
    assert rows(conn) == [(f"p:{name}", label, name)]
    assert conn.execute(
        "SELECT f.record = p.record FROM feedback f JOIN prediction p ON p.id = f.prediction_id"
    ).fetchone() == (True,)


def test_a_prediction_in_another_workers_journal_is_found(
    service: Service, start_service: StartService, conn: psycopg.Connection
) -> None:
    other = start_service()
    for worker in (service.worker, other.worker):
        worker.mover._interval = 60.0
    (name,) = predict(other, DIGITS)
    assert send(service, [{"prediction_id": name, "label": "3"}]) == counts(accepted=1)
    assert rows(conn) == [(f"p:{name}", "3", name)]


def test_a_label_that_changes_is_a_correction(service: Service, conn: psycopg.Connection) -> None:
    (name,) = predict(service, DIGITS)
    send(service, [{"prediction_id": name, "label": "3"}])
    assert send(service, [{"prediction_id": name, "label": 4}]) == counts(accepted=1, corrected=1)
    assert [row[1] for row in rows(conn)] == ["4"]


def test_items_that_contradict_each_other_do_not_both_count(
    service: Service, conn: psycopg.Connection
) -> None:
    record = record_of(DIGITS) | {"id": "x"}
    answer = send(service, [{"record": record, "label": label} for label in ("3", "3", "4")])
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)
    assert answer["rejected"] == [{"index": 2, "reason": "contradicts item 0 of the same request"}]
    assert rows(conn) == [("i:x", "3", None)]


def test_what_is_refused_is_listed_and_kept(service: Service, conn: psycopg.Connection) -> None:
    good = {"record": record_of(DIGITS), "label": "3"}
    items: list[Any] = [
        good,
        {"record": record_of(DIGITS), "label": "eleven"},
        {"record": {"image": [[1, 2]]}, "label": "3"},
        {"record": record_of(DIGITS)},
        {"label": "3"},
        {"record": record_of(DIGITS), "prediction_id": "x", "label": "3"},
        {"prediction_id": "01a1fdde-a62f-781a-8470-2d72b5360b35", "label": "3"},
        {"prediction_id": "nul\x00", "label": "3"},
        good | {"event_time": "yesterday"},
        good | {"record": record_of(DIGITS) | {"id": 1.5}},
        "nonsense",
    ]
    answer = send(service, items)
    assert answer["accepted"] == 1
    reasons = {entry["index"]: entry["reason"] for entry in answer["rejected"]}
    assert sorted(reasons) == list(range(1, 11))
    for index, words in {
        1: "label: got 'eleven' (text)", 2: "got an array of 1x2", 3: "label: missing",
        4: "got neither `prediction_id` nor `record`;",
        5: "got both `prediction_id` and `record`;",
        6: "no prediction", 7: "prediction_id: got", 8: "event_time: got 'yesterday'",
        9: "field 'id': got 1.5", 10: "got 'nonsense' (text)",
    }.items():  # fmt: skip
        assert words in reasons[index]
    kept = conn.execute("SELECT source, reason FROM quarantine").fetchall()
    assert sorted(kept) == sorted(("http", reason) for reason in reasons.values())


def test_the_same_key_gets_the_same_answer(service: Service, conn: psycopg.Connection) -> None:
    items = [{"record": record_of(DIGITS), "label": "3"}]
    assert send(service, items, idempotency_key="k1") == counts(accepted=1)
    assert send(service, items, idempotency_key="k1") == counts(accepted=1)
    assert send(service, items, idempotency_key="k2") == counts(duplicates=1)
    assert len(rows(conn)) == 1
    other = service.post(PATH, {"items": [{"record": record_of(DIGITS), "label": "4"}]}, idempotency_key="k1")
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "conflict"
    assert service.post(PATH, {"items": items}, idempotency_key="x" * 201).status_code == 422


def test_a_key_sent_twice_at_once_counts_once(service: Service, conn: psycopg.Connection) -> None:
    items = [{"record": record_of(DIGITS), "label": "3"} for _ in range(50)]
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(send(service, items, idempotency_key="k")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [counts(accepted=50)] * 4
    assert len(rows(conn)) == 50


@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": {}}, {"items": [{}] * 10_001}], ids=str)
def test_a_request_that_cannot_be_read_is_refused_as_a_whole(service: Service, body: Any) -> None:
    response = service.post(PATH, body)
    assert response.status_code == 422
    assert "field 'items'" in response.json()["error"]["message"]


def test_feedback_needs_no_model(start_service: StartService, conn: psycopg.Connection) -> None:
    assert send(start_service(), [{"record": record_of(DIGITS), "label": "3"}]) == counts(accepted=1)
    assert len(rows(conn)) == 1


def test_without_a_database_nothing_is_acknowledged(start_service: StartService) -> None:
    service = start_service(RATCHET_DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    response = service.post(PATH, {"items": [{"record": record_of(DIGITS), "label": "3"}]})
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "database_away"
    assert response.headers["retry-after"]


def test_connections_that_went_stale_are_replaced(service: Service, conn: psycopg.Connection) -> None:
    items = [{"record": record_of(DIGITS), "label": "3"}]
    for _ in range(4):
        send(service, items)
    conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    for _ in range(4):
        assert send(service, items) == counts(duplicates=1)


def test_a_call_for_the_journals_reaches_every_worker(service: Service, conn: psycopg.Connection) -> None:
    service.worker.mover._interval = 60.0
    service.worker.mover.flush(5)
    predict(service, DIGITS)
    conn.execute("SELECT pg_notify(%s, '')", (JOURNAL_CHANNEL,))
    service.worker.mover._round_ended.acquire()
    service.worker.mover._round_ended.wait_for(
        lambda: conn.execute("SELECT count(*) FROM prediction").fetchone() == (1,), 10
    )
    service.worker.mover._round_ended.release()
    assert conn.execute("SELECT count(*) FROM prediction").fetchone() == (1,)


def test_a_prediction_behind_many_others_in_the_journal_is_waited_for(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.storage.waiting.JOURNAL_SECONDS", 0.0)
    (name,) = predict(service, DIGITS)
    move, many_moved = service.worker.mover._move, threading.Event()

    def move_many() -> None:
        many_moved.wait(30)
        move()

    monkeypatch.setattr(service.worker.mover, "_move", move_many)
    threading.Timer(1.5, many_moved.set).start()
    assert send(service, [{"prediction_id": name, "label": "3"}]) == counts(accepted=1)


def test_a_request_of_which_nothing_can_be_stored_says_why(service: Service) -> None:
    (told,) = send(service, [{"record": record_of(DIGITS), "label": "x"}])["rejected"]
    assert told["index"] == 0
    assert "got 'x' (text)" in told["reason"]


def test_an_older_truth_is_told_as_stale_and_one_that_is_still_to_come_is_rejected(
    service: Service, conn: psycopg.Connection
) -> None:
    item = {"record": record_of(DIGITS) | {"id": "7"}, "label": "3"}
    assert send(service, [item]) == counts(accepted=1)
    old = item | {"label": "4", "event_time": "2024-05-17T07:30:00Z"}
    assert send(service, [old]) == counts() | {"stale": 1}
    answer = send(service, [item | {"label": "4", "event_time": "2199-12-31T23:59:59Z"}])
    (told,) = answer["rejected"]
    assert "event_time: got 2199-12-31T23:59:59" in told["reason"]
    assert rows(conn) == [("i:7", "3", None)]


def test_of_two_items_of_one_record_the_newer_event_stands(
    service: Service, conn: psycopg.Connection
) -> None:
    item = {"record": record_of(DIGITS) | {"id": "7"}}
    newer = item | {"label": "3", "event_time": "2024-05-18T00:00:00Z"}
    older = item | {"label": "4", "event_time": "2024-05-17T00:00:00Z"}
    assert send(service, [newer, older]) == counts(accepted=1) | {"stale": 1}
    assert rows(conn) == [("i:7", "3", None)]


@pytest.mark.parametrize("own_id", ["7", None])
@pytest.mark.parametrize("prediction_first", [True, False])
def test_a_truth_by_prediction_and_by_record_counts_once(
    service: Service, conn: psycopg.Connection, own_id: str | None, prediction_first: bool
) -> None:
    record = record_of(DIGITS) | ({} if own_id is None else {"id": own_id})
    response = service.post("/v1/digits/predict", {"records": [record]})
    items = [{"prediction_id": response.json()["predictions"][0]["id"], "label": "3"}]
    items.append({"record": record, "label": "3"})
    first, second = items if prediction_first else items[::-1]
    assert send(service, [first]) == counts(accepted=1)
    assert send(service, [second]) == counts(duplicates=1)
    assert conn.execute("SELECT count(prediction_id), count(*) FROM feedback").fetchone() == (1, 1)


def test_a_label_sent_along_with_a_record_and_again_with_it_counts_once(service: Service) -> None:
    record = record_of(DIGITS) | {"id": 7}
    assert service.post("/v1/digits/predict", {"records": [record], "labels": ["3"]}).status_code == 200
    assert send(service, [{"record": record, "label": "3"}]) == counts(duplicates=1)


def test_a_label_of_a_prediction_of_an_earlier_configuration_is_kept_with_the_reason(
    service: Service, conn: psycopg.Connection
) -> None:
    conn.execute(
        "INSERT INTO prediction (id, use_case, record)"
        """ VALUES ('old', 'digits', '{"image": "AAAA"}')"""
    )
    (name,) = predict(service, DIGITS)
    items = [{"prediction_id": one, "label": "3"} for one in ("old", name)]
    answer = send(service, items)
    assert answer["accepted"] == 1
    (rejected,) = answer["rejected"]
    assert rejected["index"] == 0
    assert rejected["reason"].startswith(
        "the record of prediction 'old' is one of an earlier configuration: field 'image': got 3 levels"
    )
    assert conn.execute("SELECT \"row\"->>'prediction_id' FROM quarantine").fetchall() == [("old",)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"event_tme": "2026-01-01T00:00:00Z"},
            "unknown key 'event_tme' (is 'event_time' meant?); is not read",
        ),
        ({"sorce": "ann"}, "unknown key 'sorce' (is 'source' meant?); is not read"),
        ({"resource": "till 4"}, "unknown key 'resource' (is 'source' meant?); is not read"),
        ({"comment": "sure"}, None),
    ],
)
def test_a_key_that_may_be_misspelled_is_named_and_the_item_kept(
    service: Service, change: dict[str, Any], told: str | None
) -> None:
    item = {"record": record_of(DIGITS), "label": "3"} | change
    answer = send(service, [item])
    assert (answer["accepted"], answer["rejected"]) == (1, [])
    assert answer.get("notes") == (None if told is None else [{"index": 0, "note": told}])


@pytest.mark.parametrize("key", OWN_KEYS)
def test_no_key_of_the_caller_is_refused_for_resembling_one_that_is_read(service: Service, key: str) -> None:
    items = [
        {"record": record_of(DIGITS), "label": "3", key: "x"},
        {"prediction_id": predict(service, DIGITS)[0], "label": "4", key: "x"},
    ]
    answer = send(service, items)
    assert (answer["accepted"], answer["rejected"]) == (2, [])


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"record": {}, "lable": "3"}, "unknown key 'lable' (is 'label' meant?); allowed: label, "),
        ({"predictionid": "x", "label": "3"}, "unknown key 'predictionid' (is 'prediction_id' meant?)"),
        ({"records": {}, "label": "3"}, "unknown key 'records' (is 'record' meant?)"),
    ],
)
def test_a_misspelled_key_that_is_needed_is_named(service: Service, item: dict[str, Any], told: str) -> None:
    (rejected,) = send(service, [item])["rejected"]
    assert told in rejected["reason"]


def test_a_misspelled_list_is_named(service: Service) -> None:
    response = service.post(PATH, {"item": []})
    assert response.status_code == 422
    assert "field 'items': missing, got 'item'; allowed: a list" in response.json()["error"]["message"]
