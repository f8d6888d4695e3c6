"""The thread that answers jobs: in small batches on one core, giving way to requests that wait."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

import psycopg

from configs.schema import UseCase
from features.records.contract import RecordContract
from service.answers.batcher import settle
from service.answers.pipeline import PredictPipeline
from service.answers.requests import PredictRequest
from service.answers.responses import PredictResponse
from service.answers.slot import Slot
from service.errors import JobGivenUp, OutOfMemory, ServiceError
from service.metrics import Metrics
from service.storage.database import Database
from service.storage.notices import NoticeWait
from store import jobs
from store.database.faults import sentence
from store.database.sessions import has_own_session
from store.errors import DatabaseError
from store.feedback.fences import hold_labels_to_fences, production_fences
from store.feedback.insertion import HTTP_SOURCE, FeedbackBatch, label_predictions
from store.jobs import Settled, TakenJob

SOURCE = HTTP_SOURCE
MOST_JOBS = 32
MOST_RECORDS = 128
"""Jobs and records of one batch; a larger job is a batch of its own."""
FEW_JOBS = 4
"""Jobs of one batch while requests wait for answers, and of those with pictures of any size."""
REST = 4.0
"""While requests wait for answers, a batch is followed by a pause of so many times its length."""
MOST_ATTEMPTS = 5
"""How often a job may be begun; one that kills its workers must not do so for ever."""
LOOK_SECONDS = 5.0
"""Between two looks for jobs of workers that are gone, and for jobs whose notice was missed."""
UNHEARD_SECONDS = 0.5
"""Between two looks for new jobs behind a pooler, where nothing is announced."""
EXPIRE_SECONDS = 60.0
"""Between two deletions of answers that were kept long enough."""
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
        self._contracts = {name: RecordContract(one.record) for name, one in use_cases.items()}
        self._slots = slots
        self._database = database
        self._metrics = metrics
        self._look_seconds = look_seconds
        self._worker = ""
        self._freed_at = self._expired_at = -EXPIRE_SECONDS
        self._stopping = threading.Event()
        self._notices = NoticeWait()
        self._thread = self._make_thread()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def lose(self, thread: int) -> None:
        """Go on in another thread where this is the loop's, and hangs by a version.

        Its jobs are free again when their lease ends; should it come back, it answers nobody.

        Raises:
            RuntimeError: the system gives no thread now.
        """
        if thread == self._thread.ident and not self._stopping.is_set():
            log.error("the jobs in hand are left behind; others are answered in a new thread")
            lost, self._thread = self._thread, self._make_thread()
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = lost  # which is to be made up for still
                raise

    def _make_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="jobs", daemon=True)

    @property
    def _is_over(self) -> bool:
        """Whether this thread is to end: all are, or another one has its work."""
        return self._stopping.is_set() or threading.current_thread() is not self._thread

    def stop(self, timeout: float) -> None:
        """Finish the batch in hand and end; waits at most `timeout` seconds."""
        self._stopping.set()
        self._notices.end(self._thread, timeout)

    def _run(self) -> None:
        is_away = False
        while not self._is_over:
            try:
                with self._database.open_session() as conn:
                    is_away = False
                    self._work(conn)
            except (DatabaseError, psycopg.Error) as error:
                if not is_away:
                    log.warning("jobs wait for the database: %s", sentence(error))
                is_away = True
            except Exception:
                log.exception("the jobs in hand are given back")
            self._stopping.wait(RECONNECT_SECONDS)

    def _work(self, conn: psycopg.Connection[Any]) -> None:
        self._worker = jobs.name_worker(conn)  # what an earlier connection took is not this one's
        hears = has_own_session(conn)
        if hears:
            conn.execute(f"LISTEN {jobs.CHANNEL}")
        max_jobs = MOST_JOBS
        while not self._is_over:
            self._free_and_expire(conn)
            began, request_batches = monotonic(), self._request_batches()
            # Every use case has its turn, however long the queue of another is.
            answered = sum(self._answer_batch(conn, slot, max_jobs) for slot in self._slots.values())
            is_quiet = self._request_batches() == request_batches
            max_jobs = MOST_JOBS if is_quiet else FEW_JOBS
            if not answered:
                self._wait(conn, self._look_seconds if hears else UNHEARD_SECONDS)
            elif not is_quiet:
                self._stopping.wait(REST * (monotonic() - began))

    def _wait(self, conn: psycopg.Connection[Any], seconds: float) -> None:
        """Wait until a job is announced, or it is time to look for jobs without an announcement."""
        deadline = monotonic() + seconds
        while not self._stopping.is_set() and (left := deadline - monotonic()) > 0:
            if self._notices.wait(conn, left):
                return

    def _free_and_expire(self, conn: psycopg.Connection[Any]) -> None:
        """Now and then, free the jobs of workers that are gone, and delete old answers."""
        now = monotonic()
        if now - self._freed_at >= self._look_seconds:
            self._freed_at = now
            if freed := jobs.free_jobs(conn):
                log.info("%d jobs of workers that are gone are taken up again", freed)
        if now - self._expired_at >= EXPIRE_SECONDS:
            self._expired_at = now
            for name, config in self._use_cases.items():
                jobs.expire_jobs(conn, name, config.serving.jobs_keep_hours)

    def _answer_batch(self, conn: psycopg.Connection[Any], slot: Slot, max_jobs: int) -> int:
        """Answer at most `max_jobs` jobs of one use case; returns how many."""
        pipeline = slot.answering
        if pipeline is None or self._is_over:
            return 0
        if pipeline.reader.decodes_pictures:  # which take long, and others wait for their turn
            max_jobs = FEW_JOBS
        batch = jobs.take_jobs(conn, slot.name, self._worker, most_jobs=max_jobs, most_records=MOST_RECORDS)
        if batch:
            self._finish(conn, slot.name, answer_jobs(pipeline, batch))
        return len(batch)

    def _request_batches(self) -> int:
        """How many batches of requests, not of jobs, this process has answered since it started."""
        return sum(
            pipeline.batcher.batches
            for slot in self._slots.values()
            if (pipeline := slot.answering) is not None
        )

    def _finish(self, conn: psycopg.Connection[Any], name: str, settled: Sequence[Settled]) -> None:
        """Store the answers; one that the database refuses fails alone."""
        settled = self._hold_to_fences(conn, name, settled)
        try:
            jobs.finish_jobs(conn, name, self._worker, settled)
        except (psycopg.DataError, psycopg.IntegrityError):
            if len(settled) > 1:
                for job in settled:
                    self._finish(conn, name, [job])
                return
            log.exception("the database refuses the predictions of a job")
            settled = [_failed(settled[0].job, ServiceError("the predictions could not be stored"))]
            jobs.finish_jobs(conn, name, self._worker, settled)
        for job in settled:
            self._metrics.intake.jobs.labels(name, job.state).inc()

    def _hold_to_fences(
        self, conn: psycopg.Connection[Any], name: str, settled: Sequence[Settled]
    ) -> list[Settled]:
        """The same, without labels whose records are beyond production's fence, where that is configured."""
        if all(one.feedback is None for one in settled):
            return list(settled)
        fences, contract = production_fences(conn, self._use_cases[name]), self._contracts[name]
        held = []
        for one in settled:
            if one.feedback is not None:
                kept, refused = hold_labels_to_fences(fences, contract, one.feedback)
                one = replace(one, feedback=kept, refused=[*one.refused, *refused])
            held.append(one)
        return held


def answer_jobs(pipeline: PredictPipeline, batch: Sequence[TakenJob]) -> list[Settled]:
    """The answer or the error of each job; one that is refused or breaks the model fails alone.

    Jobs that cannot be read come first, the others after them in order. Those for which there is no memory
    are not among them: they are free again when their lease ends.
    """
    settled: list[Settled] = []
    readable: list[tuple[TakenJob, PredictRequest]] = []
    for job in batch:
        try:
            if job.attempts > MOST_ATTEMPTS:
                raise JobGivenUp(job.attempts - 1)
            readable.append((job, pipeline.reader.read(job.request)))
        except ServiceError as error:
            settled.append(_failed(job, error))
    results = settle(pipeline.answer_later, pipeline.failure, [request for _, request in readable])
    for (job, request), result in zip(readable, results, strict=True):
        if isinstance(result, OutOfMemory):
            continue
        if isinstance(result, ServiceError):
            settled.append(_failed(job, result))
        else:
            lines = b"".join(result.log_lines)
            settled.append(
                Settled(job, 200, result.body, lines, _feedback_of(pipeline, job, request, result))
            )
    return settled


def _feedback_of(
    pipeline: PredictPipeline, job: TakenJob, request: PredictRequest, response: PredictResponse
) -> FeedbackBatch | None:
    """True labels that came beside the records, as feedback on the predictions; None without any."""
    if request.labels is None:
        return None
    documents = pipeline.documents(request)
    own_ids, groups = request.own_ids(), request.groups
    return label_predictions(response.ids, own_ids, documents, request.labels, SOURCE, groups, job.said_by)


def _failed(job: TakenJob, error: ServiceError) -> Settled:
    return Settled(job, error.status, error.body())
