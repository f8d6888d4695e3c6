"""GET /v1/{use_case}/quarantine and POST /v1/{use_case}/quarantine/retry: why rows were refused, and again.

A retry is done by the worker: rows of files are read as files are, which servers do without.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import orjson
import psycopg
from pydantic import BaseModel, ConfigDict, Field

from service.answers.options import read_options
from service.storage.database import Database
from store.quarantine.rows import (
    Selection,
    count_reasons,
    count_rows,
    read_rows,
    request_retry,
)

ROWS = 20
MOST_ROWS = 500
"""Default and maximum of `limit`."""
LAST_ID = 10**9 - 1
Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]


class RetryRequest(BaseModel):
    """Which rows to try again; by default all of them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Text | None = None
    source: Text | None = None


def describe_quarantine(database: Database, use_case: str, limit: int, after: int) -> bytes:
    """Reasons with their counts, and a page of rows, as JSON; `next` is the `after` of the page that follows.

    Raises:
        DatabaseAway: the database does not answer.
    """

    def describe(conn: psycopg.Connection[Any]) -> dict[str, Any]:
        rows = read_rows(conn, use_case, after=after, limit=limit)
        return {
            "use_case": use_case,
            "rows": count_rows(conn, use_case),
            "retry_requested": count_rows(conn, use_case, Selection(requested=True)),
            "reasons": [reason.as_dict() for reason in count_reasons(conn, use_case, limit=MOST_ROWS)],
            "shown": [asdict(row) for row in rows],
            "next": rows[-1].id if len(rows) == limit else None,
        }

    return orjson.dumps(database.run(describe))


def retry(database: Database, use_case: str, body: bytes) -> dict[str, Any]:
    """Ask the worker to try rows again; the request is durable when this returns.

    Args:
        body: JSON of a `RetryRequest`, or empty.

    Raises:
        Invalid, NotJson: the options cannot be used.
        DatabaseAway: nothing was requested.
    """
    asked = read_options(body, RetryRequest)
    selection = Selection(asked.reason, asked.source)
    rows = database.run(lambda conn: request_retry(conn, use_case, selection))
    return {"status": "requested" if rows else "nothing_to_retry", "rows": rows}
