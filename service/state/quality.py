"""What GET /v1/{use_case}/quality shows: how good the served predictions were."""

from __future__ import annotations

import orjson

from configs.schema import UseCase
from models.production.live_quality import live_quality
from service.storage.database import Database

WINDOWS = 30
MOST_WINDOWS = 200
"""Default and maximum of `windows`."""
HOURS = 24 * 30
MOST_HOURS = 24 * 366
"""Default and maximum of `hours`."""


def describe_quality(database: Database, use_case: UseCase, windows: int, hours: int) -> bytes:
    """The quality of the last `hours`, in about `windows` windows of equal counts of labels, as JSON.

    Raises:
        DatabaseAway: the database does not answer.
    """
    live = database.read(lambda conn: live_quality(conn, use_case, windows=windows, hours=hours))
    return orjson.dumps(live.as_dict())
