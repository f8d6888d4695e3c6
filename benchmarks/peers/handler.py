"""Ratchet's own handler on bare uvicorn, without BentoML and without a log: what the rest costs.

`python -m benchmarks.peers.handler PORT ARTIFACT`
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from configs.security.origins import OriginPolicy
from models.versions.predictor import Predictor
from service.answers.pipeline import BatchThreads, SharedResources
from service.answers.responses import PredictionIds
from service.answers.slot import ServedVersion, VersionFacts
from service.http.access import Access
from service.http.admission import Admission
from service.http.exchange import Receive, Scope, read_body
from service.http.front import Front, Route
from service.http.key_ring import KeyRing
from service.metrics import Metrics
from service.watchdog.activity import ActivityMarks
from service.worker import GC_THRESHOLDS
from store.predictions.journal import Journal

BODY_BYTES = 8 * 1024 * 1024


class NoJournal(Journal):
    """A log that keeps nothing."""

    def __init__(self) -> None:
        pass

    def append(self, lines: bytes) -> None:
        """Forget the lines."""


class OneRoute:
    """The routes of a server with one use case."""

    def __init__(self, artifact: Path) -> None:
        predictor = Predictor.load(artifact)
        name = predictor.manifest.use_case
        metrics = Metrics()
        cores = max(1, (os.cpu_count() or 1) - 1)
        threads = BatchThreads(ThreadPoolExecutor(cores), cores)
        loop = asyncio.get_running_loop()
        marks = ActivityMarks(artifact.parent / "activity", [name])
        shared = SharedResources(
            NoJournal(), PredictionIds(), loop, ThreadPoolExecutor(2), threads, metrics, marks
        )
        self.pipeline = ServedVersion(name, 1, predictor, VersionFacts(), shared, datetime.now(UTC)).pipeline
        observe = metrics.answers.observer(name, "predict")
        self.use_cases = [name]
        self.table: Mapping[str, Route] = {f"/v1/{name}/predict": Route({"POST": self.predict}, observe)}
        self.folders: Mapping[str, Route] = {}
        self.access = Access(KeyRing(artifact / "keys.yaml", demanded=False), metrics_open=True)
        self.admission = Admission(512, BODY_BYTES)

    async def predict(self, scope: Scope, receive: Receive) -> bytes:
        """Answer one request."""
        request = self.pipeline.reader.read(await read_body(scope, receive, BODY_BYTES))
        return (await self.pipeline.batcher.submit(request, self.pipeline)).body


async def serve(port: int, artifact: Path) -> None:
    """Serve until told to stop."""
    routes = OneRoute(artifact)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)

    async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
        return

    app = Front(nothing, lambda: routes, lambda _path: False, OriginPolicy())
    config = uvicorn.Config(app, port=port, access_log=False, log_level="warning", lifespan="off")
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
