"""The parts of one worker, as its routes use them: each handler is given those that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from configs.schema import UseCase
from models.production.contract import RegistryClient
from service.answers.decoding import Decoding
from service.answers.recommending import Recommender
from service.answers.slot import Slot
from service.feedback.intake import FeedbackIntake
from service.http.access import Access
from service.http.admission import Admission
from service.jobs.intake import JobIntake
from service.metrics import Metrics
from service.replicas.readiness import Readiness
from service.runs.progress import ProgressStreams
from service.state.health import Health
from service.state.tracing import Tracer
from service.state.versions import VersionHistory
from service.storage.database import Database
from service.storage.threadpool import ThreadPool
from store.shared_replays import ReplayCopies


@dataclass(frozen=True)
class Parts:
    """Everything that the routes of one worker reach for; mappings are by name of a use case."""

    use_cases: Mapping[str, UseCase]
    slots: Mapping[str, Slot]
    feedback: Mapping[str, FeedbackIntake]
    jobs: Mapping[str, JobIntake]
    recommenders: Mapping[str, Recommender | None]
    database: Database
    registry: RegistryClient
    model_cache: Path
    home: Path
    replays: ReplayCopies
    prefect_url: str
    threads: ThreadPool
    decoding: Decoding
    metrics: Metrics
    access: Access
    admission: Admission
    streams: ProgressStreams
    versions: VersionHistory
    tracer: Tracer
    readiness: Readiness
    health: Health
