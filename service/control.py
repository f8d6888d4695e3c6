"""The routes that tell what is going on: model, ledger, health."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import psycopg

from features.feedback import count_feedback
from models import ledger
from service.database import Database
from service.errors import DatabaseAway
from service.exchange import Scope
from service.links import Links
from service.live import Slot
from service.queries import whole_number
from service.swap import Watcher

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


def describe_health(
    slots: Mapping[str, Slot],
    chains: Mapping[str, Links],
    database: Database,
    watcher: Watcher,
    prefect: Mapping[str, Any],
    journal_bytes: int,
) -> bytes:
    """All use cases and what the service depends on; never fails, whatever is away."""
    counts: Mapping[str, int | None] = dict.fromkeys(slots)
    away: str | None = None
    try:
        counts = database.run(_counter(list(slots)))
    except DatabaseAway as error:
        away = error.message
    except psycopg.Error as error:
        away = str(error)
    use_cases = {
        name: _describe_slot(slot, counts[name])
        | ({"chain": chains[name].describe()} if name in chains else {})
        for name, slot in slots.items()
    }
    database_state = {"ok": away is None} | ({} if away is None else {"error": away})
    registry_error = watcher.registry_error
    registry_state = {"ok": registry_error is None} | (
        {} if registry_error is None else {"error": registry_error}
    )
    fine = away is None and registry_error is None
    fine = fine and not any(slot.refused or slot.problem for slot in slots.values())
    return orjson.dumps(
        {
            "status": "ok" if fine else "degraded",
            "use_cases": use_cases,
            "dependencies": {"database": database_state, "mlflow": registry_state, "prefect": dict(prefect)},
            "journal": {"backlog_bytes": journal_bytes},
        }
    )


def _counter(names: Sequence[str]) -> Callable[[psycopg.Connection[Any]], dict[str, int | None]]:
    return lambda conn: {name: count_feedback(conn, name) for name in names}


def _describe_slot(slot: Slot, labels: int | None) -> dict[str, Any]:
    live = slot.current
    waiting = "untrained" if slot.standby is None else "standby"
    return {
        "state": waiting if live is None else "serving",
        "version": None if live is None else live.version,
        "previous": None if slot.previous is None else slot.previous.version,
        "labels": labels,
        "refused": {str(version): reason for version, reason in slot.refused.items()},
    } | ({} if slot.problem is None else {"problem": slot.problem})
