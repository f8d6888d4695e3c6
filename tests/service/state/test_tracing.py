"""GET /v1/trace/{prediction_id}: back to the data behind a prediction, and on to its true label."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from time import time_ns
from typing import Any

import psycopg
import pytest

import service.storage.waiting as waiting
from models.production import ledger
from models.production.tags import SNAPSHOT_TAG
from service.answers.responses import PredictionIds
from service.answers.slot import VersionFacts
from service.state.tracing import is_young
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.runs.lifecycle import request_run
from store.runs.rows import find_run
from store.snapshots.learned import NOTHING_LEARNED
from store.splits.taking import take_snapshot
from tests.service.answers.test_predict import error, predict
from tests.service.conftest import USE_CASES, FolderRegistry, Service, record_of
from tests.service.swap.test_watcher import promote, wait_for

SERVED = ("digits", "plans")

PLANS = USE_CASES["plans"]


def trace(service: Service, prediction_id: str) -> Any:
    response = service.get(f"/v1/trace/{prediction_id}")
    assert response.status_code == 200, response.text
    return response.json()


def test_a_prediction_is_found_before_it_has_left_the_journal(service: Service) -> None:
    (one,) = predict(service, PLANS, [record_of(PLANS) | {"id": "mine"}])["predictions"]
    found = trace(service, one["id"])
    told = found["prediction"]
    assert (told["id"], told["use_case"], told["record_id"]) == (one["id"], "plans", "mine")
    assert (told["label"], told["score"], told["model_version"]) == (one["label"], one["score"], 1)
    assert told["record"] == record_of(PLANS)
    assert found["label"] is None
    assert (found["model"]["version"], found["model"]["run_id"]) == (1, "run-1")
    assert (found["run"], found["snapshot"], found["verdict"]) == (None, None, None)


def test_its_label_as_it_stands(service: Service) -> None:
    (one,) = predict(service, PLANS, [record_of(PLANS)])["predictions"]
    wrong = next(label for label in PLANS.target.classes if label != one["label"])
    for label, correct in ((one["label"], True), (wrong, False)):
        items = {"items": [{"prediction_id": one["id"], "label": label}]}
        assert service.post("/v1/plans/feedback", items).status_code == 200
        found = trace(service, one["id"])["label"]
        assert (found["label"], found["correct"], found["source"]) == (label, correct, "http")


def test_the_run_snapshot_and_verdict_behind_it(service: Service, conn: psycopg.Connection) -> None:
    run_id = request_run(conn, "plans", "retrain", "http")
    conn.execute(
        "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq) "
        "VALUES ('abc', 'plans', '/secret', 10, 8, 2, 1, 10)"
    )
    ledger.record(
        conn, "plans", "promoted", actor="http", reason="better", to_version=1, run_id=run_id,
        evidence={"verdict": "promote", "rows": 2},
    )  # fmt: skip
    moved = ledger.record(conn, "plans", "rolled_back", actor="me", reason="no", from_version=2, to_version=1)
    other = ledger.record(conn, "plans", "promoted", actor="http", reason="another", to_version=2)
    live = service.worker.slots["plans"].serving()
    live.facts = VersionFacts("mlflow-run", {SNAPSHOT_TAG: "abc", "ratchet.trigger": "labels"}, {"f1": 0.5})
    (one,) = predict(service, PLANS, [record_of(PLANS)])["predictions"]
    found = trace(service, one["id"])
    assert found["model"]["lineage"] == {"snapshot": "abc", "trigger": "labels"}
    assert found["model"]["metrics"] == {"f1": 0.5}
    assert found["snapshot"]["digest"] == "abc"
    assert found["snapshot"]["train_rows"] == 8
    assert "path" not in found["snapshot"]
    assert (found["verdict"]["event"], found["verdict"]["evidence"]["rows"]) == ("promoted", 2)
    assert (found["run"]["id"], found["run"]["status"]) == (run_id, find_run(conn, run_id).status)  # type: ignore[union-attr]
    assert found["run"]["rows"] == {"train": None, "judged": None, "new": None, "returned": None}
    assert moved in found["ledger"]
    assert other not in found["ledger"]


def test_a_label_that_was_taken_back_is_told_with_its_reason(service: Service) -> None:
    (one,) = predict(service, PLANS, [record_of(PLANS)])["predictions"]
    service.post("/v1/plans/feedback", {"items": [{"prediction_id": one["id"], "label": one["label"]}]})
    assert trace(service, one["id"])["label_taken_back"] is None
    path = f"/v1/plans/feedback/{one['id']}?reason=wrong%20customer"
    assert service.get(path, method="DELETE").status_code == 200
    found = trace(service, one["id"])
    assert found["label"] is None
    gone = found["label_taken_back"]
    assert (gone["label"], gone["reason"]) == (one["label"], "wrong customer")


def test_labels_that_were_taken_back_of_what_a_version_learned(
    service: Service, conn: psycopg.Connection, tmp_path: Path
) -> None:
    records = [record_of(PLANS) | {"id": str(number)} for number in range(12)]
    items = [{"record": record, "label": PLANS.target.classes[0]} for record in records]
    assert service.post("/v1/plans/feedback", {"items": items}).json()["accepted"] == 12
    taught = take_snapshot(conn, PLANS, tmp_path, since=None, learned=NOTHING_LEARNED)
    live = service.worker.slots["plans"].serving()
    live.facts = VersionFacts("mlflow-run", {SNAPSHOT_TAG: taught.digest}, {})
    (one,) = predict(service, PLANS, [record_of(PLANS)])["predictions"]
    assert trace(service, one["id"])["snapshot"]["taken_back"] == {
        "since_previous": 0, "learned": 0, "held_out": 0,
    }  # fmt: skip
    take_back(conn, "plans", LabelSelection(("1", "2", "3")), actor="ann", reason="absurd")
    told = trace(service, one["id"])["snapshot"]["taken_back"]
    assert (told["since_previous"], told["learned"] + told["held_out"]) == (0, 3)
    after = take_snapshot(conn, PLANS, tmp_path, since=None, learned=NOTHING_LEARNED)
    live.facts = VersionFacts("mlflow-run", {SNAPSHOT_TAG: after.digest}, {})
    assert trace(service, one["id"])["snapshot"]["taken_back"] == {
        "since_previous": 3, "learned": 0, "held_out": 0,
    }  # fmt: skip


def test_a_version_that_serves_no_more(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    digits = USE_CASES["digits"]
    (one,) = predict(service, digits, [record_of(digits)])["predictions"]
    for version in (2, 3):
        registry.add(digits, version)
        promote(conn, registry, version)
        wait_for(lambda now=version: service.worker.slots["digits"].serving().version == now)  # type: ignore[misc]
    model = trace(service, one["id"])["model"]
    assert (model["version"], model["run_id"], "problem" in model) == (1, "run-1", False)
    registry.away = True
    model = trace(service, one["id"])["model"]
    assert (model["version"], model["run_id"]) == (1, None)
    assert "away" in model["problem"]


@pytest.mark.parametrize("unknown", ["nothing", "%00", "d86c913a-5fcf-448f-8ddb-198788f72c1e"])
def test_an_unknown_prediction_is_not_waited_for(
    service: Service, unknown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.worker.parts.tracer, "_flush", lambda: pytest.fail("waited"))
    error(service.get(f"/v1/trace/{unknown}"), 404, "unknown_prediction")


def test_one_that_could_still_come_is_waited_for(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "JOURNAL_SECONDS", 0.0)
    asked: list[bool] = []
    monkeypatch.setattr(service.worker.parts.tracer, "_flush", lambda: asked.append(True))
    (fresh,) = PredictionIds().take(1, time_ns())
    error(service.get(f"/v1/trace/{fresh}"), 404, "unknown_prediction")
    assert asked == [True]


def test_what_is_young() -> None:
    (one,) = PredictionIds().take(1, 1_700_000_000_000_000_000)
    assert is_young(one, 1_700_000_030)
    assert not is_young(one, 1_700_000_090)
    assert not is_young("no id", 1_700_000_000)


def test_with_the_database_away_it_says_so(service: Service) -> None:
    service.worker.database._settings = replace(
        service.worker.settings, database_url="postgresql://nobody@127.0.0.1:1/nothing"
    )
    service.worker.database.close()
    error(service.get(f"/v1/trace/{uuid.uuid4()}"), 503, "database_away")
