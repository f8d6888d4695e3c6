"""Handlers of what asks for predictions: now, later as a job, or with recommendations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from service.answers.bodies import parse_object
from service.answers.recommending import Recommender
from service.answers.requests import PredictRequest
from service.answers.responses import PredictResponse
from service.answers.slot import Slot
from service.errors import NoTaxonomy, UnknownUseCase
from service.feedback.intake import FeedbackIntake
from service.http.access import caller_of, ensure_may_label, source_of
from service.http.direct import AtOnce, Waiter
from service.http.exchange import Receive, Reply, Scope, header, last_name, read_body
from service.http.front import Handler
from service.jobs.intake import JobIntake
from service.storage.threadpool import ThreadPool

KeepLabelsOf = Callable[[Scope, PredictRequest, Sequence[str], Sequence[str]], Awaitable[None]]
"""As `KeepLabels`, of the caller of a request."""


def keeping_labels(threads: ThreadPool, feedback: FeedbackIntake) -> KeepLabelsOf:
    """Stores labels that came beside records, as the caller's feedback on the predictions."""

    async def keep(
        scope: Scope, request: PredictRequest, ids: Sequence[str], documents: Sequence[str]
    ) -> None:
        await threads.run(feedback.add_labels, request, ids, documents, source_of(scope))

    return keep


def predict(slot: Slot, limit: int, keep_labels: KeepLabelsOf) -> Handler:
    """POST: predictions for records."""

    async def handle(scope: Scope, receive: Receive) -> bytes:
        body = await slot.read_with_room(scope, receive, limit)
        return await slot.pipeline().predict(
            body, lambda: ensure_may_label(caller_of(scope)), partial(keep_labels, scope), receive
        )

    return handle


def predict_at_once(slot: Slot) -> AtOnce:
    """The same of a whole small body, without ASGI; False where the request has to go the general way."""

    def begin(body: bytes, waiter: Waiter, alone: bool) -> bool:
        pipeline = slot.answering
        return pipeline is not None and not slot.is_full() and pipeline.begin(body, waiter, alone=alone)

    return begin


def recommend(slot: Slot, limit: int, keep_labels: KeepLabelsOf, recommender: Recommender | None) -> Handler:
    """POST: what is recommended for records, by their predictions, or for labels that are known."""

    async def handle(scope: Scope, receive: Receive) -> bytes:
        body = await slot.read_with_room(scope, receive, limit)
        if recommender is None:
            raise NoTaxonomy(slot.name)
        content = parse_object(body)
        if "labels" in content and "records" not in content:
            return recommender.for_labels(content)
        predictions = await slot.pipeline().predict(
            body, lambda: ensure_may_label(caller_of(scope)), partial(keep_labels, scope), receive
        )
        return recommender.for_predictions(predictions)

    return handle


def submit_job(slot: Slot, limit: int, jobs: JobIntake, threads: ThreadPool) -> Handler:
    """POST: records that are answered later."""

    async def handle(scope: Scope, receive: Receive) -> Reply:
        body = await read_body(scope, receive, limit)
        request = await slot.pipeline().read(body, receive)
        if request.labels is not None:
            ensure_may_label(caller_of(scope))
        key = header(scope, b"idempotency-key")
        return await threads.run(jobs.submit, body, request.count, key, source_of(scope))

    return handle


def job_state(jobs: JobIntake, threads: ThreadPool) -> Handler:
    """GET: how a job stands, or its answer; its id ends the path."""

    async def handle(scope: Scope, _receive: Receive) -> Reply:
        return await threads.run(jobs.find, last_name(scope))

    return handle


async def predict_record(slots: Mapping[str, Slot], use_case: str, record: Any) -> PredictResponse:
    """Answer one decoded record, in the batches of everyone else's.

    Raises:
        UnknownUseCase: this worker does not load it.
    """
    if use_case not in slots:
        raise UnknownUseCase(use_case, sorted(slots))
    pipeline = slots[use_case].pipeline()
    return await pipeline.submit(await pipeline.check([record]))
