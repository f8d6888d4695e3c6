"""The thread by which a worker says what it serves, and notices that it is cut off from the database."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import psycopg

from configs.security.origins import is_loopback, is_unspecified
from configs.settings import Settings, bracketed
from service.answers.slot import Slot
from service.errors import DatabaseAway
from service.metrics import Metrics
from service.storage.database import Database
from store.database.faults import sentence
from store.errors import DatabaseUnavailable
from store.service_replicas import BEAT_SECONDS, State, beat, forget, forget_gone, server_name
from store.service_workers import read_models

Work: TypeAlias = Callable[[psycopg.Connection[Any]], None]
UNREACHED = (DatabaseUnavailable, psycopg.OperationalError, psycopg.InterfaceError)
"""Of errors of the database, those after which it has not heard us."""
log = logging.getLogger("ratchet.service")


@dataclass(frozen=True)
class CutOff:
    """Since when the database cannot be reached from here, and why."""

    since: datetime
    problem: str


class Presence:
    """What one worker says of itself to the others, every `BEAT_SECONDS` and at every swap."""

    def __init__(
        self,
        settings: Settings,
        slots: Mapping[str, Slot],
        database: Database,
        metrics: Metrics,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self.address = own_address(settings)
        self.started_at = datetime.now(UTC)
        self.state: State = "serving"
        self.cut_off: CutOff | None = None
        """None while the database hears this worker."""
        self._home = settings.home
        self._slots = slots
        self._database = database
        self._gauge = metrics.swaps.cut_off
        self._beat_seconds = beat_seconds
        self._server = ""
        self._told_problem = False
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._gauge.set(0)
        self._thread.start()

    def tell(self) -> None:
        """Say soon what has changed."""
        self._wake.set()

    def stop(self, timeout: float) -> None:
        """Take the row away, if the database answers, and end; waits at most `timeout` seconds."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def describe(self) -> dict[str, Any]:
        """As /health shows it."""
        cut_off = self.cut_off
        return {
            "address": self.address,
            "state": self.state,
            "started_at": self.started_at,
            "cut_off": None if cut_off is None else {"since": cut_off.since, "problem": cut_off.problem},
        }

    def _run(self) -> None:
        self._try(self._begin)
        while not self._stopping:
            self._try(self._beat)
            self._wake.wait(self._beat_seconds)
            self._wake.clear()
        self._try(lambda conn: forget(conn, self._server, os.getpid()))

    def _begin(self, conn: psycopg.Connection[Any]) -> None:
        """What killed processes of this server had said counts no longer."""
        self._name()
        forget_gone(conn, self._server, {os.getpid(), *read_models(self._home)})

    def _name(self) -> None:
        if not self._server:
            self._server = server_name(self._home)

    def _beat(self, conn: psycopg.Connection[Any]) -> None:
        self._name()
        serving = {
            name: (live.version, live.since)
            for name, slot in self._slots.items()
            if (live := slot.current) is not None
        }
        beat(
            conn,
            self._server,
            os.getpid(),
            address=self.address,
            started_at=self.started_at,
            state=self.state,
            serving=serving,
        )

    def _try(self, work: Work) -> None:
        try:
            self._database.run(work)
        except Exception as error:  # noqa: BLE001 - it is told, and what is said later is to be heard
            cause = error.__cause__ if isinstance(error, DatabaseAway) else error
            if isinstance(cause, UNREACHED):
                self._note_cut_off(sentence(cause))
            else:
                if not self._told_problem:
                    log.warning("what is served here cannot be told to others: %s", error)
                self._told_problem = True
            return
        self._told_problem = False
        if self.cut_off is not None:
            log.info("the database hears this worker again, which was cut off since %s", self.cut_off.since)
        self.cut_off = None
        self._gauge.set(0)

    def _note_cut_off(self, problem: str) -> None:
        if self.cut_off is None:
            log.warning("cut off from the database; what serves goes on: %s", problem)
        since = datetime.now(UTC) if self.cut_off is None else self.cut_off.since
        self.cut_off = CutOff(since, problem)
        self._gauge.set(1)


def own_address(settings: Settings) -> str:
    """Where others may find this server: by the name of the machine, where it has no address of its own."""
    everywhere = is_unspecified(settings.host) or is_loopback(settings.host)
    return f"{socket.gethostname() if everywhere else bracketed(settings.host)}:{settings.port}"
