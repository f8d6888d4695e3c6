"""What GET /health shows: every use case, and everything that the service and its flows depend on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg

from service.answers.slot import Slot
from service.errors import DatabaseAway
from service.state.dependency_check import DependencyCheck
from service.state.prefect_health import PrefectHealth
from service.storage.database import Database
from service.swap.links import Links
from service.swap.watcher import Watcher
from store.feedback.rows import count_feedback
from store.predictions.journal import Journal
from store.runs.workers import has_worker
from store.supervision import supervision_file, supervision_problem

ANSWER_SECONDS = 1.5
"""How long a dependency may take to answer; the response is sent without it then."""
NO_WORKER = "no worker is connected to the database, so nothing is retrained; `ratchet up` starts one"
UNKNOWN_WORKER = "not known while the database is away"
LATE = f"does not answer within {ANSWER_SECONDS:g} s"


@dataclass(frozen=True)
class DatabaseFacts:
    """What the database knows for /health."""

    labels: Mapping[str, int]
    """Number of labelled rows by use case."""
    has_worker: bool
    """Whether a worker that runs flows is connected."""


class Health:
    """Checks the database, Prefect and the journal, each in its own thread, for `ANSWER_SECONDS` at most."""

    def __init__(
        self,
        slots: Mapping[str, Slot],
        chains: Mapping[str, Links],
        database: Database,
        watcher: Watcher,
        prefect: PrefectHealth,
        journal: Journal,
        home: Path,
    ) -> None:
        self._slots = slots
        self._chains = chains
        self._watcher = watcher
        self._home = home
        self._backlog_bytes = 0
        self._database: DependencyCheck[DatabaseFacts | str] = DependencyCheck(
            lambda: _read_facts(database, list(slots)), ANSWER_SECONDS
        )
        self._prefect = DependencyCheck(prefect.describe, ANSWER_SECONDS)
        self._journal = DependencyCheck(journal.backlog_bytes, ANSWER_SECONDS)

    async def describe(self) -> bytes:
        """The JSON of the response: `status`, `use_cases`, `dependencies`, `journal`.

        Raises nothing and takes little more than `ANSWER_SECONDS`, whatever is away or hangs.
        """
        database, prefect, backlog_bytes = await asyncio.gather(
            self._database.result(), self._prefect.result(), self._journal.result()
        )
        self._backlog_bytes = self._backlog_bytes if backlog_bytes is None else backlog_bytes
        facts = database if isinstance(database, DatabaseFacts) else None
        dependencies = {
            "database": _state(None if facts else LATE if database is None else str(database)),
            "mlflow": _state(self._watcher.registry_error),
            "prefect": _state(LATE) if prefect is None else dict(prefect),
            "worker": _state(_worker_error(facts)),
        }
        if supervision_file(self._home).exists():  # this service is one of those that `ratchet up` watches
            dependencies["supervisor"] = _state(supervision_problem(self._home))
        return orjson.dumps(
            {
                "status": "ok" if self._is_ok(dependencies) else "degraded",
                "use_cases": {
                    name: self._describe_use_case(slot, None if facts is None else facts.labels[name])
                    for name, slot in self._slots.items()
                },
                "dependencies": dependencies,
                "journal": {"backlog_bytes": self._backlog_bytes},
            }
        )

    def stop(self) -> None:
        """End the threads of the checks."""
        for check in (self._database, self._prefect, self._journal):
            check.stop()

    def _is_ok(self, dependencies: Mapping[str, Mapping[str, Any]]) -> bool:
        has_trouble = any(slot.refused or slot.problem for slot in self._slots.values())
        return not has_trouble and all(state["ok"] for state in dependencies.values())

    def _describe_use_case(self, slot: Slot, labels: int | None) -> dict[str, Any]:
        live = slot.current
        state_without_version = "untrained" if slot.standby is None else "standby"
        described: dict[str, Any] = {
            "state": state_without_version if live is None else "serving",
            "version": None if live is None else live.version,
            "previous": None if slot.previous is None else slot.previous.version,
            "labels": labels,
            "refused": {str(version): reason for version, reason in slot.refused.items()},
        }
        if slot.problem is not None:
            described["problem"] = slot.problem
        if slot.name in self._chains:
            described["chain"] = self._chains[slot.name].describe()
        return described


def _state(error: str | None) -> dict[str, Any]:
    return {"ok": True} if error is None else {"ok": False, "error": error}


def _worker_error(facts: DatabaseFacts | None) -> str | None:
    if facts is None:
        return UNKNOWN_WORKER
    return None if facts.has_worker else NO_WORKER


def _read_facts(database: Database, names: list[str]) -> DatabaseFacts | str:
    """The facts; where the database does not answer, its error."""

    def read(conn: psycopg.Connection[Any]) -> DatabaseFacts:
        return DatabaseFacts({name: count_feedback(conn, name) for name in names}, has_worker(conn))

    try:
        return database.run(read)
    except DatabaseAway as error:
        return error.message
    except psycopg.Error as error:
        return str(error)
