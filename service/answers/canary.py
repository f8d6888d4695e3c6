"""A version that is tried beside the one that serves: whose records it answers, and who does where it cannot.

Each record has a key: a field, its group, its id or all that it contains. Those of the canary's share are
answered by its pipeline, in batches of its own; a request with records of both is taken apart and put
together again. Where the canary fails, is full, or takes far too long, the version that serves answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from configs.schema import CanaryConfig
from features.records.contract import take
from models.canary.keys import of_canary
from models.passing_faults import is_passing
from service.answers.pipeline import PredictPipeline, run_alone
from service.answers.requests import PredictRequest
from service.answers.responses import MIXED, PredictResponse
from service.answers.slot import ServedVersion
from service.errors import ServiceError
from service.metrics import Metrics

PATIENCE_SECONDS = 2.0
"""So long a canary may take for a request beyond what the version that serves needs..."""
PATIENCE_TIMES = 20.0
"""...by the time that it takes for as many records, so many times."""

Rows = NDArray[np.intp]
NONE: Rows = np.zeros(0, dtype=np.intp)
Awaited = asyncio.Future[Any] | Future[Any]
log = logging.getLogger("ratchet.service")


class CanaryRoute:
    """Answers the records of some keys by another version; used as `PredictPipeline.beside`."""

    def __init__(
        self, served: ServedVersion, config: CanaryConfig, executor: Executor, metrics: Metrics
    ) -> None:
        self.served = served
        self.config = config
        self._name, self._pipeline = served.name, served.pipeline
        self._executor = executor
        self._overdue: set[Awaited] = set()
        self.fault: Exception | None = None
        """Why it cannot be told whose records are the canary's; then production answers them all."""
        self._metrics = metrics.canary

    @property
    def is_closed(self) -> bool:
        """Whether nobody is sent there: it cannot be, or has not answered in time and does not yet."""
        return self.fault is not None or bool(self._overdue)

    def submit(self, request: PredictRequest, serving: PredictPipeline) -> Awaitable[PredictResponse]:
        """Answer a request, each record by its version.

        Raises:
            ServiceError: the version that serves could not answer either.
        """
        mine = self._mine(request)
        if not len(mine):
            return serving.submit_alone(request)
        if len(mine) == request.count:
            return self._answer(request, serving)
        return self._answer_apart(request, mine, serving)

    def answer_later(self, request: PredictRequest, serving: PredictPipeline) -> PredictResponse:
        """The same in this thread, unlogged, for a request that nobody waits for."""
        mine = self._mine(request)
        if not len(mine):
            return serving.answer_unlogged([request])[0]
        theirs = _others(request, mine)
        answer = self._answer_unlogged(select(request, mine), serving)
        if not len(theirs):
            return answer
        rest = serving.answer_unlogged([select(request, theirs)])[0]
        return self._join(rest, theirs, answer, mine)

    def _mine(self, request: PredictRequest) -> Rows:
        """Places of the records that the canary is to answer."""
        if self.is_closed:
            return NONE
        try:
            keys = keys_of(request, self._pipeline, self.config.key)
        except Exception as error:  # whatever it is, production can answer
            log.exception("nobody can tell whose records of %s a canary is to answer", self._name)
            if not is_passing(error):
                self.fault = error
            return NONE
        return np.flatnonzero(of_canary(keys, self._name, self.served.version, self.config.share))

    async def _answer(self, request: PredictRequest, serving: PredictPipeline) -> PredictResponse:
        """By the canary; where it cannot, by the version that serves."""
        patience = _patience(request, serving)
        try:
            answer = asyncio.ensure_future(self._pipeline.submit_alone(request))
            response = await asyncio.wait_for(asyncio.shield(answer), patience)
        except TimeoutError:
            self._wait_for(answer, patience)
        except ServiceError as error:
            log.warning("the canary of %s could not answer: %s", self._name, error.message)
        else:
            self._count("canary", request.count)
            return response
        self._count("in_its_place", request.count)
        return await serving.submit_alone(request)

    async def _answer_apart(
        self, request: PredictRequest, mine: Rows, serving: PredictPipeline
    ) -> PredictResponse:
        theirs = _others(request, mine)
        answer, rest = await asyncio.gather(
            self._answer(select(request, mine), serving), serving.submit_alone(select(request, theirs))
        )
        return self._join(rest, theirs, answer, mine)

    def _answer_unlogged(self, request: PredictRequest, serving: PredictPipeline) -> PredictResponse:
        patience = _patience(request, serving)
        answer = self._executor.submit(self._pipeline.answer_unlogged, [request], run_alone)
        try:
            response = answer.result(patience)[0]
        except TimeoutError:
            self._wait_for(answer, patience)
            self._count("in_its_place", request.count)
            return serving.answer_unlogged([request])[0]
        except Exception as error:
            log.warning("the canary of %s could not answer a job", self._name, exc_info=error)
            self._count("in_its_place", request.count)
            return serving.answer_unlogged([request])[0]
        self._count("canary", request.count)
        return response

    def _wait_for(self, answer: Awaited, patience: float) -> None:
        """Send nobody there until this answer has come; if it hangs, the watch gives the version up."""
        log.warning("the canary of %s has not answered in %.1f s", self._name, patience)
        self._overdue.add(answer)
        answer.add_done_callback(self._come)

    def _come(self, answer: Awaited) -> None:
        self._overdue.discard(answer)
        if not answer.cancelled():
            answer.exception()  # which has been answered for

    def _join(
        self, rest: PredictResponse, theirs: Rows, answer: PredictResponse, mine: Rows
    ) -> PredictResponse:
        """One response of two; each prediction of the canary says its version."""
        model, canarys = (_model_of(response) for response in (rest, answer))
        order = np.argsort(np.concatenate([theirs, mine]))
        predictions = [*rest.predictions, *answer.predictions]
        if canarys["version"] != model["version"]:
            end = b',"version":%d}' % canarys["version"]
            predictions = [*rest.predictions, *(one[:-1] + end for one in answer.predictions)]
        if model["source"] != canarys["source"]:
            model["source"] = MIXED
        tail = b'],"model":' + orjson.dumps(model) + b"}"
        predictions, ids, lines = (
            _in_order(parts, order)
            for parts in (
                predictions,
                [*rest.ids, *answer.ids],
                [*rest.log_lines, *answer.log_lines],
            )
        )
        body = b'{"predictions":[' + b",".join(predictions) + tail
        return PredictResponse(body, lines, ids, predictions, tail)

    def _count(self, by: str, records: int) -> None:
        self._metrics.records.labels(self._name, by).inc(records)


def keys_of(request: PredictRequest, pipeline: PredictPipeline, field: str | None) -> list[str]:
    """What decides who answers, one text a record: the same however a record came.

    Args:
        field: of the record; None, and where a record has none: its group, its id, or all that it contains.
    """
    if field is not None:
        known = pipeline.reader.values_of(request, field)
        values = [None if value != value else value for value in known]  # a number that is missing is NaN
    else:
        nothing: Sequence[Any] = [None] * request.count
        groups, ids = request.groups or nothing, request.own_ids() or nothing
        values = [own_id if group is None else group for group, own_id in zip(groups, ids, strict=True)]
    if None not in values:
        return [str(value) for value in values]
    whole = pipeline.documents(request)
    return [whole[row] if value is None else str(value) for row, value in enumerate(values)]


def select(request: PredictRequest, rows: Rows) -> PredictRequest:
    """Some records of a request, as a request of their own."""
    if len(rows) == request.count:
        return request
    kept = rows.tolist()
    return replace(
        request,
        count=len(kept),
        rows=None if request.rows is None else [request.rows[row] for row in kept],
        columns=None if request.columns is None else take(request.columns, rows),
        record_ids=None if request.record_ids is None else [request.record_ids[row] for row in kept],
        labels=None if request.labels is None else [request.labels[row] for row in kept],
        groups=None if request.groups is None else [request.groups[row] for row in kept],
    )


def _patience(request: PredictRequest, serving: PredictPipeline) -> float:
    """Seconds."""
    return PATIENCE_SECONDS + PATIENCE_TIMES * serving.batcher.seconds_for(request.count)


def _others(request: PredictRequest, rows: Rows) -> Rows:
    return np.setdiff1d(np.arange(request.count), rows)


def _in_order(parts: Sequence[Any], order: Rows) -> list[Any]:
    return [parts[place] for place in order.tolist()]


def _model_of(response: PredictResponse) -> dict[str, Any]:
    model: dict[str, Any] = orjson.loads(response.tail[len(b'],"model":') : -1])
    return model
