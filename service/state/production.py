"""The routes that tell what production is, and what moved it."""

from __future__ import annotations

import orjson

from models.production import ledger
from service.answers.slot import Slot
from service.http.exchange import Scope
from service.http.query_params import whole_number
from service.storage.database import Database

LEDGER_ROWS = 50
MOST_LEDGER_ROWS = 1000


def describe_model(slot: Slot) -> bytes:
    """What serves, with metrics and lineage.

    Raises:
        Untrained: nothing does.
    """
    previous = slot.previous
    return orjson.dumps(
        slot.serving().describe()
        | {
            "previous": None if previous is None else previous.version,
            "refused": {str(version): reason for version, reason in slot.refused.items()},
        }
    )


def read_ledger(database: Database, use_case: str, limit: int) -> bytes:
    """The newest rows of the ledger, newest first."""
    entries = database.run(lambda conn: ledger.history(conn, use_case, limit))
    return orjson.dumps({"use_case": use_case, "entries": [entry.as_dict() for entry in entries]})


def limit_of(scope: Scope) -> int:
    """The `limit` of a query.

    Raises:
        Invalid: it is no whole number within bounds.
    """
    return whole_number(scope, "limit", default=LEDGER_ROWS, high=MOST_LEDGER_ROWS)
