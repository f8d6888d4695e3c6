"""The routes that show how a use case fares: quality, versions, drift, retrains behind, and replays."""

from __future__ import annotations

from pathlib import Path

from configs.schema import UseCase
from models.production.contract import RegistryReader
from service.http.exchange import Receive, Reply, Scope, last_name
from service.http.front import Handler
from service.http.query_params import whole_number
from service.runs import retraining
from service.state import audits, drift, quality, quarantine, replays, versions
from service.state.versions import VersionHistory
from service.storage.database import Database
from service.storage.threadpool import ThreadPool
from service.worker_parts import Parts
from store.shared_replays import ReplayCopies


def report_handlers(parts: Parts, name: str) -> dict[str, tuple[str, Handler]]:
    """Path below `/v1/{use_case}/` to method and handler."""
    database, threads = parts.database, parts.threads
    return {
        "quality": ("GET", _quality(database, threads, parts.use_cases[name])),
        "versions": ("GET", _versions(parts.versions, threads, name)),
        "drift": ("GET", _drift(database, threads, name)),
        "drift/report": ("GET", _report(database, threads, parts.registry, name)),
        "audits": ("GET", _audits(database, threads, name)),
        "quarantine": ("GET", _quarantine(database, threads, name)),
        "replays": ("GET", _replays(parts.home, parts.replays, threads, name)),
        "retrain/history": ("GET", _history(database, threads, parts.prefect_url, name)),
    }


def read_replay(home: Path, copies: ReplayCopies, threads: ThreadPool, name: str) -> Handler:
    """Answers `GET /v1/{use_case}/replays/{replay_id}`."""

    async def handle(scope: Scope, _receive: Receive) -> bytes:
        await threads.run(copies.refresh, name)
        return await threads.run(replays.describe_replay, home, name, last_name(scope))

    return handle


def _quality(database: Database, threads: ThreadPool, use_case: UseCase) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        windows = whole_number(scope, "windows", default=quality.WINDOWS, high=quality.MOST_WINDOWS)
        hours = whole_number(scope, "hours", default=quality.HOURS, high=quality.MOST_HOURS)
        return await threads.run(quality.describe_quality, database, use_case, windows, hours)

    return handle


def _versions(history: VersionHistory, threads: ThreadPool, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        limit = whole_number(scope, "limit", default=versions.VERSIONS, high=versions.MOST_VERSIONS)
        return await threads.run(history.describe, name, limit)

    return handle


def _drift(database: Database, threads: ThreadPool, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        limit = whole_number(scope, "limit", default=drift.CHECKS, high=drift.MOST_CHECKS)
        return await threads.run(drift.describe_drift, database, name, limit)

    return handle


def _report(database: Database, threads: ThreadPool, registry: RegistryReader, name: str) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> Reply:
        return await threads.run(drift.read_report, database, registry, name)

    return handle


def _quarantine(database: Database, threads: ThreadPool, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        limit = whole_number(scope, "limit", default=quarantine.ROWS, high=quarantine.MOST_ROWS)
        after = whole_number(scope, "after", default=0, low=0, high=quarantine.LAST_ID)
        return await threads.run(quarantine.describe_quarantine, database, name, limit, after)

    return handle


def _replays(home: Path, copies: ReplayCopies, threads: ThreadPool, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        limit = whole_number(scope, "limit", default=replays.REPLAYS, high=replays.MOST_REPLAYS)
        await threads.run(copies.refresh, name)
        return await threads.run(replays.describe_replays, home, name, limit)

    return handle


def _audits(database: Database, threads: ThreadPool, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        limit = whole_number(scope, "limit", default=audits.ANSWERS, high=audits.MOST_ANSWERS)
        days = whole_number(scope, "days", default=audits.DAYS, high=audits.MOST_DAYS)
        return await threads.run(audits.describe_audits, database, name, limit, days)

    return handle


def _history(database: Database, threads: ThreadPool, prefect_url: str, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        limit = whole_number(scope, "limit", default=retraining.RUNS, high=retraining.MOST_RUNS)
        return await threads.run(retraining.read_history, database, prefect_url, name, limit)

    return handle
