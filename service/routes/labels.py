"""Reading labelled items that may hold pictures, for the routes that take some; and taking a label back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from service.answers.decoding import Decoding
from service.errors import Invalid
from service.feedback.intake import FeedbackIntake, ReadItems
from service.feedback.taking_back import MOST_REASON, take_back_label
from service.http.access import caller_of, source_of
from service.http.exchange import SMALL_BODY, Receive, Scope, last_name, read_body
from service.http.front import Handler
from service.http.query_params import query_text
from service.storage.database import Database
from service.storage.threadpool import ThreadPool
from service.storage.waiting import Look, once_stored
from service.worker_parts import Parts

MAX_BODY = 64 * 1024


T = TypeVar("T")


async def take_items(
    feedback: FeedbackIntake,
    parts: Parts,
    scope: Scope,
    receive: Receive,
    take: Callable[[ReadItems, Look], T],
) -> T:
    """What `take` returns of the items of a request, once the predictions that they name are stored.

    Raises:
        ServiceError: the body is refused, too many wait with their pictures, or the items cannot be stored.
    """
    limit = feedback.use_case.serving.max_body_bytes
    came = await _read_items(feedback, parts.decoding, scope, receive, limit)

    def look(which: Look) -> T:
        nonlocal came
        if isinstance(came, bytes):
            came = feedback.read(came)
        return take(came, which)

    return await once_stored(parts.threads, look)


async def _read_items(
    feedback: FeedbackIntake, decoding: Decoding, scope: Scope, receive: Receive, limit: int
) -> bytes | ReadItems:
    """The items of a request: as they came, or checked in their turn where they may hold pictures.

    Raises:
        ServiceError: the body is refused, or too many wait with their pictures.
    """
    lane = decoding.lane(feedback.use_case.name)
    if feedback.decodes_pictures:
        lane.ensure_room()
    body = await read_body(scope, receive, limit)
    if feedback.decodes_pictures or (feedback.has_images and len(body) > SMALL_BODY):
        return await lane.run(receive, feedback.read, body)
    return body


def take_label_back(database: Database, threads: ThreadPool, name: str) -> Handler:
    """DELETE /v1/{use_case}/feedback/{id}: keys take back what they said themselves, `admin` any label."""

    async def handle(scope: Scope, receive: Receive) -> bytes:
        await read_body(scope, receive, MAX_BODY)
        caller, reason = caller_of(scope), _reason(scope)
        own = None if caller is None or caller.may("admin") else caller.name
        work = partial(take_back_label, actor=source_of(scope), reason=reason, own=own)
        return await threads.run(work, database, name, last_name(scope))

    return handle


def _reason(scope: Scope) -> str:
    """Why, by the query; nothing where it does not say.

    Raises:
        Invalid: it is too long, or has a NUL in it.
    """
    text = (query_text(scope, "reason") or "").strip()
    if len(text) > MOST_REASON or "\0" in text:
        raise Invalid(
            f"query 'reason': got {text[:40]!r}, {len(text)} characters; allowed: {MOST_REASON} without a NUL"
        )
    return text
