"""A version that serves: its predictor with the reader, renderer and batcher around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.journal import Journal
from features.records import LabelContract
from models.estimator import Features
from models.predictor import Predictor
from service.answers import PredictionIds, Rendered, Renderer
from service.batcher import Batcher
from service.errors import LogUnwritable, ModelFailed
from service.metrics import Metrics
from service.payloads import Incoming, PredictReader

SHARE_ROWS = 24
"""Fewer rows than this are not worth handing to another thread."""
MAX_WAITING_REQUESTS = 16
"""As many requests of the greatest allowed size may wait for the model."""


@dataclass(frozen=True)
class Helpers:
    """Threads that take a share of a large batch; never those that run batches, which wait for them."""

    pool: Executor
    count: int


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


@dataclass(frozen=True)
class VersionFacts:
    """What the registry says of a version beside its artifact."""

    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


class Live:
    """One loaded version. A request is read, answered and logged by one and the same `Live`."""

    def __init__(
        self,
        name: str,
        version: int,
        predictor: Predictor,
        facts: VersionFacts,
        workshop: Workshop,
        since: datetime,
    ) -> None:
        self.name = name
        self.version = version
        self.predictor = predictor
        self.facts = facts
        self.since = since
        serving = predictor.use_case.serving
        labels = LabelContract(predictor.use_case.target)
        self.reader = PredictReader(predictor.contract, labels, serving.max_records)
        self.renderer = Renderer(name, version, predictor.classes, workshop.ids)
        self._journal = workshop.journal
        self._helpers = workshop.helpers
        self._observe_rows = workshop.metrics.batch_rows.labels(name).observe
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
        return self._render(requests, self.predictor.run)

    def failure(self) -> ModelFailed:
        """What a caller is told when this version breaks on its request."""
        return ModelFailed(self.name, self.version)

    def _render(
        self, requests: Sequence[Incoming], run: Callable[[Features], NDArray[np.float32]]
    ) -> list[Rendered]:
        predictor = self.predictor
        columns = self.reader.gather(requests)
        probabilities = run(predictor.encode(columns))
        self._observe_rows(len(probabilities))
        return self.renderer.render(requests, probabilities, predictor.contract.to_json(columns))

    def _run(self, x: Features) -> NDArray[np.float32]:
        """Run the model; on many rows, with every core taking a share."""
        helpers = self._helpers
        shares = min(helpers.count + 1, len(x) // SHARE_ROWS)
        if shares < 2:
            return self.predictor.run(x)
        first, *others = np.array_split(x, shares)
        lent = [helpers.pool.submit(self.predictor.run, part) for part in others]
        return np.concatenate([self.predictor.run(first), *(one.result() for one in lent)])

    def describe(self) -> dict[str, Any]:
        """Version, lineage and metrics, as plain values for JSON."""
        manifest = self.predictor.manifest
        return {
            "name": self.name,
            "version": self.version,
            "serving_since": self.since.isoformat(),
            "classes": list(manifest.classes),
            "estimator": manifest.estimator,
            "challenger": manifest.challenger,
            "fit": manifest.fit,
            "runtime": manifest.runtime,
            "parity": None if manifest.parity is None else manifest.parity.model_dump(),
            "training_rows": manifest.rows,
            "notes": list(manifest.notes),
            "created_at": manifest.created_at.isoformat(),
            "lineage": manifest.lineage.model_dump(),
            "registry": {
                "run_id": self.facts.run_id,
                "tags": dict(self.facts.tags),
                "metrics": dict(self.facts.metrics),
            },
        }


class Slot:
    """The place of one use case: the version that serves, the one before it, and those refused.

    Swapping is one assignment to `current`: requests read before it are answered by the version that
    read them, later ones by the new; no batch holds both.
    """

    def __init__(self, name: str, untrained: Callable[[], Exception]) -> None:
        self.name = name
        self.current: Live | None = None
        self.previous: Live | None = None
        self.refused: dict[int, str] = {}
        self._untrained = untrained

    def serving(self) -> Live:
        """The version that serves now.

        Raises:
            Untrained: there is none yet.
        """
        current = self.current
        if current is None:
            raise self._untrained()
        return current

    def swap(self, live: Live) -> None:
        """Let `live` serve, and keep the one before it loaded for an instant return."""
        self.previous, self.current = self.current, live
        self.refused.pop(live.version, None)
