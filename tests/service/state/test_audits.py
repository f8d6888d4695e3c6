"""GET /v1/{use_case}/audits: which answers were drawn, and wait for their label."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
import yaml

from store.predictions.audits import is_audited
from tests.service.answers.test_predict import predict
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of, truth_of

ORDERS = USE_CASES["plans"].model_copy(update={"name": "orders"})


@pytest.fixture
def audited(start_service: StartService, registry: FolderRegistry, tmp_path: Path) -> Service:
    """A worker that draws every answer, whatever the version that serves was made with."""
    (tmp_path / "configs").mkdir()
    document = ORDERS.model_dump(mode="json", exclude_defaults=True) | {"serving": {"audit": 1.0}}
    (tmp_path / "configs" / "orders.yaml").write_text(yaml.safe_dump(document))
    registry.add(ORDERS, 1)
    registry.production["orders"] = 1
    return start_service(RATCHET_CONFIGS=str(tmp_path / "configs"), RATCHET_USE_CASES="orders")


def test_answers_wait_until_their_label_has_come(audited: Service) -> None:
    predictions = predict(audited, ORDERS, [record_of(ORDERS)] * 3)["predictions"]
    assert all(one["audit"] is True and is_audited(one["id"]) for one in predictions)
    first, second, third = (one["id"] for one in predictions)
    audited.worker.mover.flush(5)
    truth = truth_of(ORDERS, predictions[0]["label"])
    sent = audited.post("/v1/orders/feedback", {"items": [{"prediction_id": second, "label": truth}]})
    assert sent.status_code == 200
    told = audited.get("/v1/orders/audits").json()
    assert (told["answers"], told["labelled"], told["correct"], told["enough"]) == (3, 1, 1, False)
    assert {one["id"] for one in told["waiting"]} == {first, third}
    assert told["waiting"][0]["label"] == predictions[0]["label"]
    since = min(datetime.fromisoformat(one["predicted_at"]) for one in told["waiting"])
    assert told["sentence"].startswith(
        f"1 of 3 audited answers since {since:%Y-%m-%d %H:%M} have a label, 100.0% of these are right"
    )
    assert len(audited.get("/v1/orders/audits?limit=1").json()["waiting"]) == 1
    assert audited.get("/v1/orders/audits?limit=0").status_code == 422
    assert audited.get("/v1/orders/quality").json()["audits"]["answers"] == 3


def test_the_protocols_of_others_stay_as_they_are(audited: Service) -> None:
    answer = audited.post("/v1/orders/invocations", {"dataframe_records": [record_of(ORDERS)]})
    assert answer.status_code == 200
    assert b"audit" not in answer.content
