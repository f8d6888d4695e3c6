"""POST /v1/{use_case}/predictions and GET a job: requests are kept now and answered later."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import orjson
import psycopg

from configs.schema import UseCase
from service.answers.responses import PredictionIds
from service.errors import Expired, TooManyJobs, UnknownJob
from service.http.exchange import Reply
from service.metrics import Metrics
from service.storage.database import Database
from service.storage.idempotency import IdempotencyKey, answer_once
from store.jobs import JobState, find_job, is_full, submit_job

RETRY_SECONDS = b"1"
"""How long a client should wait before it asks for the answer again."""


class JobIntake:
    """Takes jobs for one use case and answers how far they are; its methods block, and run in a thread."""

    def __init__(self, use_case: UseCase, database: Database, ids: PredictionIds, metrics: Metrics) -> None:
        self._use_case = use_case.name
        self._max_pending = use_case.serving.max_pending_jobs
        self._keep_hours = use_case.serving.jobs_keep_hours
        self._database = database
        self._ids = ids
        self._submitted = metrics.intake.jobs.labels(use_case.name, "submitted")

    def submit(self, body: bytes, records: int, key: str | None, said_by: str) -> Reply:
        """Keep a predict request; it is durable when this returns.

        Args:
            body: of the request, checked already.
            records: how many it holds.
            key: value of the header Idempotency-Key; None without one.
            said_by: the caller, whose labels come with it.

        Returns:
            202 with the id of the job, and where its answer will be.

        Raises:
            Conflict: the key came before with another body, or for another call.
            TooManyJobs: too many are pending.
            DatabaseAway: nothing was stored.
        """
        idempotency_key = IdempotencyKey.from_header(self._use_case, key, body)
        (job_id,) = self._ids.take(1, time.time_ns())
        answer, job = self._database.run(
            lambda conn: answer_once(
                conn,
                idempotency_key,
                partial(self._insert, conn, job_id, body, records, said_by),
                says="job_id",
            )
        )
        if job is not None:
            self._submitted.inc()
        return self._pending_reply(answer)

    def find(self, job_id: str) -> Reply:
        """The answer of a job; 202 with its state while there is none.

        Raises:
            UnknownJob: there is none of this id.
            Expired: it was answered, and the answer is kept no more.
        """
        job = self._database.read(lambda conn: find_job(conn, self._use_case, job_id))
        if job is None:
            raise UnknownJob(self._use_case, job_id)
        if job.state == "expired":
            raise Expired(self._use_case, job.id, self._keep_hours)
        if job.answer is None or job.status is None:
            return self._pending_reply(_describe(job))
        return Reply(job.status, job.answer)

    def _insert(
        self, conn: psycopg.Connection[Any], job_id: str, body: bytes, records: int, said_by: str
    ) -> tuple[bytes, JobState]:
        if is_full(conn, self._use_case, self._max_pending):
            raise TooManyJobs(self._use_case, self._max_pending)
        created_at = submit_job(conn, self._use_case, job_id, body, records, said_by)
        job = JobState(job_id, "pending", created_at, None, None)
        return _describe(job), job

    def _pending_reply(self, body: bytes) -> Reply:
        job_id = orjson.loads(body)["job_id"]
        location = f"/v1/{self._use_case}/predictions/{job_id}".encode()
        return Reply(202, body, [(b"location", location), (b"retry-after", RETRY_SECONDS)])


def _describe(job: JobState) -> bytes:
    return orjson.dumps({"job_id": job.id, "status": job.state, "created_at": job.created_at.isoformat()})
