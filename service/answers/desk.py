"""Where requests for predictions are read, joined to batches, answered and logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from features.records.contract import LabelContract, RecordContract
from models.estimators.arrays import Features
from models.versions.predictor import Predictor
from service.answers.batcher import Batcher
from service.answers.payloads import Incoming, PredictReader
from service.answers.rendering import PredictionIds, Rendered, Renderer
from service.answers.responders import Run, Teller
from service.errors import LogUnwritable, ModelFailed
from service.metrics import Metrics
from store.predictions.journal import Journal

SHARE_ROWS = 24
"""Fewer rows than this are not worth handing to another thread."""
MAX_WAITING_REQUESTS = 16
"""As many requests of the greatest allowed size may wait for the model."""

log = logging.getLogger("ratchet.service")


@dataclass(frozen=True)
class Helpers:
    """Threads that take a share of a large batch; never those that run batches, which wait for them."""

    pool: Executor
    count: int

    def run(self, predictor: Predictor, x: Features) -> NDArray[np.float32]:
        """Run a version; on many rows, with every core taking a share."""
        shares = min(self.count + 1, len(x) // SHARE_ROWS)
        if shares < 2:
            return predictor.run(x)
        first, *others = np.array_split(x, shares)
        lent = [self.pool.submit(predictor.run, part) for part in others]
        return np.concatenate([predictor.run(first), *(one.result() for one in lent)])


@dataclass(frozen=True)
class Workshop:
    """What versions of any use case share in one worker."""

    journal: Journal
    ids: PredictionIds
    loop: asyncio.AbstractEventLoop
    executor: Executor
    """Runs batches that would hold up the loop."""
    helpers: Helpers
    metrics: Metrics


def run_alone(predictor: Predictor, x: Features) -> NDArray[np.float32]:
    """Run a version in this thread."""
    return predictor.run(x)


class AnswerDesk:
    """Answers the requests for one use case.

    Args:
        use_case: as the version that serves was made with it.
        version: that version; None where there is none yet, and others answer.
    """

    def __init__(self, use_case: UseCase, version: int | None, teller: Teller, workshop: Workshop) -> None:
        self.name = use_case.name
        self.version = version
        self.teller = teller
        """May be replaced at any time; each batch is answered by one."""
        self.contract = RecordContract(use_case.record)
        serving, target = use_case.serving, use_case.target
        self.reader = PredictReader(self.contract, LabelContract(target), serving.max_records)
        key = "labels" if target.task == "multilabel" else "label"
        self._renderer = Renderer(self.name, version, workshop.ids, key)
        self._journal = workshop.journal
        self._run = workshop.helpers.run
        self._observe_rows = workshop.metrics.batch_rows.labels(self.name).observe
        self.batcher: Batcher[Incoming, Rendered] = Batcher(
            self.answer,
            self.failure,
            workshop.executor,
            workshop.loop,
            max_rows=serving.max_batch_rows,
            max_waiting=serving.max_records * MAX_WAITING_REQUESTS,
        )

    def answer(self, requests: Sequence[Incoming]) -> list[Rendered]:
        """Answer a batch; the log holds the answers when this returns.

        Raises:
            LogUnwritable: it could not be written, so no answer may be given.
        """
        rendered = self._render(requests, self._run)
        try:
            self._journal.append(b"".join([line for one in rendered for line in one.lines]))
        except OSError as error:
            raise LogUnwritable(error.strerror or str(error)) from error
        return rendered

    def answer_unlogged(self, requests: Sequence[Incoming]) -> list[Rendered]:
        """Answer a batch on one core; the caller stores the lines for the log with the answers."""
        return self._render(requests, run_alone)

    def documents(self, incoming: Incoming) -> list[str]:
        """Canonical JSON of the records of a request."""
        return self.contract.to_json(self.reader.gather([incoming]))

    def failure(self) -> ModelFailed:
        """What a caller is told when the model breaks on its request."""
        return ModelFailed(self.name, self.version)

    def _render(self, requests: Sequence[Incoming], run: Run) -> list[Rendered]:
        columns = self.reader.gather(requests)
        teller = self.teller
        try:
            told = teller.tell(columns, run)
        except Exception as error:
            if len(requests) > 1:  # each is tried alone, and may do better than its neighbours
                raise
            told = teller.tell_without_model(columns, error)
            log.warning("a version of %s failed; others answer", self.name, exc_info=error)
        self._observe_rows(len(told.labels))
        return self._renderer.render(requests, told, self.contract.to_json(columns))
