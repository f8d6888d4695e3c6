"""Live quality over HTTP."""

from __future__ import annotations

import orjson

from configs.schema import UseCase
from models.production.live_quality import live_quality
from service.storage.database import Database

WINDOWS = 30
MOST_WINDOWS = 200
HOURS = 24 * 30
MOST_HOURS = 24 * 366


def describe_quality(database: Database, use_case: UseCase, windows: int, hours: int) -> bytes:
    """How good the answers of the last hours were, in windows of equal counts of labels.

    Raises:
        DatabaseAway: the database does not answer.
    """
    found = database.run(lambda conn: live_quality(conn, use_case, windows=windows, hours=hours))
    return orjson.dumps(found.as_dict())
