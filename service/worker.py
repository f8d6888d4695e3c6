"""One worker of the service: what it is made of, how it starts and stops, and its routes."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry

from configs.loading import load_use_cases, select
from configs.schema import UseCase
from configs.security.origins import is_loopback
from configs.settings import Settings
from models.production.registry_rest import RegistryCalls, open_reader
from models.versions.cache import model_cache
from service.answers.desk import Helpers, Workshop
from service.answers.payloads import Incoming, parse_object
from service.answers.recommending import make_recommender
from service.answers.rendering import PredictionIds, Rendered
from service.errors import NoTaxonomy, UnknownUseCase, Untrained
from service.feedback.desk import FeedbackDesk
from service.http.access import Access, ensure_may_label
from service.http.admission import Admission
from service.http.exchange import Reply
from service.http.front import Route
from service.http.key_ring import Caller, KeyRing
from service.jobs.desk import JobDesk
from service.jobs.loop import JobLoop
from service.metrics import Metrics, forget_dead_workers
from service.routes.table import make_folders, make_routes
from service.runs.progress import ProgressStreams
from service.state.gauges import Gauges
from service.state.health import Health
from service.state.prefect import PrefectState
from service.state.tracing import Tracer
from service.state.versions import VersionHistory
from service.storage.database import Database
from service.storage.mover import Mover
from service.swap.links import Links
from service.swap.loading import Loader
from service.swap.slot import Slot
from service.swap.watcher import JOURNAL_CHANNEL, Watcher
from store.predictions.journal import Journal

FIRST_LOOK_SECONDS = 4.0
"""How long a start waits for MLflow, where nothing was served before."""
STOP_SECONDS = 5.0
FLUSH_SECONDS = 10.0
"""How long a caller waits for a log that has much to store."""
BLOCKING_THREADS = 4
# Objects made per collection of the youngest generation: answering makes hundreds a request, all short-lived.
GC_THRESHOLDS = (50_000, 20, 100)

T = TypeVar("T")


class Worker:
    """All parts of the service in one process."""

    def __init__(
        self,
        settings: Settings,
        reader: RegistryCalls | None = None,
        registry: CollectorRegistry = REGISTRY,
        host: str | None = None,
    ) -> None:
        self.settings = settings
        self.reader = reader or open_reader(settings.mlflow_uri)
        self.model_cache = model_cache(settings.home)
        self.metrics = Metrics(registry)
        self.configs: Mapping[str, UseCase] = select(load_use_cases(settings.config_dirs), settings.use_cases)
        self.use_cases: Sequence[str] = sorted(self.configs)
        self.slots = {name: Slot(name, partial(Untrained, name)) for name in self.use_cases}
        self.database = Database(settings)
        here = is_loopback(settings.host if host is None else host)
        self.keys = KeyRing(settings.api_keys, demanded=not here)
        self.access = Access(self.keys, metrics_open=here)
        largest = max((config.serving.max_body_bytes for config in self.configs.values()), default=0)
        self.admission = Admission(settings.max_in_flight, largest)
        self.table: Mapping[str, Route] = {}
        self.folders: Mapping[str, Route] = {}

    async def start(self) -> None:
        """Serve what can be served; returns when the worker is ready for requests."""
        settings = self.settings
        self.keys.start()
        forget_dead_workers()
        self.loop = asyncio.get_running_loop()
        self.journal = Journal(settings.home / "journal")
        self.mover = Mover(self.journal, self.database.open, self.metrics)
        # Blocking work of the routes, batches, and shares of batches wait for one another in that order.
        self.blocking = ThreadPoolExecutor(BLOCKING_THREADS, thread_name_prefix="blocking")
        self.running = ThreadPoolExecutor(max(2, len(self.slots)), thread_name_prefix="model")
        count = max(0, (os.cpu_count() or 1) - 1)
        self.helping = ThreadPoolExecutor(max(1, count), thread_name_prefix="share")
        ids = PredictionIds()
        self.workshop = Workshop(
            self.journal, ids, self.loop, self.running, Helpers(self.helping, count), self.metrics
        )
        loader = Loader(self.reader, self.model_cache, self.workshop, self.database)
        self.chains = {
            name: Links(config, self.slots, self.reader, loader, self.workshop)
            for name, config in self.configs.items()
            if config.chain is not None
        }
        self.watcher = Watcher(
            self.slots, self.chains, self.reader, loader, self.database, self.workshop, self.mover.wake
        )
        self.desks = {
            name: FeedbackDesk(config, self.database, self.flush_journals, self.metrics)
            for name, config in self.configs.items()
        }
        self.streams = ProgressStreams(self.database)
        self.job_desks = {
            name: JobDesk(config, self.database, ids, self.metrics) for name, config in self.configs.items()
        }
        self.job_loop = JobLoop(self.configs, self.slots, self.database, self.metrics)
        self.recommenders = {name: make_recommender(config) for name, config in self.configs.items()}
        self.gauges = Gauges(
            self.configs, self.slots, self.database, self.metrics, settings.home / "work" / "gauges.lock"
        )
        self.version_history = VersionHistory(settings, self.reader, self.database)
        self.tracer = Tracer(self.slots, self.reader, self.database, self.flush_journals)
        self.health = Health(
            self.slots,
            self.chains,
            self.database,
            self.watcher,
            PrefectState(settings.prefect_url),
            self.journal,
        )
        self.table = make_routes(self)
        self.folders = make_folders(self)
        self.mover.start()
        await self.in_thread(self.watcher.start)
        if any(slot.current is None for slot in self.slots.values()):
            await self.in_thread(self.watcher.looked.wait, FIRST_LOOK_SECONDS)
        self.job_loop.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    async def stop(self) -> None:
        """Store what is logged, as far as the database is there, and let everything go."""
        self.keys.stop()
        self.streams.stop()
        self.health.stop()
        await asyncio.to_thread(self.gauges.stop, STOP_SECONDS)
        await asyncio.gather(
            asyncio.to_thread(self.running.shutdown), asyncio.to_thread(self.job_loop.stop, STOP_SECONDS)
        )
        await asyncio.gather(
            asyncio.to_thread(self.watcher.stop, STOP_SECONDS),
            asyncio.to_thread(self.mover.stop, STOP_SECONDS),
        )
        for pool in (self.helping, self.blocking):
            pool.shutdown(wait=False, cancel_futures=True)
        self.database.close()

    async def in_thread(self, work: Callable[..., T], *args: Any) -> T:
        """Run blocking work off the loop."""
        return await self.loop.run_in_executor(self.blocking, work, *args)

    def flush_journals(self) -> None:
        """Have every worker store its log; waits for this one's."""
        self.database.run(lambda conn: conn.execute("SELECT pg_notify(%s, '')", (JOURNAL_CHANNEL,)))
        self.mover.flush(FLUSH_SECONDS)

    async def predict(self, name: str, body: bytes, caller: Caller | None = None) -> bytes:
        """Answer the body of a predict request."""
        desk = self.slots[name].desk()
        incoming = desk.reader.read(body)
        if incoming.labels is not None:
            ensure_may_label(caller)
        rendered = await desk.batcher.submit(incoming)
        if incoming.labels is not None:
            documents = desk.documents(incoming)
            await self.in_thread(self.desks[name].add_labels, rendered.ids, documents, incoming.labels)
        return rendered.body

    async def recommend(self, name: str, body: bytes, caller: Caller | None = None) -> bytes:
        """Answer the body of a predict request, or labels, with what is recommended for them."""
        recommender = self.recommenders[name]
        if recommender is None:
            raise NoTaxonomy(name)
        content = parse_object(body)
        if "labels" in content and "records" not in content:
            return recommender.for_labels(content)
        return recommender.for_predictions(await self.predict(name, body, caller))

    async def submit_job(
        self, name: str, body: bytes, key: str | None, caller: Caller | None = None
    ) -> Reply:
        """Take the body of a predict request in, to be answered later."""
        incoming = self.slots[name].desk().reader.read(body)
        if incoming.labels is not None:
            ensure_may_label(caller)
        return await self.in_thread(self.job_desks[name].submit, body, incoming.count, key)

    async def predict_records(self, name: str, records: Sequence[Any]) -> Rendered:
        """Answer records that are decoded already, in the batches of everyone else's.

        Raises:
            UnknownUseCase: this worker does not load it.
        """
        if name not in self.slots:
            raise UnknownUseCase(name, self.use_cases)
        desk = self.slots[name].desk()
        incoming: Incoming = desk.reader.check(records)
        return await desk.batcher.submit(incoming)
