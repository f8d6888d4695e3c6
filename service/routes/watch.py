"""The routes that show how a use case fares: quality, versions, drift, and the retrains behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.http.exchange import Receive, Reply, Scope
from service.http.front import Handler
from service.http.query_params import whole_number
from service.runs import retraining
from service.state import drift, quality, versions

if TYPE_CHECKING:
    from service.worker import Worker


def watch_handlers(worker: Worker, name: str) -> dict[str, tuple[str, Handler]]:
    """Path below `/v1/{use_case}/` to method and handler."""
    return {
        "quality": ("GET", _quality(worker, name)),
        "versions": ("GET", _versions(worker, name)),
        "drift": ("GET", _drift(worker, name)),
        "drift/report": ("GET", _page(worker, name)),
        "retrain/history": ("GET", _history(worker, name)),
    }


def _quality(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        windows = whole_number(scope, "windows", default=quality.WINDOWS, high=quality.MOST_WINDOWS)
        hours = whole_number(scope, "hours", default=quality.HOURS, high=quality.MOST_HOURS)
        config = worker.configs[name]
        return await worker.in_thread(quality.describe_quality, worker.database, config, windows, hours)

    return handle


def _versions(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        limit = whole_number(scope, "limit", default=versions.VERSIONS, high=versions.MOST_VERSIONS)
        return await worker.in_thread(worker.version_history.describe, name, limit)

    return handle


def _drift(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        limit = whole_number(scope, "limit", default=drift.CHECKS, high=drift.MOST_CHECKS)
        return await worker.in_thread(drift.describe_drift, worker.database, name, limit)

    return handle


def _page(worker: Worker, name: str) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> Reply:
        return await worker.in_thread(drift.read_page, worker.database, worker.reader, name)

    return handle


def _history(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        limit = whole_number(scope, "limit", default=retraining.RUNS, high=retraining.MOST_RUNS)
        return await worker.in_thread(
            retraining.read_history, worker.database, worker.settings.prefect_url, name, limit
        )

    return handle
