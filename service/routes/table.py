"""The table of Ratchet's own routes: which path is answered by what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from service.http.access import caller_of
from service.http.exchange import Receive, Reply, Scope, header, last_name, read_body
from service.http.front import Handler, Route
from service.openapi.document import write_openapi
from service.page.assets import asset_routes
from service.page.fields import describe_fields
from service.protocols.inference_routes import inference_folders, inference_table
from service.protocols.scoring import scoring_table
from service.routes.control import control_handlers
from service.routes.watch import watch_handlers
from service.state.production import describe_model, limit_of, read_ledger

if TYPE_CHECKING:
    from service.worker import Worker

BATCHED = ("predict", "recommend")
"""Routes whose requests wait for the model."""


def make_routes(worker: Worker) -> dict[str, Route]:
    """Path to route, for every use case that the worker loads."""
    table: dict[str, Route] = scoring_table(worker) | inference_table(worker)
    for name in worker.use_cases:
        handlers: dict[str, tuple[str, Handler]] = {
            "predict": ("POST", _predict(worker, name)),
            "feedback": ("POST", _feedback(worker, name)),
            "predictions": ("POST", _submit(worker, name)),
            "recommend": ("POST", _recommend(worker, name)),
            "model": ("GET", _blocking(worker, describe_model, worker.slots[name])),
            "schema": ("GET", _blocking(worker, describe_fields, worker.configs[name], worker.slots[name])),
            "ledger": ("GET", _ledger(worker, name)),
            **control_handlers(worker, name),
            **watch_handlers(worker, name),
        }
        for route, (method, handler) in handlers.items():
            full = worker.slots[name].is_full if route in BATCHED else None
            table[f"/v1/{name}/{route}"] = Route(
                {method: handler}, worker.metrics.observer(name, route), full
            )
    health = _health(worker)
    table["/health"] = Route({"GET": health, "HEAD": health}, always=True)
    table["/docs.json"] = Route({"GET": _constant(write_openapi(worker.configs))})
    return table | asset_routes()


def make_folders(worker: Worker) -> dict[str, Route]:
    """Path to the route of whatever one name is below it."""
    folders = {
        f"/v1/{name}/predictions": Route({"GET": _job(worker, name)}, worker.metrics.observer(name, "job"))
        for name in worker.use_cases
    }
    return folders | inference_folders(worker) | {"/v1/trace": Route({"GET": _trace(worker)})}


def _predict(worker: Worker, name: str) -> Handler:
    slot, limit = worker.slots[name], worker.configs[name].serving.max_body_bytes

    async def handle(scope: Scope, receive: Receive) -> bytes:
        body = await slot.read_with_room(scope, receive, limit)
        return await worker.predict(name, body, caller_of(scope))

    return handle


def _feedback(worker: Worker, name: str) -> Handler:
    limit = worker.configs[name].serving.max_body_bytes

    async def handle(scope: Scope, receive: Receive) -> bytes:
        body = await read_body(scope, receive, limit)
        return await worker.in_thread(worker.desks[name].take, body, header(scope, b"idempotency-key"))

    return handle


def _submit(worker: Worker, name: str) -> Handler:
    limit = worker.configs[name].serving.max_body_bytes

    async def handle(scope: Scope, receive: Receive) -> Reply:
        body = await read_body(scope, receive, limit)
        return await worker.submit_job(name, body, header(scope, b"idempotency-key"), caller_of(scope))

    return handle


def _recommend(worker: Worker, name: str) -> Handler:
    slot, limit = worker.slots[name], worker.configs[name].serving.max_body_bytes

    async def handle(scope: Scope, receive: Receive) -> bytes:
        body = await slot.read_with_room(scope, receive, limit)
        return await worker.recommend(name, body, caller_of(scope))

    return handle


def _job(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> Reply:
        return await worker.in_thread(worker.job_desks[name].find, last_name(scope))

    return handle


def _trace(worker: Worker) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        return await worker.in_thread(worker.tracer.trace, last_name(scope))

    return handle


def _ledger(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> bytes:
        return await worker.in_thread(read_ledger, worker.database, name, limit_of(scope))

    return handle


def _blocking(worker: Worker, work: Callable[..., bytes], *args: Any) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        return await worker.in_thread(work, *args)

    return handle


def _constant(body: bytes) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        return body

    return handle


def _health(worker: Worker) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        return await worker.health.describe()

    return handle
