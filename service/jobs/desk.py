"""Asynchronous requests: taken in, and told how they stand."""

from __future__ import annotations

import time
from typing import Any

import orjson
import psycopg

from configs.schema import UseCase
from service.answers.responses import PredictionIds
from service.errors import Expired, TooManyJobs, UnknownJob
from service.http.exchange import Reply
from service.metrics import Metrics
from service.storage.database import Database
from service.storage.idempotency import Key
from store.jobs import JobState, find_job, is_full, submit_job

RETRY_SECONDS = b"1"


class JobDesk:
    """Keeps the jobs of one use case; its methods block, and run in a thread."""

    def __init__(self, use_case: UseCase, database: Database, ids: PredictionIds, metrics: Metrics) -> None:
        self._name = use_case.name
        self._most_pending = use_case.serving.max_pending_jobs
        self._keep_hours = use_case.serving.jobs_keep_hours
        self._database = database
        self._ids = ids
        self._submitted = metrics.intake.jobs.labels(use_case.name, "submitted")

    def submit(self, body: bytes, records: int, key: str | None) -> Reply:
        """Keep a request whose `records` were checked; it is durable when this returns.

        Raises:
            Conflict: the key came before with another body.
            TooManyJobs: too many are pending.
            DatabaseAway: nothing was stored.
        """
        idempotency = Key.of(self._name, key, body)
        (job_id,) = self._ids.take(1, time.time_ns())

        def store(conn: psycopg.Connection[Any]) -> bytes:
            with conn.transaction():
                if idempotency is not None and (before := idempotency.first_answer(conn)) is not None:
                    return before
                if is_full(conn, self._name, self._most_pending):
                    raise TooManyJobs(self._name, self._most_pending)
                created_at = submit_job(conn, self._name, job_id, body, records)
                answer = _describe(JobState(job_id, "pending", created_at, None, None))
                if idempotency is not None:
                    idempotency.keep(conn, answer)
            self._submitted.inc()
            return answer

        return self._later(self._database.run(store))

    def find(self, job_id: str) -> Reply:
        """The answer of a job, or how it stands.

        Raises:
            UnknownJob: there is none of this id.
            Expired: it was answered, and the answer is kept no more.
        """
        job = self._database.run(lambda conn: find_job(conn, self._name, job_id))
        if job is None:
            raise UnknownJob(self._name, job_id)
        if job.state == "expired":
            raise Expired(self._name, job.id, self._keep_hours)
        if job.answer is None or job.status is None:
            return self._later(_describe(job))
        return Reply(job.status, job.answer)

    def _later(self, body: bytes) -> Reply:
        job_id = orjson.loads(body)["job_id"]
        location = f"/v1/{self._name}/predictions/{job_id}".encode()
        return Reply(202, body, [(b"location", location), (b"retry-after", RETRY_SECONDS)])


def _describe(job: JobState) -> bytes:
    return orjson.dumps({"job_id": job.id, "status": job.state, "created_at": job.created_at.isoformat()})
