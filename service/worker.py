"""One worker of the service: makes its parts, starts and stops them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from functools import partial

from prometheus_client import REGISTRY, CollectorRegistry

from configs.loading import load_selected
from configs.schema import UseCase
from configs.security.origins import is_loopback
from configs.settings import Settings
from models.production.contract import RegistryClient
from models.production.registry_rest import open_registry
from models.versions.cache import model_cache
from service.answers.decoding import Decoding
from service.answers.pipeline import BatchThreads, SharedResources
from service.answers.recommending import make_recommender
from service.answers.responses import PredictionIds
from service.answers.slot import Slot
from service.errors import Untrained
from service.feedback.intake import FeedbackIntake
from service.http.access import Access
from service.http.admission import Admission
from service.http.key_ring import KeyRing
from service.jobs.intake import JobIntake
from service.jobs.loop import JobLoop
from service.metrics import Metrics, forget_dead_workers
from service.replicas.presence import Presence
from service.replicas.readiness import Readiness
from service.routes.table import RouteTable, make_routes
from service.runs.progress import ProgressStreams
from service.state.gauges import Gauges
from service.state.health import Health
from service.state.prefect_health import PrefectHealth
from service.state.tracing import Tracer
from service.state.versions import VersionHistory
from service.storage.database import Database
from service.storage.journal_mover import JournalMover
from service.storage.threadpool import ThreadPool
from service.swap.links import Links
from service.swap.loading import Loader
from service.swap.station import Station
from service.swap.unfit import Unfit
from service.swap.watcher import JOURNAL_CHANNEL, Watcher
from service.watchdog.activity import ActivityMarks
from service.watchdog.hang_watch import HangWatch
from service.watchdog.lost_threads import ReplacingPool
from service.watchdog.troubles import Troubles
from service.worker_parts import Parts
from store.predictions.journal import Journal
from store.service_workers import write_models
from store.shared_replays import ReplayCopies
from store.splits.sizes import first_model_labels

FIRST_LOOK_SECONDS = 4.0
"""How long a start waits for MLflow, where nothing was served before."""
STOP_SECONDS = 5.0
FLUSH_SECONDS = 10.0
"""How long a caller waits for a log that has much to store."""
BLOCKING_THREADS = 4
THREADS_A_SLOT = 3
"""For batches: of what serves, and of what is tried beside it, requests and jobs, where all of that hangs."""
# Objects made per collection of the youngest generation: answering makes hundreds a request, all short-lived.
GC_THRESHOLDS = (50_000, 20, 100)
log = logging.getLogger("ratchet.service")


class Worker:
    """The service in one process; `parts` and `routes` are there once it has started."""

    parts: Parts
    routes: RouteTable | None = None

    def __init__(
        self,
        settings: Settings,
        registry: RegistryClient | None = None,
        collector: CollectorRegistry = REGISTRY,
        host: str | None = None,
        *,
        listens: bool = True,
    ) -> None:
        """`listens`: whether requests come here, so that it is one of the servers of the database."""
        self.listens = listens
        self.settings = settings
        self.registry = registry or open_registry(settings.mlflow_uri)
        self.metrics = Metrics(collector)
        self.use_cases = load_selected(settings.config_dirs, settings.use_cases)
        self.slots = {
            name: Slot(name, partial(Untrained, name, first_model_labels(use_case)))
            for name, use_case in sorted(self.use_cases.items())
        }
        self.database = Database(settings)
        self.local_only = is_loopback(settings.host if host is None else host)
        self.keys = KeyRing(settings.api_keys, demanded=not self.local_only)
        self.streams = ProgressStreams(self.database)
        self.journal = Journal(settings.home / "journal")
        self.mover = JournalMover(self.journal, self.database.open, self.metrics)
        self.gauges = Gauges(
            self.use_cases, self.slots, self.database, self.metrics, settings.home / "work" / "gauges.lock"
        )
        self.presence = Presence(settings, self.slots, self.database, self.metrics)
        self.marks = ActivityMarks(settings.home / "work" / "activity", _named(self.use_cases))
        self.troubles = Troubles(settings.home / "work" / "troubles.jsonl")
        self.job_loop = JobLoop(self.use_cases, self.slots, self.database, self.metrics)
        self._is_written = True
        """Whether what is served could be written down last."""

    async def start(self) -> None:
        """Serve what can be served; returns when the worker is ready for requests."""
        self.keys.start()
        forget_dead_workers()
        self._start_threads()
        self.decoding = Decoding()
        ids = PredictionIds()
        shared = SharedResources(
            self.journal,
            ids,
            asyncio.get_running_loop(),
            self._batches,
            BatchThreads(self._shares, _share_threads()),
            self.metrics,
            self.marks,
            configured=self.use_cases,
            decoding=self.decoding,
        )
        unfit = Unfit(self.troubles, shared.loop)
        self.hang_watch = HangWatch(
            self.marks, self.troubles, unfit.note_hang, threading.get_ident(), self._lose
        )
        self.hang_watch.start()
        self.watcher = self._make_watcher(shared, unfit)
        self.readiness = Readiness(self.slots, self.watcher)
        self.parts = self._make_parts(ids)
        self.routes = make_routes(self.parts)
        self.mover.start()
        await self.parts.threads.run(self.watcher.start)
        if any(slot.current is None for slot in self.slots.values()):
            await self.parts.threads.run(self.watcher.looked.wait, FIRST_LOOK_SECONDS)
        self.job_loop.start()
        if self.listens:
            self.presence.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.enable()

    async def stop(self) -> None:
        """Store what is logged, as far as the database is there, and let everything go."""
        self.keys.stop()
        self.streams.stop()
        self.parts.health.stop()
        await asyncio.to_thread(self.gauges.stop, STOP_SECONDS)
        await asyncio.gather(
            asyncio.to_thread(self._batches.shutdown, wait=not self.hang_watch.has_lost_threads),
            asyncio.to_thread(self.job_loop.stop, STOP_SECONDS),
        )
        await asyncio.gather(
            asyncio.to_thread(self.watcher.stop, STOP_SECONDS),
            asyncio.to_thread(self.mover.stop, STOP_SECONDS),
            asyncio.to_thread(self.presence.stop, STOP_SECONDS),
        )
        for pool in (self._shares, self._blocking):
            pool.shutdown(wait=False, cancel_futures=True)
        self.decoding.stop()
        self.database.close()
        self.hang_watch.stop()
        self.marks.close()

    def begin_to_drain(self) -> None:
        """Answer on, but say that no more should come here: the service is to end soon."""
        self.readiness.draining = True
        self.presence.state = "draining"
        self.presence.tell()

    def flush_journals(self) -> None:
        """Have every worker store its log; waits for this one's."""
        self.database.run(lambda conn: conn.execute("SELECT pg_notify(%s, '')", (JOURNAL_CHANNEL,)))
        self.mover.flush(FLUSH_SECONDS)

    def _start_threads(self) -> None:
        """Blocking work of the routes, batches, and shares of batches wait for one another in that order."""
        self._blocking = ReplacingPool(BLOCKING_THREADS, thread_name_prefix="blocking")
        self._batches = ReplacingPool(THREADS_A_SLOT * len(self.slots), thread_name_prefix="model")
        self._shares = ReplacingPool(max(1, _share_threads()), thread_name_prefix="share")

    def _lose(self, thread: int) -> None:
        """Have the work of a thread that hangs go on in another one."""
        self.job_loop.lose(thread)
        if self._batches.holds(thread):
            self._batches.replace()
            self._shares.replace(max(1, _share_threads()))  # to which it may have lent some of its batch

    def _make_watcher(self, shared: SharedResources, unfit: Unfit) -> Watcher:
        loader = Loader(self.registry, model_cache(self.settings.home), shared, self.database, self.troubles)
        self.chains = {
            name: Links(use_case, self.slots, self.registry, loader, shared)
            for name, use_case in self.use_cases.items()
            if use_case.chain is not None
        }
        return Watcher(
            Station(self.slots, self.chains, loader, self.database, self.metrics),
            self.registry,
            self.mover.wake,
            unfit,
            self._batches,
            tell=self._tell_models,
        )

    def _tell_models(self) -> bool:
        """Say what is served; whether it could be, as a disk may be full. No answer waits for it."""
        self.presence.tell()
        try:
            write_models(self.settings.home, [name for name, slot in self.slots.items() if slot.current])
        except OSError as error:
            if self._is_written:
                log.warning("which models are served cannot be written down: %s", error)
            self._is_written = False
        else:
            self._is_written = True
        return self._is_written

    def _make_parts(self, ids: PredictionIds) -> Parts:
        use_cases, database, metrics = self.use_cases, self.database, self.metrics
        largest = max((one.serving.max_body_bytes for one in use_cases.values()), default=0)
        return Parts(
            use_cases=use_cases,
            slots=self.slots,
            feedback={
                name: FeedbackIntake(use_case, database, self.flush_journals, metrics)
                for name, use_case in use_cases.items()
            },
            jobs={name: JobIntake(use_case, database, ids, metrics) for name, use_case in use_cases.items()},
            recommenders={name: make_recommender(use_case) for name, use_case in use_cases.items()},
            database=database,
            registry=self.registry,
            model_cache=model_cache(self.settings.home),
            home=self.settings.home,
            replays=ReplayCopies(self.settings),
            prefect_url=self.settings.prefect_url,
            threads=ThreadPool(asyncio.get_running_loop(), self._blocking),
            decoding=self.decoding,
            metrics=metrics,
            access=Access(self.keys, metrics_open=self.local_only),
            admission=Admission(self.settings.max_in_flight, largest),
            streams=self.streams,
            versions=VersionHistory(self.settings, self.registry, database),
            tracer=Tracer(self.slots, self.registry, database, self.flush_journals),
            readiness=self.readiness,
            health=Health(
                self.slots,
                self.chains,
                database,
                self.watcher,
                self.registry,
                PrefectHealth(self.settings.prefect_url, is_named=not self.settings.starts_prefect),
                self.mover,
                self.presence,
                self.settings.home,
            ),
        )


def _named(use_cases: Mapping[str, UseCase]) -> Sequence[str]:
    """Use cases that are served, and those whose versions links of their chains ask."""
    chains = [one.chain for one in use_cases.values() if one.chain is not None]
    asked = {link.use_case for chain in chains for link in chain.links if link.use_case is not None}
    return sorted({*use_cases, *asked})


def _share_threads() -> int:
    """Cores beside the one that runs the batch."""
    return max(0, (os.cpu_count() or 1) - 1)
