"""What GET /v1/{use_case}/audits shows: answers drawn by chance that wait for their true label."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg

from service.storage.database import Database
from store.predictions.audits import count_audits, waiting_audits

ANSWERS = 100
MOST_ANSWERS = 1000
"""Default and maximum of `limit`."""
DAYS = 30
MOST_DAYS = 366
"""Default and maximum of `days`."""


def describe_audits(database: Database, use_case: str, limit: int, days: int) -> bytes:
    """How many audited answers of the last days have labels, and those without one, newest first, as JSON.

    Raises:
        DatabaseAway: the database does not answer.
    """
    since = datetime.now(UTC) - timedelta(days=days)

    def describe(conn: psycopg.Connection[Any]) -> dict[str, Any]:
        return {
            "use_case": use_case,
            "since": since.isoformat(),
            **count_audits(conn, use_case, since=since).as_dict(since),
            "waiting": [one.as_dict() for one in waiting_audits(conn, use_case, limit=limit, since=since)],
        }

    return orjson.dumps(database.read(describe))
