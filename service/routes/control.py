"""The routes that control runs, and what production is."""

from __future__ import annotations

from functools import partial

import orjson

from configs.schema import UseCase
from service.answers.slot import Slot
from service.errors import Invalid
from service.feedback.intake import FeedbackIntake
from service.http.access import caller_of, source_of
from service.http.exchange import Receive, Reply, Scope, Stream, header, read_body
from service.http.front import Handler
from service.http.query_params import query_text
from service.routes.labels import take_items
from service.runs import retraining
from service.runs.progress import MOST_SEQ, ProgressStreams
from service.runs.rollback import execute_rollback
from service.runs.training import store_and_train
from service.state import quarantine
from service.storage.database import Database
from service.storage.threadpool import ThreadPool
from service.worker_parts import Parts

MAX_BODY = 64 * 1024
_MOST_DIGITS = len(str(MOST_SEQ))


def control_handlers(parts: Parts, name: str) -> dict[str, tuple[str, Handler]]:
    """Path below `/v1/{use_case}/` to method and handler."""
    database, threads = parts.database, parts.threads
    return {
        "retrain": ("POST", _retrain(database, threads, parts.use_cases[name])),
        "retrain/stop": ("POST", _stop(database, threads, name)),
        "retrain/status": ("GET", _status(database, threads, parts.use_cases[name], parts.slots[name])),
        "retrain/progress": ("GET", _progress(database, threads, parts.streams, name)),
        "train": ("POST", _train(parts.feedback[name], parts)),
        "quarantine/retry": ("POST", _retry(database, threads, name)),
        "rollback": ("POST", _rollback(parts, name)),
    }


def accepted(name: str, answer: object) -> Reply:
    """A 202 that says where to look next."""
    return Reply(202, orjson.dumps(answer), [(b"location", f"/v1/{name}/retrain/status".encode())])


def _retrain(database: Database, threads: ThreadPool, use_case: UseCase) -> Handler:
    async def handle(scope: Scope, receive: Receive) -> Reply:
        body = await read_body(scope, receive, MAX_BODY)
        return accepted(use_case.name, await threads.run(retraining.start_retrain, database, use_case, body))

    return handle


def _train(feedback: FeedbackIntake, parts: Parts) -> Handler:
    async def handle(scope: Scope, receive: Receive) -> Reply:
        take = partial(store_and_train, feedback, header(scope, b"idempotency-key"), source_of(scope))
        return await take_items(feedback, parts, scope, receive, take)

    return handle


def _stop(database: Database, threads: ThreadPool, name: str) -> Handler:
    async def handle(scope: Scope, receive: Receive) -> Reply:
        await read_body(scope, receive, MAX_BODY)
        return accepted(name, await threads.run(retraining.stop_retrain, database, name))

    return handle


def _retry(database: Database, threads: ThreadPool, name: str) -> Handler:
    async def handle(scope: Scope, receive: Receive) -> Reply:
        body = await read_body(scope, receive, MAX_BODY)
        answer = await threads.run(quarantine.retry, database, name, body)
        return Reply(202, orjson.dumps(answer), [(b"location", f"/v1/{name}/quarantine".encode())])

    return handle


def _status(database: Database, threads: ThreadPool, use_case: UseCase, slot: Slot) -> Handler:
    async def handle(_scope: Scope, _receive: Receive) -> bytes:
        return orjson.dumps(await threads.run(retraining.read_status, database, use_case, slot))

    return handle


def _progress(database: Database, threads: ThreadPool, streams: ProgressStreams, name: str) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> Stream:
        last_event = _last_event(header(scope, b"last-event-id") or query_text(scope, "last_event_id") or "")
        asked_run = query_text(scope, "run_id") or None
        run_id = await threads.run(retraining.find_followed, database, name, asked_run)
        client = scope.get("client")
        return Stream(streams.follow(run_id, last_event, client[0] if client else ""))

    return handle


def _rollback(parts: Parts, name: str) -> Handler:
    database, registry, cache = parts.database, parts.registry, parts.model_cache

    async def handle(scope: Scope, receive: Receive) -> bytes:
        body = await read_body(scope, receive, MAX_BODY)
        caller = caller_of(scope)
        return orjson.dumps(
            await parts.threads.run(execute_rollback, database, registry, cache, name, body, caller)
        )

    return handle


def _last_event(text: str) -> int:
    """The number of the event that a caller saw last.

    Raises:
        Invalid: it is none.
    """
    if not text:
        return 0
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) <= MOST_SEQ:
        return int(text)
    raise Invalid(f"header 'last-event-id': got '{text[:40]}'; allowed: the id of an event")
