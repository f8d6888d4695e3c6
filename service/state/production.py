"""What GET /v1/{use_case}/model and /v1/{use_case}/ledger show: the version served, and what moved it."""

from __future__ import annotations

import orjson

from models.production import ledger
from service.answers.slot import Slot
from service.http.exchange import Scope
from service.http.query_params import whole_number
from service.storage.database import Database

LEDGER_ROWS = 50
MOST_LEDGER_ROWS = 1000
"""Default and maximum of `limit`."""


def describe_model(slot: Slot) -> bytes:
    """The version that serves, with metrics and lineage; what it would go back to; and those refused.

    Raises:
        Untrained: no version serves.
    """
    return orjson.dumps(slot.describe())


def read_ledger(database: Database, use_case: str, limit: int) -> bytes:
    """The newest `limit` rows of the ledger, newest first.

    Raises:
        DatabaseAway: the database does not answer.
    """
    entries = database.read(lambda conn: ledger.history(conn, use_case, limit))
    return orjson.dumps({"use_case": use_case, "entries": [entry.as_dict() for entry in entries]})


def ledger_limit(scope: Scope) -> int:
    """The query parameter `limit`.

    Raises:
        Invalid: it is no whole number from 1 to `MOST_LEDGER_ROWS`.
    """
    return whole_number(scope, "limit", default=LEDGER_ROWS, high=MOST_LEDGER_ROWS)
