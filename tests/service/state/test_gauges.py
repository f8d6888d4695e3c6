"""What waits here, and what the database says, as Prometheus reads it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from models.production import ledger
from service.metrics import Metrics
from service.state import gauges
from service.state.gauges import Gauges
from store.drift.checks import record_check
from store.jobs import submit_job
from store.predictions.shadow_answers import write_standing
from store.runs import lifecycle
from store.runs.lifecycle import request_run
from tests.service.conftest import USE_CASES, Service, record_of
from tests.service.swap.test_watcher import wait_for
from tests.store.predictions.test_labelled_answers import START, store, stream
from tests.store.runs.test_workers import living_worker

SERVED = ("plans",)


def value(service: Service, name: str, **labels: str) -> float | None:
    return service.collected.get_sample_value(name, {"use_case": "plans", **labels})


def test_what_the_database_says(service: Service, conn: psycopg.Connection) -> None:
    soon = (datetime.now(UTC) - START).total_seconds() / 60 + 1  # after production was taken up
    store(conn, stream(40, start=soon), "plans")
    run_id = request_run(conn, "plans", "retrain", "person")
    lifecycle.finish_run(conn, run_id, lifecycle.start_run(conn, run_id), "failed", error="no")
    service.worker.job_loop.stop(5)  # which would answer it
    submit_job(conn, "plans", "01a1fe1e-7758-754b-8070-d78d48fef5ac", b"{}", 1)
    record_check(conn, "plans", verdict="drift", share=0.6, report={}, model_version=1)
    service.worker.gauges.set_from_database()
    assert value(service, "ratchet_live_accuracy") == 0.75
    assert value(service, "ratchet_live_labelled") == 40
    assert value(service, "ratchet_feedback_lag_seconds") == 3600
    assert value(service, "ratchet_labels") == 40
    assert value(service, "ratchet_retrain_runs", status="failed") == 1
    assert value(service, "ratchet_retrain_runs", status="succeeded") == 0
    assert (value(service, "ratchet_drift_share"), value(service, "ratchet_drift_found")) == (0.6, 1)
    assert 0 <= (value(service, "ratchet_drift_check_age_seconds") or -1) < 60
    assert math.isnan(value(service, "ratchet_accuracy_at_promotion") or 0)


def test_what_a_shadow_version_made_of_live_records(service: Service, conn: psycopg.Connection) -> None:
    plain = USE_CASES["plans"]
    asked = plain.model_copy(update={"serving": plain.serving.model_copy(update={"shadow": "challenger"})})
    gauges_of = service.worker.gauges
    gauges_of.set_from_database()
    assert value(service, "ratchet_shadow_records", outcome="same") is None, "none is configured"
    gauges_of._use_cases = {"plans": asked}
    write_standing(conn, "plans", "challenger", 2, "answers")
    conn.execute("UPDATE shadow_standing SET answered = 100, differing = 7, failed = 3, left_out = 11")
    gauges_of.set_from_database()
    counts = {"same": 90, "differing": 7, "failed": 3, "left_out": 11}
    assert {one: value(service, "ratchet_shadow_records", outcome=one) for one in counts} == counts


def test_rows_beyond_production_s_fence(service: Service, conn: psycopg.Connection) -> None:
    service.worker.gauges.set_from_database()
    assert value(service, "ratchet_beyond_fence", what="kept") is None, "there is no fence"
    evidence = {"digest": "d", "fences": {"tenure": [0, 1]}, "beyond_fence": {"left_out": 2, "cut": 5}}
    ledger.record(conn, "plans", "registered", actor="x", reason="", to_version=7, evidence=evidence)
    ledger.record(conn, "plans", "promoted", actor="x", reason="", to_version=7)
    records = [record_of(USE_CASES["plans"]) | {"tenure": tenure} for tenure in (0.5, 50, 60)]
    items = [{"record": record, "label": "One year"} for record in records]
    assert service.post("/v1/plans/feedback", {"items": items}).json()["accepted"] == 3
    service.worker.gauges.set_from_database()
    whats = ("kept", "quarantined", "left_out", "cut")
    assert [value(service, "ratchet_beyond_fence", what=what) for what in whats] == [2, 0, 2, 5]
    fence = service.get("/v1/plans/retrain/status").json()["fence"]
    assert [fence[what] for what in whats] == [2, 0, 2, 5]
    assert fence["sentence"].startswith("2 of the newest 3 labelled rows lie")


def test_whether_a_worker_runs_flows(service: Service, database_url: str) -> None:
    service.worker.gauges.set_from_database()
    assert service.collected.get_sample_value("ratchet_flow_worker") == 0
    with living_worker(database_url):
        service.worker.gauges.set_from_database()
        assert service.collected.get_sample_value("ratchet_flow_worker") == 1


def test_without_labels_the_accuracy_is_not_known(service: Service) -> None:
    service.worker.gauges.set_from_database()
    assert value(service, "ratchet_live_labelled") == 0
    assert math.isnan(value(service, "ratchet_live_accuracy") or 0)
    assert value(service, "ratchet_drift_share") is None


def test_what_waits_for_the_model(service: Service) -> None:
    pipeline = service.worker.slots["plans"].pipeline()
    pipeline.batcher._waiting = 7
    service.worker.gauges.set_waiting()
    pipeline.batcher._waiting = 0
    assert value(service, "ratchet_waiting_records") == 7


def test_one_of_several_workers_asks_and_another_takes_over(service: Service, tmp_path: Path) -> None:
    assert not service.worker.gauges._thread.is_alive(), "it is the server that starts it"
    file = tmp_path / "lock" / "file"
    both = [
        Gauges(USE_CASES, service.worker.slots, service.worker.database, Metrics(CollectorRegistry()), file)
        for _ in range(2)
    ]
    assert [one._holds_lock() for one in both] == [True, False]
    both[0].stop(1)
    assert both[1]._holds_lock()
    both[1].stop(1)


def test_it_runs_by_itself_and_ends(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "WAITING_SECONDS", 0.01)
    service.worker.gauges.start()
    wait_for(lambda: value(service, "ratchet_live_labelled") == 0)
    service.worker.gauges.stop(5)
    assert not service.worker.gauges._thread.is_alive()
