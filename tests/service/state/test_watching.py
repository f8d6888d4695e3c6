"""Quality, versions, drift and past retrains over HTTP, each as the OpenAPI document describes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from configs.times.cron_times import next_time
from models.production import ledger
from models.production.contract import Version
from service.state.addresses import Addresses
from store.drift.checks import KeptPage, keep_page, record_check
from store.drift.page import content_security_policy, sanitise_page
from store.runs import lifecycle
from store.runs.lifecycle import request_run
from store.runs.rows import find_run
from tests.service.answers.test_predict import error, predict
from tests.service.conftest import USE_CASES, FolderRegistry, Service, record_of
from tests.service.openapi.test_document import check, operation, response_schema
from tests.service.tiny import classes_of
from tests.store.drift.evidently_pages import evidently_page
from tests.store.predictions.test_labelled_answers import Answer, store, stream

SERVED = ("papers", "plans")

PLANS = USE_CASES["plans"]
CHECK = {
    "reason": "1 of 2 columns moved",
    "share_threshold": 0.5,
    "threshold": 0.1,
    "reference_rows": 400,
    "current_rows": 300,
    "columns": {"tenure": {"method": "wasserstein", "value": 0.4, "drifted": True}},
}


def told(service: Service, path: str, described: str | None = None) -> Any:
    """An answer that is as the document says."""
    response = service.get(path)
    assert response.status_code == 200, response.text
    found, document = operation(service, described or path.split("?")[0], "get")
    check(response.json(), response_schema(found), document)
    return response.json()


def away(service: Service) -> None:
    service.worker.database._settings = replace(
        service.worker.settings, database_url="postgresql://nobody@127.0.0.1:1/nothing"
    )
    service.worker.database.close()


def recent(answers: list[Answer]) -> list[Answer]:
    """The same, ending a few minutes ago."""
    last = max(one.at for one in answers)
    shift = (datetime.now(UTC) - timedelta(minutes=5) - last).total_seconds() / 60
    return [replace(one, minute=one.minute + shift) for one in answers]


def test_without_labels_quality_is_empty(service: Service) -> None:
    found = told(service, "/v1/plans/quality")
    assert (found["metric"], found["windows"], found["versions"]) == ("accuracy", [], [])
    assert found["total"] == {"labelled": 0, "correct": 0, "accuracy": None, "low": None, "high": None}
    assert told(service, "/v1/papers/quality")["metric"] == "f1_micro"


def test_quality_of_what_was_really_served(service: Service) -> None:
    answered = predict(service, PLANS, [record_of(PLANS)] * 5)["predictions"]
    wrong = next(label for label in classes_of(PLANS) if label != answered[0]["label"])
    labels = [wrong, *(one["label"] for one in answered[1:])]
    items = [
        {"prediction_id": one["id"], "label": label} for one, label in zip(answered, labels, strict=True)
    ]
    assert service.post("/v1/plans/feedback", {"items": items}).json()["accepted"] == 5
    found = told(service, "/v1/plans/quality")
    assert (found["total"]["labelled"], found["total"]["correct"], found["total"]["accuracy"]) == (5, 4, 0.8)
    assert [one["version"] for one in found["versions"]] == [1]
    assert [one["labelled"] for one in found["windows"]] == [5]
    assert 0 < found["total"]["low"] < 0.8 < found["total"]["high"] < 1


def test_promotions_are_marked_and_cut_the_windows(service: Service, conn: psycopg.Connection) -> None:
    answers = recent([*stream(60), *stream(60, start=200, version=2, wrong_every=10)])
    store(conn, answers, "plans")
    ledger.record(conn, "plans", "promoted", actor="labels", reason="", from_version=1, to_version=2)
    moved = answers[60].at - timedelta(minutes=1)
    conn.execute("ALTER TABLE ledger DISABLE TRIGGER USER")
    conn.execute("UPDATE ledger SET at = %s WHERE event = 'promoted'", (moved,))
    found = told(service, "/v1/plans/quality?windows=6")
    assert [(one["version"], one["labelled"]) for one in found["windows"]] == [(1, 20)] * 3 + [(2, 20)] * 3
    marked = [one for one in found["promotions"] if one["event"] == "promoted"]
    assert marked == [{"at": moved.isoformat(), "event": "promoted", "from": 1, "to": 2}]
    assert told(service, "/v1/plans/quality?hours=1")["total"]["labelled"] < 120


def test_labels_for_a_few_wrong_answers_are_told_as_that(service: Service, conn: psycopg.Connection) -> None:
    answers = recent([replace(one, truth=None) for one in stream(185)] + stream(15, wrong_every=1, start=185))
    store(conn, answers, "plans")
    found = told(service, "/v1/plans/quality")
    assert found["total"]["accuracy"] == 0.0
    coverage = found["coverage"]
    assert (coverage["answers"], coverage["labelled"], coverage["share"]) == (200, 15, 0.075)
    assert (coverage["least"], coverage["most"]) == (0.0, 0.925)
    assert "wrong answers only" in coverage["warning"]


def test_what_the_version_before_still_answered_is_not_productions_quality(
    service: Service, conn: psycopg.Connection
) -> None:
    answers = recent(stream(30, version=1))
    store(conn, answers, "plans")
    ledger.record(conn, "plans", "promoted", actor="labels", reason="", from_version=1, to_version=2)
    conn.execute("ALTER TABLE ledger DISABLE TRIGGER USER")
    conn.execute("UPDATE ledger SET at = %s WHERE to_version = 2", (answers[0].at - timedelta(minutes=1),))
    quality = told(service, "/v1/plans/retrain/status")["quality"]
    assert (quality["newest"], quality["coverage"]["answers"]) == (None, 0)


@pytest.mark.parametrize("query", ["windows=0", "windows=x", "hours=-1", "hours=", "windows=201"])
def test_a_query_that_cannot_be_used_is_named(service: Service, query: str) -> None:
    name = query.split("=")[0]
    refused = error(service.get(f"/v1/plans/quality?{query}"), 422, "invalid")
    assert f"query '{name}'" in refused["message"]


def test_the_status_puts_quality_beside_what_was_promised(service: Service, conn: psycopg.Connection) -> None:
    run_id = request_run(conn, "plans", "retrain", "person")
    token = lifecycle.start_run(conn, run_id)
    result = {"outcome": "promoted", "challenger": "full", "scores": {"full": {"accuracy": 0.91}}}
    lifecycle.finish_run(conn, run_id, token, "succeeded", result)
    ledger.record(conn, "plans", "promoted", actor="person", reason="", to_version=1, run_id=run_id)
    nothing = told(service, "/v1/plans/retrain/status")["quality"]
    coverage = {"answers": 0, "labelled": 0, "share": None, "least": None, "most": None, "warning": None}
    audits = nothing.pop("audits")
    assert (audits["answers"], audits["right"], audits["sentence"]) == (0, None, None)
    assert nothing == {"metric": "accuracy", "newest": None, "at_promotion": 0.91, "coverage": coverage}
    answered = predict(service, PLANS, [record_of(PLANS)])["predictions"]
    items = [{"prediction_id": one["id"], "label": one["label"]} for one in answered]
    assert service.post("/v1/plans/feedback", {"items": items}).json()["accepted"] == 1
    newest = told(service, "/v1/plans/retrain/status")["quality"]["newest"]
    assert (newest["labelled"], newest["accuracy"], newest["version"]) == (1, 1.0, 1)


def test_the_status_says_when_the_schedule_retrains(service: Service) -> None:
    found = datetime.fromisoformat(told(service, "/v1/plans/retrain/status")["next_run"])
    schedule = PLANS.schedule
    assert schedule.retrain is not None
    assert found == next_time(schedule.retrain, schedule.timezone, datetime.now(UTC))


def test_versions_newest_first_with_where_to_look_further(service: Service, registry: FolderRegistry) -> None:
    registry.add(PLANS, 2)
    found = told(service, "/v1/plans/versions")
    assert [one["version"] for one in found["versions"]] == [2, 1]
    newest, serving = found["versions"]
    assert (serving["aliases"], serving["metrics"], serving["run_id"]) == (
        ["production"],
        {"accuracy": 0.9},
        "run-1",
    )
    uri = service.worker.settings.mlflow_uri
    runs_of_both, experiment = quote('["run-1", "run-2"]'), quote('["7"]')
    assert newest["links"] == {
        "mlflow_run": f"{uri}/#/experiments/7/runs/run-2",
        "mlflow_compare": f"{uri}/#/compare-runs?runs={runs_of_both}&experiments={experiment}",
        "mlflow_model": f"{uri}/#/models/plans/versions/2",
        "prefect_run": None,
    }
    assert serving["links"]["mlflow_compare"] is None
    assert [one["version"] for one in told(service, "/v1/plans/versions?limit=1")["versions"]] == [2]


def test_a_version_leads_to_the_flow_run_that_made_it(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = request_run(conn, "plans", "retrain", "person")
    lifecycle.start_run(conn, run_id, flow_run_id="f-1")
    tags = {"ratchet.run": run_id, "ratchet.verdict": "promote", "ratchet.parent": "none of ours"}
    version = Version("plans", 1, "", tags, (), 0)
    monkeypatch.setattr(registry, "versions", lambda _name: [version])
    (one,) = told(service, "/v1/plans/versions")["versions"]
    assert (one["verdict"], one["parent"], one["metrics"], one["run_id"]) == ("promote", None, {}, None)
    prefect = service.worker.settings.prefect_url.removesuffix("/api")
    assert one["links"]["prefect_run"] == f"{prefect}/runs/flow-run/f-1"
    assert one["links"]["mlflow_run"] is None
    run = find_run(conn, run_id)
    assert Addresses(prefect_url="https://api.prefect.cloud/api/accounts/1").flow_run(run) is None
    guarded = Addresses("https://me:s3cret@mlflow.example", "https://me:s3cret@prefect.example/api")
    assert guarded.model("plans") == "https://mlflow.example/#/models/plans"
    assert guarded.flow_run(run) == "https://prefect.example/runs/flow-run/f-1"


def test_with_mlflow_or_the_database_away_it_is_said(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    record_and_keep(conn)
    registry.away = True
    for path in ("versions", "drift/report"):
        error(service.get(f"/v1/plans/{path}"), 503, "mlflow_away")
    registry.away = False
    away(service)
    for path in ("quality", "versions", "drift", "drift/report", "retrain/history"):
        error(service.get(f"/v1/plans/{path}"), 503, "database_away")


def record_and_keep(
    conn: psycopg.Connection,
    verdict: str = "drift",
    run: str | None = "drift-run",
    digest: str | None = None,
) -> None:
    share = None if verdict == "too_little_evidence" else 0.5
    check_id = record_check(conn, "plans", verdict=verdict, share=share, report=CHECK, model_version=1)
    if run is not None:
        keep_page(conn, check_id, KeptPage(run, digest))


def test_drift_checks_newest_first(service: Service, conn: psycopg.Connection) -> None:
    assert told(service, "/v1/plans/drift") == {"use_case": "plans", "checks": []}
    record_and_keep(conn)
    record_and_keep(conn, "too_little_evidence", None)
    newest, before = told(service, "/v1/plans/drift")["checks"]
    assert (newest["verdict"], newest["share"], newest["page"]) == ("too_little_evidence", None, False)
    assert (before["verdict"], before["share"], before["page"]) == ("drift", 0.5, True)
    assert before["columns"]["tenure"] == {"method": "wasserstein", "value": 0.4, "drifted": True}
    assert before["rows"] == {"reference": 400, "recent": 300}


def test_the_report_is_that_of_the_last_check_that_has_one(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    error(service.get("/v1/plans/drift/report"), 404, "no_report")
    record_and_keep(conn, run="first")
    record_and_keep(conn, run="second")
    record_and_keep(conn, "too_little_evidence", None)
    error(service.get("/v1/plans/drift/report"), 404, "no_report")  # MLflow has forgotten it
    kept = sanitise_page(evidently_page({"name": "drift"}, {}))
    registry.artifacts["second", "drift.html"] = kept.encode()
    page = service.get("/v1/plans/drift/report")
    assert (page.status_code, page.text) == (200, kept)
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy == f"sandbox allow-scripts; {content_security_policy(kept)}; frame-ancestors 'self'"
    assert "script-src 'sha256-" in policy


def test_a_page_that_somebody_has_changed_is_not_shown(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    page = sanitise_page(evidently_page({"name": "drift"}, {})).encode()
    record_and_keep(conn, run="kept", digest=sha256(page).hexdigest())
    registry.artifacts["kept", "drift.html"] = page
    assert service.get("/v1/plans/drift/report").content == page
    registry.artifacts["kept", "drift.html"] = page.replace(b'"drift"', b'"other"')
    assert b'"other"' in registry.artifacts["kept", "drift.html"]
    error(service.get("/v1/plans/drift/report"), 404, "no_report")


def test_a_report_of_an_earlier_release_is_made_safe_and_a_strange_one_is_not_sent(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    record_and_keep(conn, run="old")
    old = evidently_page({"name": "</script><script>alert(1)</script>"}, {})
    registry.artifacts["old", "drift.html"] = old.encode()
    page = service.get("/v1/plans/drift/report")
    assert (page.status_code, page.text) == (200, sanitise_page(old))
    for strange in (b"<html><script>alert(1)</script></html>", b"\xff"):
        registry.artifacts["old", "drift.html"] = strange
        error(service.get("/v1/plans/drift/report"), 404, "no_report")


def test_past_retrains_newest_first(service: Service, conn: psycopg.Connection) -> None:
    assert told(service, "/v1/plans/retrain/history") == {"use_case": "plans", "runs": []}
    first = request_run(conn, "plans", "retrain", "schedule")
    token = lifecycle.start_run(conn, first, flow_run_id="f-1")
    result = {"outcome": "rejected", "reason": "worse", "train_rows": 90, "scores": {"full": {"f1": 0.5}}}
    lifecycle.finish_run(conn, first, token, "succeeded", result)
    second = request_run(conn, "plans", "retrain", "labels", runner="worker")
    newest, before = told(service, "/v1/plans/retrain/history")["runs"]
    assert (newest["id"], newest["status"], newest["links"]["prefect_run"]) == (second, "queued", None)
    assert (before["id"], before["trigger"], before["outcome"], before["rows"]["train"]) == (
        first,
        "schedule",
        "rejected",
        90,
    )
    assert before["seconds"] >= 0
    assert before["links"]["prefect_run"].endswith("/runs/flow-run/f-1")
    assert [one["id"] for one in told(service, "/v1/plans/retrain/history?limit=1")["runs"]] == [second]
