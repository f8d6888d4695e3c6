"""What GET /health shows: every use case, and everything that the service and its flows depend on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg

from models.errors import ModelError
from models.production.contract import AliasReader
from service.answers.slot import Slot
from service.replicas.presence import Presence
from service.state.dependency_check import DependencyCheck
from service.state.prefect_health import PrefectHealth
from service.storage.database import Database
from service.storage.journal_mover import JournalMover
from service.swap.links import Links
from service.swap.watcher import Watcher
from store.database.faults import sentence
from store.database.revisions import revision_problem
from store.errors import DatabaseError
from store.feedback.rows import count_feedback
from store.runs.workers import has_worker
from store.service_replicas import Replica, read_replicas
from store.supervision import supervision_file, supervision_problem

ANSWER_SECONDS = 1.5
"""How long a dependency may take to answer; the response is sent without it then."""
NO_WORKER = "no worker is connected to the database, so nothing is retrained; `ratchet up` starts one"
UNKNOWN_WORKER = "not known while the database is away"
READ_ONLY = (
    "the database is read-only, so nothing is stored: feedback, jobs and retrains are refused, predictions "
    "wait in the journal; all goes on by itself once it takes writes"
)
GOES_ON = (
    "what serves goes on, promotions do not come here, predictions wait in the journal, and feedback is "
    "refused until the database is reached again"
)
LEAST_DISK = 200_000_000
"""Bytes that are free where predictions are logged; with fewer it is said."""
LATE = f"does not answer within {ANSWER_SECONDS:g} s"


@dataclass(frozen=True)
class DatabaseFacts:
    """What the database knows for /health."""

    labels: Mapping[str, int]
    """Number of labelled rows by use case."""
    has_worker: bool
    """Whether a worker that runs flows is connected."""
    problem: str | None
    """Why it does not do all its work, though it answers."""
    replicas: Sequence[Replica]
    """Every server that shares it."""


@dataclass(frozen=True)
class LogFacts:
    """What /health shows of the prediction log."""

    backlog_bytes: int
    problem: str | None
    """Why it is not stored, or may soon not be written any more."""


class Health:
    """Checks what it shows, each in a thread of its own, for `ANSWER_SECONDS` at most."""

    def __init__(
        self,
        slots: Mapping[str, Slot],
        chains: Mapping[str, Links],
        database: Database,
        watcher: Watcher,
        registry: AliasReader,
        prefect: PrefectHealth,
        mover: JournalMover,
        presence: Presence,
        home: Path,
    ) -> None:
        self._slots = slots
        self._chains = chains
        self._watcher = watcher
        self._presence = presence
        self._home = home
        self._prefect_is_named = prefect.is_named
        self._log = LogFacts(0, None)
        self._database: DependencyCheck[DatabaseFacts | str] = DependencyCheck(
            lambda: read_facts(database, list(slots)), ANSWER_SECONDS
        )
        self._mlflow: DependencyCheck[str | None] = DependencyCheck(
            lambda: _registry_error(watcher, registry, list(slots)), ANSWER_SECONDS
        )
        self._prefect = DependencyCheck(prefect.describe, ANSWER_SECONDS)
        self._journal = DependencyCheck(lambda: _read_log(mover), ANSWER_SECONDS)

    async def describe(self) -> bytes:
        """The JSON of the response: `status`, `use_cases`, `dependencies`, `journal`.

        Raises nothing and takes little more than `ANSWER_SECONDS`, whatever is away or hangs.
        """
        database, prefect, mlflow, journal = await asyncio.gather(
            self._database.result(), self._prefect.result(), self._mlflow.result(), self._journal.result()
        )
        self._log = journal or self._log
        facts = database if isinstance(database, DatabaseFacts) else None
        is_watched = supervision_file(self._home).exists()  # as one of those that `ratchet up` has started
        dependencies = {
            "database": _state(self._database_error(facts, database)),
            "mlflow": _state((self._watcher.registry_error or LATE) if mlflow is None else mlflow or None),
            "prefect": self._prefect_state(prefect, facts, is_watched=is_watched),
            "worker": _state(_worker_error(facts)),
        }
        if is_watched:
            dependencies["supervisor"] = _state(supervision_problem(self._home))
        return orjson.dumps(
            {
                "status": "ok" if self._is_ok(dependencies) else "degraded",
                "use_cases": {
                    name: self._describe_use_case(slot, None if facts is None else facts.labels.get(name))
                    for name, slot in self._slots.items()
                },
                "dependencies": dependencies,
                "server": self._presence.describe(),
                "replicas": None if facts is None else [one.as_dict() for one in facts.replicas],
                "journal": {"backlog_bytes": self._log.backlog_bytes}
                | ({} if self._log.problem is None else {"problem": self._log.problem}),
            }
        )

    def stop(self) -> None:
        """End the threads of the checks."""
        for check in (self._database, self._prefect, self._mlflow, self._journal):
            check.stop()

    def _is_ok(self, dependencies: Mapping[str, Mapping[str, Any]]) -> bool:
        has_trouble = any(slot.refused or slot.postponements or slot.problem for slot in self._slots.values())
        return (
            not has_trouble
            and self._log.problem is None
            and all(state["ok"] for state in dependencies.values())
        )

    def _prefect_state(
        self, told: Mapping[str, Any] | None, facts: DatabaseFacts | None, *, is_watched: bool
    ) -> dict[str, Any]:
        """As it answers; that of another home where nobody has named one to a service by itself."""
        state = _state(LATE) if told is None else dict(told)
        has_own = self._prefect_is_named or is_watched
        if not state["ok"] and not has_own and facts is not None and facts.has_worker:
            return {"ok": True, "elsewhere": True}
        return state

    def _database_error(self, facts: DatabaseFacts | None, told: DatabaseFacts | str | None) -> str | None:
        if facts is not None:
            return facts.problem
        said, cut_off = LATE if told is None else str(told), self._presence.cut_off
        return said if cut_off is None else f"{said}; cut off since {cut_off.since:%H:%M:%S} UTC: {GOES_ON}"

    def _describe_use_case(self, slot: Slot, labels: int | None) -> dict[str, Any]:
        live = slot.current
        state_without_version = "untrained" if slot.standby is None else "standby"
        described: dict[str, Any] = {
            "state": state_without_version if live is None else "serving",
            "version": None if live is None else live.version,
            "previous": slot.version_before,
            "labels": labels,
            "refused": slot.refusals,
        }
        if postponements := slot.postponements:
            described["postponed"] = postponements
        if slot.canary is not None:
            described["canary"] = slot.canary.version
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


def read_facts(database: Database, names: list[str]) -> DatabaseFacts | str:
    """The facts; where the database does not answer, its error.

    Over a connection of its own, made now: others may be from before it became read-only, or was to be had.
    """
    try:
        with database.open() as conn:
            problem = revision_problem(conn)
            if problem is not None:
                return problem
            return DatabaseFacts(
                {name: count_feedback(conn, name) for name in names},
                has_worker(conn),
                _read_only(conn),
                read_replicas(conn),
            )
    except (psycopg.Error, DatabaseError) as error:
        return sentence(error)


def _read_only(conn: psycopg.Connection[Any]) -> str | None:
    row = conn.execute("SELECT current_setting('transaction_read_only')").fetchone()
    return READ_ONLY if row is not None and row[0] == "on" else None


def _registry_error(watcher: Watcher, registry: AliasReader, names: list[str]) -> str:
    """What the watcher saw of MLflow last; where that is bad, what is seen now. Empty: it answers."""
    if watcher.registry_error is not None:
        try:
            for name in names[:1]:
                registry.alias_version(name, "production")
        except ModelError as error:
            return str(error)
    return ""


def _read_log(mover: JournalMover) -> LogFacts:
    journal = mover.journal
    try:
        free, backlog = shutil.disk_usage(journal.root).free, journal.backlog_bytes()
    except OSError as error:
        return LogFacts(0, f"the log of predictions cannot be read: {error}")
    full = (
        f"{free / 1e6:.0f} MB are free where predictions are logged; make room" if free < LEAST_DISK else None
    )
    return LogFacts(backlog, full or mover.problem)
