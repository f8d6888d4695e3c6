"""POST and GET /v1/{use_case}/predictions: kept, answered once, told how they stand."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from configs.schema import UseCase
from service.jobs.loop import FEW_JOBS, MOST_ATTEMPTS, MOST_JOBS, answer_jobs
from store import jobs
from tests.service.answers.test_predict import error, predict
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of
from tests.service.swap.test_watcher import wait_for

SERVED = ("digits", "plans")

DIGITS = USE_CASES["digits"]
PLANS = USE_CASES["plans"]


def submit(service: Service, use_case: UseCase, records: list[Any], **more: Any) -> str:
    """Path of a job that was taken in."""
    response = service.post(f"/v1/{use_case.name}/predictions", {"records": records, **more})
    assert response.status_code == 202, response.text
    path: str = response.headers["location"]
    return path


def answer(service: Service, path: str) -> Any:
    """What a job ends with."""
    wait_for(lambda: service.get(path).status_code != 202)
    return service.get(path)


def test_a_job_is_taken_in_and_answered_like_a_prediction(service: Service, use_case: UseCase) -> None:
    records = [record_of(use_case), record_of(use_case) | {"id": "mine"}]
    response = service.post(f"/v1/{use_case.name}/predictions", {"records": records})
    told = response.json()
    assert (response.status_code, set(told), told["status"]) == (
        202, {"job_id", "status", "created_at"}, "pending",
    )  # fmt: skip
    assert response.headers["location"] == f"/v1/{use_case.name}/predictions/{told['job_id']}"
    assert int(response.headers["retry-after"]) >= 1
    found = answer(service, response.headers["location"])
    assert found.status_code == 200
    expected = predict(service, use_case, records)
    assert without_ids(found.json()) == without_ids(expected)
    assert found.content == service.get(response.headers["location"]).content


def without_ids(content: dict[str, Any]) -> dict[str, Any]:
    """What does not differ between two answers to the same: each is drawn for the audit sample by itself."""
    return content | {"predictions": [one | {"id": None, "audit": None} for one in content["predictions"]]}


def test_each_job_is_answered_once_and_its_predictions_are_stored(
    service: Service, conn: psycopg.Connection
) -> None:
    paths = [submit(service, DIGITS, [record_of(DIGITS) | {"id": number}]) for number in range(80)]
    answered = {}
    for number, path in enumerate(paths):
        (one,) = answer(service, path).json()["predictions"]
        assert one["record_id"] == number
        answered[one["id"]] = str(number)
    stored: dict[str, str] = dict(conn.execute("SELECT id, record_id FROM prediction").fetchall())
    assert stored == answered
    assert 'ratchet_jobs_total{outcome="done",use_case="digits"} 80.0' in service.metrics()


def test_a_job_waits_while_no_worker_takes_it(service: Service, conn: psycopg.Connection) -> None:
    service.worker.job_loop.stop(10)
    path = submit(service, DIGITS, [record_of(DIGITS)])
    response = service.get(path)
    assert (response.status_code, response.json()["status"]) == (202, "pending")
    assert response.headers["retry-after"]
    jobs.take_jobs(conn, "digits", "another", most_jobs=1, most_records=1)
    assert service.get(path).json()["status"] == "processing"


def test_jobs_are_kept_while_the_service_is_stopped(
    start_service: StartService, registry: FolderRegistry
) -> None:
    registry.add(DIGITS, 1)
    registry.production["digits"] = 1
    first = start_service(RATCHET_USE_CASES="digits")
    first.worker.job_loop.stop(10)
    paths = [submit(first, DIGITS, [record_of(DIGITS)]) for _ in range(5)]
    second = start_service(RATCHET_USE_CASES="digits")
    assert [answer(second, path).status_code for path in paths] == [200] * 5


def test_what_a_gone_worker_held_is_answered(service: Service, conn: psycopg.Connection) -> None:
    service.worker.job_loop.stop(10)
    path = submit(service, DIGITS, [record_of(DIGITS)])
    jobs.take_jobs(conn, "digits", "a worker without a connection", most_jobs=1, most_records=1)
    assert jobs.free_jobs(conn) == 1
    (taken,) = jobs.take_jobs(conn, "digits", "me", most_jobs=1, most_records=1)
    settled = answer_jobs(service.worker.slots["digits"].pipeline(), [taken])
    assert jobs.finish_jobs(conn, "digits", "me", settled) == 1
    assert answer(service, path).status_code == 200


def test_a_bad_record_is_refused_at_once(service: Service) -> None:
    response = service.post("/v1/plans/predictions", {"records": [record_of(PLANS) | {"tenure": "abc"}]})
    assert "tenure" in error(response, 422, "invalid")["message"]
    error(service.post("/v1/plans/predictions", b"{"), 400, "not_json")


def test_a_job_that_the_next_version_refuses_fails_with_its_own_status(
    service: Service, conn: psycopg.Connection
) -> None:
    service.worker.job_loop.stop(10)
    paths = [submit(service, PLANS, [record_of(PLANS)]) for _ in range(2)]
    conn.execute("UPDATE job SET request = '{\"records\": [{}]}' WHERE id = %s", (paths[0].split("/")[-1],))
    taken = jobs.take_jobs(conn, "plans", "me", most_jobs=9, most_records=9)
    settled = answer_jobs(service.worker.slots["plans"].pipeline(), taken)
    assert jobs.finish_jobs(conn, "plans", "me", settled) == 2
    error(service.get(paths[0]), 422, "invalid")
    assert service.get(paths[1]).status_code == 200


def test_a_job_that_breaks_the_model_does_not_touch_its_neighbours(
    service: Service, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.worker.job_loop.stop(10)
    paths = [submit(service, DIGITS, [record_of(DIGITS)] * count) for count in (1, 3, 1)]
    live = service.worker.slots["digits"].serving()
    run = live.predictor.run

    def break_on_three(x: Any) -> Any:
        if len(x) != 1:
            raise RuntimeError("too many")
        return run(x)

    monkeypatch.setattr(live.predictor, "run", break_on_three)
    taken = jobs.take_jobs(conn, "digits", "me", most_jobs=9, most_records=9)
    jobs.finish_jobs(conn, "digits", "me", answer_jobs(live.pipeline, taken))
    assert [service.get(path).status_code for path in paths] == [200, 500, 200]
    error(service.get(paths[1]), 500, "model_failed")


def test_a_job_that_kills_its_workers_is_given_up(service: Service) -> None:
    taken = jobs.TakenJob(str(uuid.uuid4()), b'{"records": []}', MOST_ATTEMPTS + 1)
    (settled,) = answer_jobs(service.worker.slots["digits"].pipeline(), [taken])
    assert (settled.status, settled.state) == (500, "failed")
    assert b'"given_up"' in settled.answer


def test_what_the_database_refuses_fails_alone(service: Service, conn: psycopg.Connection) -> None:
    loop = service.worker.job_loop
    loop.stop(10)
    paths = [submit(service, DIGITS, [record_of(DIGITS)]) for _ in range(2)]
    taken = jobs.take_jobs(conn, "digits", loop._worker, most_jobs=9, most_records=9)
    good, bad = answer_jobs(service.worker.slots["digits"].pipeline(), taken)
    loop._finish(conn, "digits", [good, jobs.Settled(bad.job, 200, b"{}", b"not a row\n")])
    statuses = {path.split("/")[-1]: service.get(path).status_code for path in paths}
    assert statuses == {good.job.id: 200, bad.job.id: 500}


def test_jobs_go_in_smaller_batches_while_others_wait(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = service.worker.slots["digits"].pipeline().batcher
    take, batches = jobs.take_jobs, []

    def watch(*arguments: Any, most_jobs: int, **more: Any) -> list[jobs.TakenJob]:
        taken = take(*arguments, most_jobs=most_jobs, **more)
        if taken:
            batches.append(most_jobs)
            batcher.batches += 1  # as if somebody had been answered meanwhile
        return taken

    answer(service, submit(service, DIGITS, [record_of(DIGITS)]))  # what warmed the batcher up is past
    monkeypatch.setattr(jobs, "take_jobs", watch)
    paths = [submit(service, DIGITS, [record_of(DIGITS)]) for _ in range(12)]
    assert [answer(service, path).status_code for path in paths] == [200] * 12
    assert batches[0] == MOST_JOBS
    assert FEW_JOBS in batches


def test_an_unknown_job_and_an_expired_one(service: Service, conn: psycopg.Connection) -> None:
    for name in (str(uuid.uuid4()), "nothing", "%00"):
        error(service.get(f"/v1/digits/predictions/{name}"), 404, "unknown_job")
    path = submit(service, DIGITS, [record_of(DIGITS)])
    answer(service, path)
    error(service.get(path.replace("digits", "plans")), 404, "unknown_job")
    conn.execute("UPDATE job SET finished_at = now() - interval '25 hours'")
    jobs.expire_jobs(conn, "digits", DIGITS.serving.jobs_keep_hours)
    error(service.get(path), 410, "expired")


def test_paths_around_a_job(service: Service) -> None:
    error(service.get("/v1/digits/predictions"), 405, "method_not_allowed")
    error(service.post(f"/v1/digits/predictions/{uuid.uuid4()}", {}), 405, "method_not_allowed")
    error(service.get("/v1/digits/predictions/"), 404, "not_found")
    error(service.get("/v1/digits/predictions/a/b"), 404, "not_found")
    error(service.get("/v1/nobody/predictions/a"), 404, "unknown_use_case")


def test_without_a_model_nothing_is_taken_in(start_service: StartService) -> None:
    service = start_service()
    error(service.post("/v1/digits/predictions", {"records": [record_of(DIGITS)]}), 503, "untrained")


def test_the_same_key_is_the_same_job(service: Service, conn: psycopg.Connection) -> None:
    content = {"records": [record_of(DIGITS)]}
    first = service.post("/v1/digits/predictions", content, idempotency_key="a")
    again = service.post("/v1/digits/predictions", content, idempotency_key="a")
    assert (again.json(), again.headers["location"]) == (first.json(), first.headers["location"])
    other = {"records": [record_of(DIGITS)] * 2}
    error(service.post("/v1/digits/predictions", other, idempotency_key="a"), 409, "conflict")
    row = conn.execute("SELECT count(*) FROM job").fetchone()
    assert row == (1,)


@pytest.mark.parametrize("first", ["predictions", "feedback", "train"])
def test_a_key_that_came_with_the_same_body_for_something_else_is_a_conflict(
    service: Service, first: str
) -> None:
    record = record_of(DIGITS)
    both = {"records": [record], "items": [{"record": record, "label": "3"}]}
    assert service.post(f"/v1/digits/{first}", both, idempotency_key="a").is_success
    for other in {"predictions", "feedback", "train"} - {first}:
        error(service.post(f"/v1/digits/{other}", both, idempotency_key="a"), 409, "conflict")


def test_labels_beside_the_records_become_feedback(service: Service, conn: psycopg.Connection) -> None:
    label = PLANS.target.classes[0]
    path = submit(service, PLANS, [record_of(PLANS)], labels=[label])
    (one,) = answer(service, path).json()["predictions"]
    assert conn.execute("SELECT prediction_id, label FROM feedback").fetchall() == [(one["id"], label)]


def test_with_the_database_away_nothing_is_acknowledged(service: Service, conn: psycopg.Connection) -> None:
    conn.execute("ALTER TABLE job RENAME TO hidden")
    error(service.post("/v1/digits/predictions", {"records": [record_of(DIGITS)]}), 503, "database_away")
    conn.execute("ALTER TABLE hidden RENAME TO job")
    path = submit(service, DIGITS, [record_of(DIGITS)])
    assert answer(service, path).status_code == 200  # the loop has come back too
