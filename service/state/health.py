"""What the service tells of its health: every use case, and everything that it and the loop depend on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

from service.answers.slot import Slot
from service.errors import DatabaseAway
from service.state.prefect import PrefectState
from service.state.probe import Probe
from service.storage.database import Database
from service.swap.links import Links
from service.swap.watcher import Watcher
from store.feedback.rows import count_feedback
from store.predictions.journal import Journal
from store.runs.workers import has_worker

PATIENCE = 1.5
"""Seconds that anything outside may take to answer; what is known without it is told then."""
NO_WORKER = "no worker is connected to the database, so nothing is retrained; `ratchet up` starts one"
UNKNOWN_WORKER = "not known while the database is away"
LATE = f"does not answer within {PATIENCE:g} s"


@dataclass(frozen=True)
class Stored:
    """What the database says."""

    labels: Mapping[str, int]
    worker: bool
    """Whether one that runs flows is connected."""


class Health:
    """Asks the database, Prefect and the disk, each by itself, and waits `PATIENCE` for any of them."""

    def __init__(
        self,
        slots: Mapping[str, Slot],
        chains: Mapping[str, Links],
        database: Database,
        watcher: Watcher,
        prefect: PrefectState,
        journal: Journal,
    ) -> None:
        self._slots = slots
        self._chains = chains
        self._watcher = watcher
        self._backlog = 0
        self._database: Probe[Stored | str] = Probe(lambda: _read(database, list(slots)), PATIENCE)
        self._prefect = Probe(prefect.describe, PATIENCE)
        self._journal = Probe(journal.backlog_bytes, PATIENCE)

    async def describe(self) -> bytes:
        """All of it; never fails, whatever is away or hangs."""
        stored, prefect, backlog = await asyncio.gather(
            self._database.answer(), self._prefect.answer(), self._journal.answer()
        )
        self._backlog = self._backlog if backlog is None else backlog
        known = stored if isinstance(stored, Stored) else None
        dependencies = {
            "database": _state(None if known else LATE if stored is None else str(stored)),
            "mlflow": _state(self._watcher.registry_error),
            "prefect": _state(LATE) if prefect is None else dict(prefect),
            "worker": _state(UNKNOWN_WORKER if known is None else None if known.worker else NO_WORKER),
        }
        troubled = any(slot.refused or slot.problem for slot in self._slots.values())
        fine = not troubled and all(state["ok"] for state in dependencies.values())
        return orjson.dumps(
            {
                "status": "ok" if fine else "degraded",
                "use_cases": {
                    name: self._describe_use_case(slot, None if known is None else known.labels[name])
                    for name, slot in self._slots.items()
                },
                "dependencies": dependencies,
                "journal": {"backlog_bytes": self._backlog},
            }
        )

    def stop(self) -> None:
        """Let the threads go."""
        for probe in (self._database, self._prefect, self._journal):
            probe.stop()

    def _describe_use_case(self, slot: Slot, labels: int | None) -> dict[str, Any]:
        live = slot.current
        waiting = "untrained" if slot.standby is None else "standby"
        described: dict[str, Any] = {
            "state": waiting if live is None else "serving",
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


def _read(database: Database, names: list[str]) -> Stored | str:
    """What the database says, or why it does not."""

    def read(conn: psycopg.Connection[Any]) -> Stored:
        return Stored({name: count_feedback(conn, name) for name in names}, has_worker(conn))

    try:
        return database.run(read)
    except DatabaseAway as error:
        return error.message
    except psycopg.Error as error:
        return str(error)
