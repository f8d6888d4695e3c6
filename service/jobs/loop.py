"""The thread that answers jobs: in small batches on one core, when nobody waits for an answer."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

import psycopg

from configs.schema import UseCase
from service.answers.batcher import settle
from service.answers.pipeline import PredictPipeline
from service.answers.requests import PredictRequest
from service.answers.responses import PredictResponse
from service.answers.slot import Slot
from service.errors import JobGivenUp, ServiceError
from service.metrics import Metrics
from service.storage.database import AWAY, Database
from store import jobs
from store.errors import DatabaseError
from store.feedback.identity import identities
from store.feedback.insertion import FeedbackBatch
from store.jobs import Settled, TakenJob

SOURCE = "http"
MOST_JOBS = 32
MOST_RECORDS = 128
"""Jobs and records of one batch; a larger job is a batch of its own."""
FEW_JOBS = 4
"""Jobs of one batch while others wait for answers."""
REST = 4.0
"""While others wait for answers, a batch is followed by a rest of so many times its length."""
MOST_ATTEMPTS = 5
"""How often a job may be begun; one that kills its workers must not do so for ever."""
LOOK_SECONDS = 5.0
"""Between two looks for what other workers have left behind, and for notices that were missed."""
EXPIRE_SECONDS = 60.0
RECONNECT_SECONDS = 2.0

log = logging.getLogger("ratchet.service")


class JobLoop:
    """Answers the jobs of every use case that has a model, with the version that serves."""

    def __init__(
        self,
        use_cases: Mapping[str, UseCase],
        slots: Mapping[str, Slot],
        database: Database,
        metrics: Metrics,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._use_cases = use_cases
        self._slots = slots
        self._database = database
        self._metrics = metrics
        self._look_seconds = look_seconds
        self._worker = ""
        self._looked = self._expired = -EXPIRE_SECONDS
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Settle what is in hand and end."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        away = ""
        while not self._stopping.is_set():
            try:
                with self._database.open() as conn:
                    away = ""
                    self._work(conn)
            except (*AWAY, DatabaseError, psycopg.Error) as error:
                if not away:
                    log.warning("jobs wait for the database: %s", error)
                away = str(error)
            except Exception:
                log.exception("the jobs in hand are given back")
            self._stopping.wait(RECONNECT_SECONDS)

    def _work(self, conn: psycopg.Connection[Any]) -> None:
        self._worker = str(uuid.uuid4())  # what an earlier connection took is not this one's
        jobs.show_life(conn, self._worker)
        conn.execute(f"LISTEN {jobs.CHANNEL}")
        most = MOST_JOBS
        while not self._stopping.is_set():
            self._look_around(conn)
            began, others = monotonic(), self._others()
            # Every use case has its turn, however long the queue of another is.
            taken = sum(self._batch(conn, slot, most) for slot in self._slots.values())
            quiet = self._others() == others
            most = MOST_JOBS if quiet else FEW_JOBS
            if not taken:
                self._wait(conn)
            elif not quiet:
                self._stopping.wait(REST * (monotonic() - began))

    def _wait(self, conn: psycopg.Connection[Any]) -> None:
        """Until there is news of a job, or it is time to look around."""
        until = monotonic() + self._look_seconds
        while not self._stopping.is_set() and monotonic() < until:
            if any(True for _ in conn.notifies(timeout=min(0.5, self._look_seconds), stop_after=1)):
                return

    def _look_around(self, conn: psycopg.Connection[Any]) -> None:
        now = monotonic()
        if now - self._looked >= self._look_seconds:
            self._looked = now
            if freed := jobs.free_jobs(conn):
                log.info("%d jobs of workers that are gone are taken up again", freed)
        if now - self._expired >= EXPIRE_SECONDS:
            self._expired = now
            for name, config in self._use_cases.items():
                jobs.expire_jobs(conn, name, config.serving.jobs_keep_hours)

    def _batch(self, conn: psycopg.Connection[Any], slot: Slot, most: int) -> int:
        """Answer a few jobs of one use case; gives how many were taken."""
        pipeline = slot.answering
        if pipeline is None or self._stopping.is_set():
            return 0
        taken = jobs.take_jobs(conn, slot.name, self._worker, most_jobs=most, most_records=MOST_RECORDS)
        if taken:
            self._finish(conn, slot.name, answer_jobs(pipeline, taken))
        return len(taken)

    def _others(self) -> int:
        """How often this process has answered somebody who waits for it."""
        return sum(
            pipeline.batcher.batches
            for slot in self._slots.values()
            if (pipeline := slot.answering) is not None
        )

    def _finish(self, conn: psycopg.Connection[Any], name: str, settled: Sequence[Settled]) -> None:
        try:
            jobs.finish_jobs(conn, name, self._worker, settled)
        except (psycopg.DataError, psycopg.IntegrityError):
            if len(settled) > 1:
                for one in settled:
                    self._finish(conn, name, [one])
                return
            log.exception("the database refuses the predictions of a job")
            settled = [_failed(settled[0].job, ServiceError("the predictions could not be stored"))]
            jobs.finish_jobs(conn, name, self._worker, settled)
        for one in settled:
            self._metrics.intake.jobs.labels(name, one.state).inc()


def answer_jobs(pipeline: PredictPipeline, taken: Sequence[TakenJob]) -> list[Settled]:
    """What becomes of each job; one that is refused or breaks the model does not touch the others."""
    settled: list[Settled] = []
    readable: list[tuple[TakenJob, PredictRequest]] = []
    for job in taken:
        try:
            if job.attempts > MOST_ATTEMPTS:
                raise JobGivenUp(job.attempts - 1)
            readable.append((job, pipeline.reader.read(job.request)))
        except ServiceError as error:
            settled.append(_failed(job, error))
    results = settle(pipeline.answer_unlogged, pipeline.failure, [request for _, request in readable])
    for (job, request), result in zip(readable, results, strict=True):
        if isinstance(result, ServiceError):
            settled.append(_failed(job, result))
        else:
            lines = b"".join(result.log_lines)
            settled.append(Settled(job, 200, result.body, lines, _labels(pipeline, request, result)))
    return settled


def _labels(
    pipeline: PredictPipeline, request: PredictRequest, response: PredictResponse
) -> FeedbackBatch | None:
    """Known truth that came beside the records, as feedback on the predictions."""
    if request.labels is None:
        return None
    documents = pipeline.documents(request)
    names = identities(documents, prediction_ids=response.ids)
    return FeedbackBatch(names, documents, request.labels, SOURCE, prediction_id=response.ids)


def _failed(job: TakenJob, error: ServiceError) -> Settled:
    return Settled(job, error.status, error.body())
