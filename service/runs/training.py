"""POST /v1/{use_case}/train: labels are stored, and a run on them requested, in one transaction."""

from __future__ import annotations

from functools import partial
from typing import Any

import psycopg

from service.feedback.intake import FeedbackIntake, ReadItems
from service.http.exchange import Reply
from service.runs.retraining import TRIGGER
from service.storage.waiting import Look
from store.runs.lifecycle import request_training


def store_and_train(
    intake: FeedbackIntake, key: str | None, said_by: str, items: bytes | ReadItems, look: Look
) -> Reply:
    """Store the items of a request and have the worker learn from them, warm from production.

    Args:
        key: value of the header Idempotency-Key; None without one.
        said_by: the caller, whose labels they are.
        items: as for feedback.
        look: for the predictions that items name.

    Returns:
        202 with what became of the items, and the id of the run.

    Raises:
        NotStoredYet: a prediction may be stored soon; never at the last look.
        Invalid, NotJson: the request as a whole cannot be read.
        Conflict: the key came before with another body, or for plain feedback.
        DatabaseAway: nothing was stored, and no run requested.
    """
    use_case = intake.use_case.name
    request_run = partial(_request_run, use_case)
    answer = intake.take(items, key, request_run, purpose="train", said_by=said_by, look=look)
    return Reply(202, answer, [(b"location", f"/v1/{use_case}/retrain/status".encode())])


def _request_run(use_case: str, conn: psycopg.Connection[Any], accepted: int) -> dict[str, Any]:
    """Request a run if any item was accepted; a run that waits already is enough for all requests."""
    if not accepted:
        return {"status": "nothing_new", "run_id": None}
    return {"status": "queued", "run_id": request_training(conn, use_case, TRIGGER)}
