"""POST /v1/{use_case}/predict: what it answers, what it logs, and what it refuses."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import orjson
import psycopg
import pytest

from configs.schema import DataConfig, HoldoutConfig, UseCase
from features.records.contract import RecordContract
from service import worker
from service.metrics import WRITE_SECONDS
from store.predictions.audits import is_audited
from tests.service.conftest import (
    USE_CASES,
    FolderRegistry,
    Service,
    StartService,
    record_of,
    source_of,
    truth_of,
)
from tests.service.tiny import classes_of

SERVED = ("digits", "plans")

DIGITS = USE_CASES["digits"]
PLANS = USE_CASES["plans"]


def predict(service: Service, use_case: UseCase, records: list[Any], **more: Any) -> Any:
    response = service.post(f"/v1/{use_case.name}/predict", {"records": records, **more})
    assert response.status_code == 200, response.text
    return response.json()


def stored_label(prediction: dict[str, Any]) -> str:
    """The one text that the log has for what was answered."""
    return prediction["label"] if "label" in prediction else "|".join(sorted(prediction["labels"]))


def error(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert body["error"]["code"] == code
    found: dict[str, Any] = body["error"]
    return found


def test_answers_have_the_documented_form(service: Service, use_case: UseCase) -> None:
    record = record_of(use_case)
    answer = predict(service, use_case, [record, record | {"id": "mine"}])
    assert answer["model"] == {"name": use_case.name, "version": 1, "source": source_of(use_case)}
    first, second = answer["predictions"]
    key = "labels" if use_case.target.task == "multilabel" else "label"
    sources = {} if use_case.chain is None else {"source": source_of(use_case)}
    assert first == first | sources
    assert set(first) - set(sources) - {"audit"} == {"id", key, "score", "scores"}
    assert ("audit" in first) == is_audited(first["id"])
    assert second["record_id"] == "mine"
    assert tuple(first["scores"]) == classes_of(use_case)
    best = max(first["scores"], key=first["scores"].get)
    assert first[key] == truth_of(use_case, best)
    assert first["score"] == first["scores"][best]
    assert sum(first["scores"].values()) == pytest.approx(1, abs=1e-5)


def test_answers_are_those_of_the_predictor(service: Service, use_case: UseCase) -> None:
    record = record_of(use_case)
    live = service.worker.slots[use_case.name].serving()
    columns = RecordContract(use_case.record).check_records([record]).all_or_raise()
    expected = live.predictor.predict(columns)
    (answer,) = predict(service, use_case, [record])["predictions"]
    np.testing.assert_allclose(list(answer["scores"].values()), expected.probabilities[0], rtol=1e-6)
    assert stored_label(answer) == expected.labels[0]


def test_every_answer_is_in_the_log_with_its_record(
    service: Service, use_case: UseCase, conn: psycopg.Connection
) -> None:
    record = record_of(use_case)
    answers = predict(service, use_case, [record | {"id": 7}, record])["predictions"]
    assert service.worker.mover.flush(5)
    rows = conn.execute(
        "SELECT id, use_case, record_id, record::text, label, score, scores, model_version, source,"
        " now() - predicted_at < '1 minute' FROM prediction ORDER BY id"
    ).fetchall()
    contract = RecordContract(use_case.record)
    (document,) = contract.to_json(contract.check_records([record]).columns)
    for answer, row, own_id in zip(answers, rows, ["7", None], strict=True):
        assert row[:3] == (answer["id"], use_case.name, own_id)
        assert orjson.loads(row[3]) == orjson.loads(document)
        told = (stored_label(answer), answer["score"], answer["scores"], 1, source_of(use_case), True)
        assert row[4:] == told


def test_labels_beside_records_are_feedback(
    service: Service, use_case: UseCase, conn: psycopg.Connection
) -> None:
    label = classes_of(use_case)[1]
    truth = truth_of(use_case, label)
    answer = predict(service, use_case, [record_of(use_case)] * 2, labels=[truth, truth])
    rows = conn.execute("SELECT identity, label, prediction_id FROM feedback ORDER BY identity").fetchall()
    assert rows == [(f"p:{one['id']}", label, one["id"]) for one in answer["predictions"]]


def test_an_untrained_use_case_says_what_to_do(start_service: StartService) -> None:
    service = start_service()
    found = error(service.post("/v1/digits/predict", {"records": []}), 503, "untrained")
    assert "yet; train one with `ratchet retrain digits`" in found["message"]


@pytest.mark.parametrize(
    ("holdout", "labels"),
    [(HoldoutConfig(), 99), (HoldoutConfig(min_rows=20), 70), (HoldoutConfig(by="hash", fraction=0.5), 100)],
)
def test_an_untrained_use_case_without_data_says_how_many_labels_it_takes(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch, holdout: HoldoutConfig, labels: int
) -> None:
    bare = DIGITS.model_copy(
        update={"data": DataConfig(), "training": DIGITS.training.model_copy(update={"holdout": holdout})}
    )
    monkeypatch.setattr(worker, "load_selected", lambda *_: {**USE_CASES, "digits": bare})
    found = error(start_service().post("/v1/digits/predict", {"records": []}), 503, "untrained")
    assert f"yet; once it has {labels} labels, train one with `ratchet retrain digits`" in found["message"]


def image(rows: int = 28, columns: int = 28, value: Any = 0) -> dict[str, Any]:
    return {"image": [[value] * columns for _ in range(rows)]}


@pytest.mark.parametrize(
    ("name", "content", "status", "code", "words"),
    [
        ("plans", record_of(PLANS) | {"tenure": "abc"}, 422, "invalid", "field 'tenure': got 'abc' (text)"),
        ("plans", record_of(PLANS) | {"tenure": None}, 422, "invalid", "field 'tenure': missing"),
        ("plans", record_of(PLANS) | {"churn": "Maybe"}, 422, "invalid", "allowed: one of 'No', 'Yes'"),
        ("plans", record_of(PLANS) | {"female": True}, 422, "invalid", "field 'female': got true"),
        ("digits", image(27), 422, "invalid", "got an array of 27x28; allowed: 28x28"),
        ("digits", image(value=256), 422, "invalid", "got 256 as a pixel"),
        ("digits", image(value=True), 422, "invalid", "got true as a pixel"),
        ("digits", {"image": 28}, 422, "invalid", "got 28; allowed: 28x28"),
        ("digits", {"image": "aGVsbG8="}, 422, "invalid", "not a PNG"),
        ("digits", {}, 422, "invalid", "field 'image': missing"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_bad_records_are_named(
    service: Service, name: str, content: Any, status: int, code: str, words: str
) -> None:
    found = error(service.post(f"/v1/{name}/predict", {"records": [content]}), status, code)
    assert words in found["message"]


def test_json_as_curl_sends_it_is_understood(service: Service) -> None:
    body = orjson.dumps({"records": [image()]})
    form = "application/x-www-form-urlencoded"
    assert service.post("/v1/digits/predict", body, content_type=form).status_code == 200


def test_what_a_page_of_another_site_sends_is_refused(service: Service) -> None:
    body = {"records": [image()]}
    for path in ("/v1/digits/predict", "/v1/digits/feedback"):
        answer = service.post(path, body, origin="http://evil.example")
        assert "evil.example" in error(answer, 403, "cross_site")["message"]
        error(service.post(path, body, origin="null"), 403, "cross_site")
    assert service.post("/v1/digits/predict", body, origin="http://localhost").status_code == 200


def test_bad_bodies_are_named(service: Service) -> None:
    path = "/v1/digits/predict"
    not_a_number = orjson.dumps({"records": [image()]}).replace(b"[[0,", b"[[NaN,")
    assert "NaN" in error(service.post(path, not_a_number), 422, "invalid")["message"]
    assert "not JSON" in error(service.post(path, b"{oops"), 400, "not_json")["message"]
    assert "a list of 0" in error(service.post(path, {"records": []}), 422, "invalid")["message"]
    assert "a list of 1001" in error(service.post(path, {"records": [{}] * 1001}), 422, "invalid")["message"]
    ten_megabytes = b'{"records": [' + b" " * 10_000_000 + b"]}"
    assert error(service.post(path, ten_megabytes), 413, "too_large")["details"]["limit"] == 8 * 1024 * 1024
    error(service.post(path, b"<a/>", content_type="text/xml"), 415, "wrong_media_type")
    form = "application/x-www-form-urlencoded"
    error(service.post(path, b"a=1", content_type=form), 400, "not_json")
    error(service.post(path, b"{}", content_encoding="gzip"), 415, "wrong_media_type")
    unknown = error(service.post("/v1/nope/predict", {}), 404, "unknown_use_case")
    assert unknown["message"] == f"unknown use case 'nope'; known: {', '.join(SERVED)}"
    response = service.get(path)
    assert "allowed: POST" in error(response, 405, "method_not_allowed")["message"]
    assert response.headers["allow"] == "POST"
    error(service.get("/nowhere"), 404, "not_found")


def test_one_bad_record_among_63_good_requests_in_flight(service: Service) -> None:
    async def send(value: int) -> Any:
        body = orjson.dumps({"records": [image(value=value)]})
        return await service.client.post(
            "/v1/digits/predict", content=body, headers={"content-type": "application/json"}
        )

    async def send_all() -> list[Any]:
        return list(await asyncio.gather(*(send(300 if number == 31 else number) for number in range(64))))

    responses = service.run(send_all())
    statuses = [response.status_code for response in responses]
    assert statuses.pop(31) == 422
    assert statuses == [200] * 63


def test_the_disk_being_full_gives_no_answer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_lines: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(service.worker.journal, "append", full)
    response = service.post("/v1/digits/predict", {"records": [image()]})
    assert "No space left on device" in error(response, 503, "log_unwritable")["message"]
    assert response.headers["retry-after"]


def test_a_model_that_breaks_is_a_failure_of_its_own_kind(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = service.worker.slots["digits"].serving()
    monkeypatch.setattr(live.predictor, "_runner", lambda x: np.full((len(x), 10), np.nan, np.float32))
    error(service.post("/v1/digits/predict", {"records": [image()]}), 500, "model_failed")


def test_large_requests_are_shared_among_cores_and_stay_in_order(service: Service) -> None:
    records = [image(value=value % 256) for value in range(300)]
    together = predict(service, DIGITS, records)["predictions"]
    for value in (0, 150, 299):
        (alone,) = predict(service, DIGITS, [records[value]])["predictions"]
        np.testing.assert_allclose(
            list(together[value]["scores"].values()), list(alone["scores"].values()), rtol=1e-4, atol=1e-6
        )


def test_requests_are_counted(service: Service) -> None:
    predict(service, DIGITS, [image()])
    service.post("/v1/digits/predict", b"{")
    time.sleep(WRITE_SECONDS * 2)
    text = service.metrics()
    assert 'ratchet_requests_total{route="predict",status="200",use_case="digits"} 1.0' in text
    assert 'ratchet_requests_total{route="predict",status="400",use_case="digits"} 1.0' in text
    assert 'ratchet_batch_rows_count{use_case="digits"} 1.0' in text
    assert 'ratchet_model_version{use_case="digits"} 1.0' in text


def test_only_the_use_cases_asked_for_are_served(
    start_service: StartService, registry: FolderRegistry
) -> None:
    registry.add(PLANS, 1)
    registry.production["plans"] = 1
    service = start_service(RATCHET_USE_CASES="plans")
    assert predict(service, PLANS, [record_of(PLANS)])["model"]["version"] == 1
    error(service.post("/v1/digits/predict", {"records": [image()]}), 404, "unknown_use_case")
