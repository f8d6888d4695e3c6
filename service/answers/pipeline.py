"""Predict as one sequence: read a request, join a batch; gather its records, answer, write responses, log.

The first half is each request's own (`predict`), the second a batch's (`answer`); `Batcher` stands between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from features.encoders.contract import row_count
from features.errors import RecordError
from features.records.contract import LabelContract, RecordContract
from models.estimators.arrays import Features
from models.passing_faults import lacks_memory
from models.versions.predictor import Predictor
from service.answers.batcher import Batcher, Waiter
from service.answers.decoding import Decoding
from service.answers.requests import PredictRequest, RequestReader, invalid_records
from service.answers.responders import Responder, Run
from service.answers.responses import PredictionIds, PredictResponse, ResponseWriter
from service.errors import LogUnwritable, ModelFailed, ServiceError
from service.http.exchange import Receive
from service.metrics import BatchLog, Metrics
from service.watchdog.activity import ANSWERING, IDLE, ActivityMarks
from store.predictions.journal import Journal

SHARE_ROWS = 24
"""Fewer rows than this are not worth handing to another thread."""
MAX_WAITING_REQUESTS = 16
"""As many requests of the greatest allowed size may wait for the model."""

KeepLabels = Callable[[PredictRequest, Sequence[str], Sequence[str]], Awaitable[None]]
"""Stores labels known at once, of a request with ids of its predictions and canonical JSON of its records."""

log = logging.getLogger("ratchet.service")


@dataclass(frozen=True)
class BatchThreads:
    """Threads that take a share of a large batch; never those that run batches, which wait for them."""

    pool: Executor
    count: int

    def run(self, predictor: Predictor, x: Features) -> NDArray[np.float32]:
        """Run a version; on many rows, with every core taking a share."""
        shares = min(self.count + 1, len(x) // SHARE_ROWS)
        if shares < 2:
            return predictor.run(x)
        first, *others = np.array_split(x, shares)
        lent = [(part, self.pool.submit(predictor.run, part)) for part in others]
        done = [predictor.run(first)]
        for part, share in lent:  # what nobody has begun, as another version keeps the threads, is done here
            done.append(predictor.run(part) if share.cancel() else share.result())
        return np.concatenate(done)


@dataclass(frozen=True)
class SharedResources:
    """What the pipelines of all use cases share in one worker."""

    journal: Journal
    ids: PredictionIds
    loop: asyncio.AbstractEventLoop
    executor: Executor
    """Runs batches that would hold up the loop."""
    threads: BatchThreads
    metrics: Metrics
    marks: ActivityMarks
    """What runs now, for whoever finds out why this worker died."""
    configured: Mapping[str, UseCase] = field(default_factory=dict)
    """Each use case as it is now: how it answers, and which labels may come with records. One that is not
    named is as its version was made."""
    decoding: Decoding = field(default_factory=Decoding)


def run_alone(predictor: Predictor, x: Features) -> NDArray[np.float32]:
    """Run a version in this thread."""
    return predictor.run(x)


class Beside(Protocol):
    """A version that answers some of the records of a use case, beside the one that serves."""

    def submit(self, request: PredictRequest, serving: PredictPipeline) -> Awaitable[PredictResponse]:
        """Answer a request, each record by its version."""

    def answer_later(self, request: PredictRequest, serving: PredictPipeline) -> PredictResponse:
        """The same in this thread, unlogged."""


class PredictPipeline:
    """Answers the requests for one use case by one version.

    Args:
        use_case: as the version that serves was made with it: what a record may be. How it answers
            (`serving`), and what a label may be, is as it is configured now.
        version: that version; None where there is none yet, and others answer.
        isolated: answers in a thread of its own, and lends itself no others: where it hangs, nobody who
            is answered by another version waits.
    """

    def __init__(
        self,
        use_case: UseCase,
        version: int | None,
        responder: Responder,
        shared: SharedResources,
        *,
        isolated: bool = False,
    ) -> None:
        self.name = use_case.name
        self.version = version
        self.responder = responder
        """May be replaced at any time; each batch is answered by one."""
        self.contract = RecordContract(use_case.record)
        configured = shared.configured.get(self.name, use_case)
        serving = configured.serving
        self.reader = RequestReader(
            self.contract,
            LabelContract(configured.target, configured.record.missing),
            serving.max_records,
            refuse_unknown=serving.unknown_fields == "refuse",
            configured=configured.record,
            version=version,
        )
        key = "labels" if use_case.target.task == "multilabel" else "label"
        self._writer = ResponseWriter(self.name, version, shared.ids, key, serving.audit)
        self._journal = shared.journal
        self._marks = shared.marks
        self.pictures = shared.decoding.lane(self.name)
        """Where requests that may hold pictures wait to be read."""
        self.answered = self.broken = 0
        """Requests that the version has answered, and those that it broke on alone, for no want of memory."""
        self._run: Run = run_alone if isolated else shared.threads.run
        self._observe_rows = BatchLog(
            shared.loop, shared.metrics.answers.batch_rows.labels(self.name)
        ).observe
        self._loop = shared.loop
        self._make_batcher: Callable[[], Batcher[PredictRequest, PredictResponse]] = partial(
            Batcher,
            shared.executor,
            shared.loop,
            max_rows=serving.max_batch_rows,
            max_waiting=serving.max_records * MAX_WAITING_REQUESTS,
            inline=not isolated,
        )
        self.batcher: Batcher[PredictRequest, PredictResponse] = self._make_batcher()
        self.beside: Beside | None = None
        """Another version, which answers some of the records."""

    async def read(self, body: bytes, receive: Receive | None = None) -> PredictRequest:
        """Read the body of a predict request; where pictures may be in it, in its turn, off the event loop.

        Args:
            receive: of the request; nothing is decoded for a caller who hung up.

        Raises:
            ServiceError: the body is refused, or too many wait with their pictures.
        """
        if not self.reader.has_images:
            return self.reader.read(body)
        # Arrays of numbers are read at once. In a shape that takes pictures of any size, those are usual.
        request = None if self.reader.decodes_pictures else self.reader.read_fast(body)
        if request is None:
            request = await self.pictures.run(receive, self.reader.read, body)
        return request

    async def predict(
        self,
        body: bytes,
        ensure_may_label: Callable[[], None],
        keep_labels: KeepLabels,
        receive: Receive | None = None,
    ) -> bytes:
        """Answer the body of a predict request: read it, join a batch (`answer`), keep labels sent along.

        Args:
            receive: of the request.
            ensure_may_label: raises where labels came and the caller may not send any.
            keep_labels: stores them once there is a prediction that they belong to.

        Raises:
            ServiceError: the body is refused, the caller may not label, or it could not be answered.
        """
        request = await self.read(body, receive)
        if request.labels is not None:
            ensure_may_label()
        response = await self.submit(request)
        if request.labels is not None:
            await keep_labels(request, response.ids, self.documents(request))
        return response.body

    def begin(self, body: bytes, waiter: Waiter[PredictResponse], *, alone: bool = False) -> bool:
        """Tell a waiter the answer to a request without labels that is read at once; False: it is another.

        Args:
            alone: as in `Batcher.add`.

        Raises:
            ServiceError: `predict` would raise it as well.
        """
        if self.beside is not None or self.reader.decodes_pictures:
            return False
        request = self.reader.read_fast(body)
        if request is None or request.labels is not None:
            return False
        self.batcher.add(request, self, waiter, alone=alone)
        return True

    async def check(self, records: list[Any]) -> PredictRequest:
        """The same of records that are decoded already."""
        if not self.reader.has_images:
            return self.reader.check(records)
        return await self.pictures.run(None, self.reader.check, records)

    def submit(self, request: PredictRequest) -> Awaitable[PredictResponse]:
        """Have a request answered in the next batch, by this version or by the one beside it."""
        if self.beside is not None:
            return self.beside.submit(request, self)
        return self.batcher.submit(request, self)

    def submit_alone(self, request: PredictRequest) -> Awaitable[PredictResponse]:
        """The same by this version, whichever is beside it."""
        return self.batcher.submit(request, self)

    def leave_batch(self, error: ServiceError) -> None:
        """Leave the batch in hand behind, as it does not end: all who wait are told, later ones answered."""
        left, self.batcher = self.batcher, self._make_batcher()
        self._loop.call_soon_threadsafe(left.abandon, error)

    def answer_later(self, requests: Sequence[PredictRequest]) -> list[PredictResponse]:
        """Answer requests that nobody waits for, in this thread; the caller keeps the log's lines."""
        if self.beside is None:
            return self.answer_unlogged(requests)
        return [self.beside.answer_later(request, self) for request in requests]

    def answer(self, requests: Sequence[PredictRequest]) -> list[PredictResponse]:
        """Answer a batch; the log holds the answers when this returns.

        Raises:
            LogUnwritable: it could not be written, so no answer may be given.
        """
        responses = self.answer_unlogged(requests, self._run)
        try:
            self._journal.append(b"".join([line for response in responses for line in response.log_lines]))
        except OSError as error:
            raise LogUnwritable(error.strerror or str(error)) from error
        return responses

    def answer_unlogged(
        self, requests: Sequence[PredictRequest], run: Run = run_alone
    ) -> list[PredictResponse]:
        """Answer a batch, in this thread unless `run` says otherwise; the caller keeps the log's lines."""
        columns = self.reader.gather(requests)
        responder = self.responder
        mark = self._marks.begin(ANSWERING, self.name, self.version or 0)
        try:
            if responder.refusing is not None and (found := responder.refusing.problems(columns)):
                if len(requests) > 1:  # each is tried alone, and those of others are answered
                    raise RecordError(found)
                raise invalid_records(list(found), row_count(columns))
            answers = responder.respond(columns, run)
            self.answered += len(requests)
        except ServiceError:
            raise
        except Exception as error:
            if len(requests) > 1:  # each is tried alone, and may do better than its neighbours
                raise
            self.broken += not lacks_memory(error)
            answers = responder.respond_without_model(columns, error)
            log.warning("a version of %s failed; others answer", self.name, exc_info=error)
        finally:
            mark[0] = IDLE
        self._observe_rows(len(answers.labels))
        return self._writer.write(requests, answers, self.reader.documents(requests, columns))

    def documents(self, request: PredictRequest) -> list[str]:
        """Canonical JSON of the records of a request."""
        documents = self.reader.documents([request], self.reader.gather([request]))
        return [document.decode() for document in documents]

    def failure(self) -> ModelFailed:
        """The error for a caller on whose request the model breaks."""
        return ModelFailed(self.name, self.version)
