"""The routes that control runs, and what production is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import orjson

from service.errors import Invalid
from service.http.access import caller_of
from service.http.exchange import Receive, Reply, Scope, Stream, header, read_body
from service.http.front import Handler
from service.runs import retraining
from service.runs.rollback import go_back
from service.runs.teaching import teach

if TYPE_CHECKING:
    from service.worker import Worker

MAX_BODY = 64 * 1024
MOST_SEQ = 2**63 - 1
_MOST_DIGITS = len(str(MOST_SEQ))


def control_handlers(worker: Worker, name: str) -> dict[str, tuple[str, Handler]]:
    """Path below `/v1/{use_case}/` to method and handler."""
    return {
        "retrain": ("POST", _retrain(worker, name)),
        "retrain/stop": ("POST", _stop(worker, name)),
        "retrain/status": ("GET", _status(worker, name)),
        "retrain/progress": ("GET", _progress(worker, name)),
        "train": ("POST", _train(worker, name)),
        "rollback": ("POST", _rollback(worker, name)),
    }


def accepted(name: str, answer: object) -> Reply:
    """A 202 that says where to look next."""
    return Reply(202, orjson.dumps(answer), [(b"location", f"/v1/{name}/retrain/status".encode())])


def _retrain(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, receive: Receive) -> Reply:
        body = await read_body(scope, receive, MAX_BODY)
        return accepted(name, await worker.in_thread(retraining.start_retrain, worker.database, name, body))

    return handle


def _train(worker: Worker, name: str) -> Handler:
    limit = worker.configs[name].serving.max_body_bytes

    async def handle(scope: Scope, receive: Receive) -> Reply:
        body = await read_body(scope, receive, limit)
        return await worker.in_thread(teach, worker.desks[name], body, header(scope, b"idempotency-key"))

    return handle


def _stop(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, receive: Receive) -> Reply:
        await read_body(scope, receive, MAX_BODY)
        return accepted(name, await worker.in_thread(retraining.stop_retrain, worker.database, name))

    return handle


def _status(worker: Worker, name: str) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        config, slot = worker.configs[name], worker.slots[name]
        return orjson.dumps(await worker.in_thread(retraining.read_status, worker.database, config, slot))

    return handle


def _progress(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> Stream:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        seen = _last_seen(header(scope, b"last-event-id") or query.get("last_event_id", [""])[-1])
        named = query.get("run_id", [None])[-1]
        run_id = await worker.in_thread(retraining.find_followed, worker.database, name, named)
        client = scope.get("client")
        return Stream(worker.streams.follow(run_id, seen, client[0] if client else ""))

    return handle


def _rollback(worker: Worker, name: str) -> Handler:
    async def handle(scope: Scope, receive: Receive) -> bytes:
        body = await read_body(scope, receive, MAX_BODY)
        return orjson.dumps(
            await worker.in_thread(
                go_back, worker.database, worker.reader, worker.model_cache, name, body, caller_of(scope)
            )
        )

    return handle


def _last_seen(text: str) -> int:
    """The number of the event that a caller saw last.

    Raises:
        Invalid: it is none.
    """
    if not text:
        return 0
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) <= MOST_SEQ:
        return int(text)
    raise Invalid(f"header 'last-event-id': got '{text[:40]}'; allowed: the id of an event")
