"""Labelled records that are learned from at once: stored, and a run asked for, in one transaction."""

from __future__ import annotations

from functools import partial
from typing import Any

import psycopg

from service.feedback.desk import FeedbackIntake
from service.http.exchange import Reply
from service.runs.retraining import TRIGGER
from store.runs.life import request_training


def teach(desk: FeedbackIntake, body: bytes, key: str | None) -> Reply:
    """Store the items of a request and have the worker learn from them, warm from production.

    Raises:
        Invalid, NotJson: the request as a whole cannot be read.
        Conflict: the key came before with another body, or for plain feedback.
        DatabaseAway: nothing was stored, and nothing asked for.
    """
    name = desk.use_case.name
    answer = desk.take(body, key, partial(ask_to_learn, name), purpose="train")
    return Reply(202, answer, [(b"location", f"/v1/{name}/retrain/status".encode())])


def ask_to_learn(use_case: str, conn: psycopg.Connection[Any], accepted: int) -> dict[str, Any]:
    """Ask for a run when there is something new; one that waits already is enough for all."""
    if not accepted:
        return {"status": "nothing_new", "run_id": None}
    return {"status": "queued", "run_id": request_training(conn, use_case, TRIGGER)}
