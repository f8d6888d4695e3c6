"""The table of Ratchet's own routes: which path is answered by what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from service.feedback.intake import FeedbackIntake, ReadItems
from service.http.access import Access, source_of
from service.http.admission import Admission
from service.http.exchange import Receive, Reply, Scope, header, last_name
from service.http.front import Handler, Route
from service.openapi.document import write_openapi
from service.page.assets import asset_routes
from service.page.fields import describe_fields
from service.protocols.inference_routes import inference_folders, inference_table
from service.protocols.scoring import scoring_table
from service.replicas.readiness import Readiness
from service.routes import query_keys
from service.routes.answers import job_state, keeping_labels, predict, predict_at_once, recommend, submit_job
from service.routes.control import control_handlers
from service.routes.labels import take_items, take_label_back
from service.routes.reports import read_replay, report_handlers
from service.state.health import Health
from service.state.production import describe_model, ledger_limit, read_ledger
from service.state.tracing import Tracer
from service.storage.database import Database
from service.storage.threadpool import ThreadPool
from service.storage.waiting import Look, once_stored
from service.worker_parts import Parts

BATCHED = ("predict", "recommend")
"""Routes whose requests wait for the model."""


@dataclass(frozen=True)
class RouteTable:
    """What the front answers by itself, and whom it lets in."""

    table: Mapping[str, Route]
    """Path to route."""
    folders: Mapping[str, Route]
    """Path to the route of whatever one name is below it."""
    use_cases: Iterable[str]
    access: Access
    admission: Admission


def make_routes(parts: Parts) -> RouteTable:
    """The routes of every use case that the worker loads, and those that are there once."""
    table: dict[str, Route] = scoring_table(parts) | inference_table(parts)
    for name in parts.use_cases:
        for route, (method, handler) in _handlers(parts, name).items():
            full = parts.slots[name].is_full if route in BATCHED else None
            observe = parts.metrics.answers.observer(name, route)
            at_once = predict_at_once(parts.slots[name]) if route == "predict" else None
            table[f"/v1/{name}/{route}"] = Route(
                {method: handler},
                observe,
                full,
                query=query_keys.OF_USE_CASE.get(route, query_keys.NONE),
                at_once=at_once,
            )
    table["/readyz"] = Route({"GET": _ready(parts.readiness)}, always=True)
    table["/health"] = Route({"GET": _health(parts.health)}, always=True)
    table["/docs.json"] = Route({"GET": _constant(write_openapi(parts.use_cases))})
    return RouteTable(
        table | asset_routes(), _folders(parts), sorted(parts.use_cases), parts.access, parts.admission
    )


def _handlers(parts: Parts, name: str) -> dict[str, tuple[str, Handler]]:
    """Path below `/v1/{use_case}/` to method and handler."""
    slot, use_case, threads = parts.slots[name], parts.use_cases[name], parts.threads
    feedback, limit = parts.feedback[name], use_case.serving.max_body_bytes
    keep_labels = keeping_labels(threads, feedback)
    return {
        "predict": ("POST", predict(slot, limit, keep_labels)),
        "predictions": ("POST", submit_job(slot, limit, parts.jobs[name], threads)),
        "recommend": ("POST", recommend(slot, limit, keep_labels, parts.recommenders[name])),
        "feedback": ("POST", _feedback(feedback, parts)),
        "model": ("GET", _blocking(threads, describe_model, slot)),
        "schema": ("GET", _blocking(threads, describe_fields, use_case, slot)),
        "ledger": ("GET", _ledger(parts.database, name, threads)),
        **control_handlers(parts, name),
        **report_handlers(parts, name),
    }


def _folders(parts: Parts) -> dict[str, Route]:
    jobs = {
        f"/v1/{name}/predictions": Route(
            {"GET": job_state(parts.jobs[name], parts.threads)},
            parts.metrics.answers.observer(name, "job"),
            query=query_keys.NONE,
        )
        for name in parts.use_cases
    }
    replays = {
        f"/v1/{name}/replays": Route(
            {"GET": read_replay(parts.home, parts.replays, parts.threads, name)},
            parts.metrics.answers.observer(name, "replay"),
            query=query_keys.NONE,
        )
        for name in parts.use_cases
    }
    labels = {
        f"/v1/{name}/feedback": Route(
            {"DELETE": take_label_back(parts.database, parts.threads, name)},
            parts.metrics.answers.observer(name, "forget"),
            query=query_keys.TAKING_BACK,
        )
        for name in parts.use_cases
    }
    trace = {"/v1/trace": Route({"GET": _trace(parts.tracer, parts.threads)}, query=query_keys.NONE)}
    return jobs | replays | labels | inference_folders(parts) | trace


def _feedback(feedback: FeedbackIntake, parts: Parts) -> Handler:
    async def handle(scope: Scope, receive: Receive) -> bytes:
        key, said_by = header(scope, b"idempotency-key"), source_of(scope)

        def take(items: ReadItems, look: Look) -> bytes:
            return feedback.take(items, key, said_by=said_by, look=look)

        return await take_items(feedback, parts, scope, receive, take)

    return handle


def _trace(tracer: Tracer, threads: ThreadPool) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        return await once_stored(threads, partial(tracer.trace, last_name(scope)))

    return handle


def _ledger(database: Database, name: str, threads: ThreadPool) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        return await threads.run(read_ledger, database, name, ledger_limit(scope))

    return handle


def _blocking(threads: ThreadPool, work: Callable[..., bytes], *args: Any) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        return await threads.run(work, *args)

    return handle


def _ready(readiness: Readiness) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> Reply:
        readiness.ensure()
        return Reply(200, b"\n", ((b"content-type", b"text/plain; charset=utf-8"),))

    return handle


def _constant(body: bytes) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        return body

    return handle


def _health(health: Health) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        return await health.describe()

    return handle
