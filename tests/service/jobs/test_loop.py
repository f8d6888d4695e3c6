"""Labels that came with a job are held to what labels by every other way are held to."""

from __future__ import annotations

from typing import Any, cast

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from service.jobs.loop import JobLoop
from service.metrics import Metrics
from service.storage.database import Database
from store import jobs
from store.feedback.insertion import HTTP_SOURCE, label_predictions
from store.jobs import Settled
from tests.store.feedback.test_fences import REASON, people, register

JOB = "01a1fe1e-7758-754b-870d-78d48fef5ac0"
IDS = ["01a1fe1e-7758-754b-870d-78d48fef5ac1", "01a1fe1e-7758-754b-870d-78d48fef5ac2"]


@pytest.mark.parametrize(("fence", "stored"), [("leave_out", ["yes", "no"]), ("quarantine", ["yes"])])
def test_labels_of_a_job_are_held_to_productions_fence(
    conn: psycopg.Connection[Any], fence: str, stored: list[str]
) -> None:
    register(conn, 1, 150.0)
    jobs.submit_job(conn, "people", JOB, b"{}", 2, "shop")
    loop = JobLoop(
        {"people": people(fence)}, {}, cast("Database", None), Metrics(CollectorRegistry()), look_seconds=1.0
    )
    loop._worker = jobs.name_worker(conn)
    (job,) = jobs.take_jobs(conn, "people", loop._worker, most_jobs=1, most_records=10)
    labels = label_predictions(
        IDS, None, ['{"age":30.0}', '{"age":1e9}'], ["yes", "no"], HTTP_SOURCE, None, job.said_by
    )
    loop._finish(conn, "people", [Settled(job, 200, b"{}", b"", labels)])
    assert [row[0] for row in conn.execute("SELECT label FROM feedback ORDER BY seq")] == stored
    refused = conn.execute("SELECT reason, said_by FROM quarantine").fetchall()
    assert refused == [(REASON, "shop")] * (2 - len(stored))
