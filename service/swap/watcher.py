"""Hot swap: noticing that production moved, loading the new version beside the old, changing over.

Each worker listens to PostgreSQL, which tells it of a promotion at once, or behind a pooler in transaction
mode looks twice a second whether the ledger has grown. And it looks at MLflow's alias every few seconds,
which finds what was moved by hand and what was missed. A version that does not load, or does not answer its
own probe, is refused; the one that serves stays.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from time import monotonic
from typing import Any

import psycopg

from models.errors import ModelError, RegistryUnavailable
from models.production import ledger
from models.production.contract import RegistryReader
from service.answers.slot import ServedVersion, Slot
from service.errors import DatabaseAway
from service.storage.notices import NoticeWait
from service.swap.canaries import Canaries
from service.swap.changeover import Changeover
from service.swap.giving_up import GivingUp
from service.swap.ledger_check import Residents
from service.swap.moves import FollowedMoves
from service.swap.station import Station
from service.swap.unfit import Unfit
from service.watchdog.first_load import VersionUnfit
from store.database.faults import sentence
from store.database.sessions import has_own_session
from store.errors import DatabaseError

POLL_SECONDS = 3.0
"""Between two looks at MLflow's aliases; a move by hand must be served within 10 seconds."""
UNFIT_SECONDS = 0.5
"""Between two looks at whether what serves hangs, fails or kills workers."""
RECONNECT_SECONDS = 2.0
JOURNAL_CHANNEL = "ratchet_journal"
"""Asks every worker to store what it has logged."""

log = logging.getLogger("ratchet.service")


class Watcher:
    """The thread that keeps the slots of one worker on the production versions.

    Args:
        tell: says what is served to whoever waits for it, after a change; whether it could be said. It is
            called again until it is.
    """

    def __init__(
        self,
        station: Station,
        reader: RegistryReader,
        flush_journal: Callable[[], None],
        unfit: Unfit,
        executor: Executor,
        poll_seconds: float = POLL_SECONDS,
        tell: Callable[[], bool] = lambda: True,
    ) -> None:
        self._station = station
        self._reader = reader
        self._flush_journal = flush_journal
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._notices = NoticeWait()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._moves = FollowedMoves()
        self._change = Changeover(station, tell)
        self._residents = Residents(station, self._change)
        self._canaries = Canaries(station, executor, self._change.refuse)
        self._giving_up = GivingUp(station, self._change, unfit, self._residents, self._canaries)
        self._aliases: dict[str, int | None] = {}
        self._unnamed: set[str] = set()
        """Use cases without an alias, when MLflow was asked last."""
        self._polled = 0.0
        self.looked = threading.Event()
        """Set once every alias has been looked at, or MLflow found away."""
        self.listening = threading.Event()
        """Set while PostgreSQL tells this worker of promotions."""
        self.database_error: str | None = None
        self.registry_error: str | None = "it has not been asked yet"

    def awaits(self, slot: Slot) -> bool:
        """Whether a use case has production, by all that is known here, and nothing answers yet."""
        if slot.answering is not None or slot.name in self._unnamed:
            return False
        if slot.postponed:
            return True
        if slot.refused:
            return False
        return not self.looked.is_set() or self._moves.may_have_moved(slot.name)

    def start(self) -> None:
        """Serve what was served last, then begin to watch."""
        for links in self._station.chains.values():
            links.place()
        self._begin_to_follow()
        served = {name: self._station.loader.last_served(name) for name in self._station.slots}
        digests = self._station.loader.digests({name: one for name, one in served.items() if one is not None})
        for name, slot in self._station.slots.items():
            version = served[name]
            if version is None:
                continue
            try:
                self._change.take_up(slot, self._station.loader.load_cached(name, version, digests[name]))
            except VersionUnfit as error:
                self._change.refuse(slot, version, error)
                self._residents.fall_back(slot)
            except Exception as error:  # which is looked at again where it is still production
                log.warning("version %d of %s, served last, does not load", version, name, exc_info=error)
        self._try_canaries()
        self._change.replaced = False
        self._thread.start()

    def _try_canaries(self) -> None:
        """Before anybody is answered, so that no key has another version for a moment."""
        try:
            self._canaries.follow()
        except DatabaseAway as error:  # which listening will notice too
            log.warning("what is tried could not be looked up at the start: %s", error.message)

    def _begin_to_follow(self) -> None:
        try:
            self._station.database.read(lambda conn: self._moves.begin(conn, self._station.slots.values()))
        except DatabaseAway as error:  # which listening will notice too
            log.warning("the ledger could not be read at the start: %s", error.message)

    def stop(self, timeout: float) -> None:
        """End."""
        self._stopping.set()
        self._notices.end(self._thread, timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._poll_all()
                self._giving_up.look()
                self.looked.set()
                with self._station.database.open_session() as conn:
                    self.database_error = None
                    self._listen(conn)
            except (DatabaseError, psycopg.Error) as error:
                self.listening.clear()
                self.database_error = sentence(error)
                self._stopping.wait(RECONNECT_SECONDS)
            except Exception:  # a full disk, say: what is promoted later is to be taken up all the same
                log.exception("looking after what serves broke off, and begins anew")
                self.listening.clear()
                self._stopping.wait(RECONNECT_SECONDS)

    def _listen(self, conn: psycopg.Connection[Any]) -> None:
        hears = has_own_session(conn)
        for channel in (ledger.CHANNEL, JOURNAL_CHANNEL) if hears else ():
            conn.execute(f"LISTEN {channel}")
        newest = None if hears else ledger.newest_row(conn)
        self._poll_all()  # what moved before this worker listened
        self._look_at_ledger()
        self.listening.set()
        while not self._stopping.is_set():
            for notice in self._notices.wait(conn, min(UNFIT_SECONDS, self._poll_seconds)):
                if notice.channel == JOURNAL_CHANNEL:
                    self._flush_journal()
                else:
                    self._hear(notice.payload)
                if self._stopping.is_set():
                    return
            self._giving_up.look()
            if not hears and newest != (newest := ledger.newest_row(conn)):
                self._polled = -self._poll_seconds  # what would have been announced
            if monotonic() - self._polled >= self._poll_seconds:
                self._poll_all()
                if not self._look_at_ledger():  # and what is told may not come over this connection either
                    self.listening.clear()
                    return

    def _hear(self, payload: str) -> None:
        try:
            notice = json.loads(payload)
            if "canary" in notice:
                self._look_at_ledger()
                return
            use_case, version = str(notice["use_case"]), int(notice["version"])
            move = int(notice.get("move", 0))
        except (ValueError, KeyError, TypeError):
            log.warning("a notice that is not one of a promotion: %.100s", payload)
            return
        slot = self._station.slots.get(use_case)
        if slot is None and any(use_case in links.owners for links in self._station.chains.values()):
            self._giving_up.look()  # as in `_try_anew`
            self._giving_up.forgive(use_case, version)
            self._refresh_chains()
        elif slot is not None and not self._moves.is_followed(slot.name, move):
            self._moves.follow(slot.name, move)
            self._aliases[slot.name] = version
            self._try_anew(slot, version)
            self._refresh_chains()
            self._change.reclaim()

    def _try_anew(self, slot: Slot, version: int) -> None:
        """Serve a version that was made production, whatever was held against it before."""
        self._giving_up.look()  # where it serves and hangs, its callers are told first
        slot.refused.pop(version, None)
        self._giving_up.forgive(slot.name, version)
        self._move_to(slot, version)
        self._change.look_up_standing(slot)

    def _poll_all(self) -> None:
        for name, slot in self._station.slots.items():
            try:
                version = self._reader.alias_version(name, "production")
                self.registry_error = None
                if slot.current is not None:
                    self._station.loader.complete(slot.current)
                self._residents.note_alias(slot, version)
                (self._unnamed.add if version is None else self._unnamed.discard)(name)
            except ModelError as error:
                self.registry_error = str(error)
                self._try_postponed()
                break
            if version is None:
                continue
            is_served = slot.current is not None and slot.current.version == version
            if slot.current is not None:
                slot.await_only(None if is_served else version)
            if slot.may_try(version) and not is_served:
                self._move_to(slot, version)
                self._moves.follow(name, self._note_external(name, version))
            elif self._aliases.get(name) != version:  # to what serves, or is refused: back to either counts
                self._note_external(name, version)  # and is announced, to this worker too
            if slot.current is None and not slot.may_try(version):
                self._residents.fall_back(slot)
        self._refresh_chains()
        self._change.reclaim()
        self._change.tell_again()
        self._polled = monotonic()

    def _try_postponed(self) -> None:
        """Load what was announced and could not be loaded, without MLflow: a copy may be here."""
        for name, slot in self._station.slots.items():
            version = self._aliases.get(name)
            if version is not None and version in slot.postponed and slot.may_try(version):
                self._move_to(slot, version)

    def _look_at_ledger(self) -> bool:
        """Compare what serves with it, and make up for announcements that did not come here.

        Returns:
            Whether the database answers.
        """
        try:
            self._station.database.run(self._residents.check)
            self._canaries.follow()
            for slot in self._station.slots.values():
                if slot.standing is None:
                    self._change.look_up_standing(slot)
            missed = self._station.database.read(
                lambda conn: self._moves.missed(conn, self._station.slots.values())
            )
        except DatabaseAway as error:  # which listening will notice too
            log.warning("what serves could not be looked up in the ledger: %s", error.message)
            return False
        for slot, move in missed:
            assert move.to_version is not None
            self._moves.follow(slot.name, move.id)
            self._try_anew(slot, move.to_version)
        return True

    def _refresh_chains(self) -> None:
        try:
            for links in self._station.chains.values():
                links.refresh()
        except ModelError as error:
            self.registry_error = str(error)

    def _move_to(self, slot: Slot, version: int) -> None:
        started = monotonic()
        current, previous = slot.current, slot.previous
        digest: str | None = None
        try:
            digest = self._station.loader.digest(slot.name, version)
        except DatabaseAway as error:
            if current is not None:  # what serves goes on until the ledger can be asked
                log.warning("%s stays at version %d: %s", slot.name, current.version, error.message)
                return
        if _is(current, version, digest):
            slot.await_only(None)
            return
        try:
            if previous is not None and _is(previous, version, digest):
                served = previous
            else:
                served = self._station.loader.load(slot.name, version)
        except RegistryUnavailable as error:
            self.registry_error = str(error)
            return
        except Exception as error:  # noqa: BLE001 - it is told, by whose fault it is
            self._change.note_failure(slot, version, error)
            return
        self._change.take_up(slot, served)
        slot.await_only(None)
        self._station.metrics.swaps.seconds.labels(slot.name).observe(monotonic() - started)
        self._station.loader.remember(served)
        try:
            self._station.loader.complete(served)
        except RegistryUnavailable as error:  # the next look at it tries again
            self.registry_error = str(error)

    def _note_external(self, name: str, version: int) -> int:
        """Note a move that may have been made by hand; gives its row, 0 where there is nothing to note."""
        try:
            move = self._station.database.run(
                lambda conn: ledger.note_external(
                    conn, name, lambda: self._reader.alias_version(name, "production")
                )
            )
        except DatabaseAway:  # which listening will notice too; the next look tries again
            return 0
        except ModelError as error:
            log.warning("a move of %s could not be noted in the ledger: %s", name, error)
            return 0
        self._aliases[name] = version
        return move or 0


def _is(served: ServedVersion | None, version: int, digest: str | None) -> bool:
    """Whether a version is loaded, and is what the ledger knows by its number now."""
    return served is not None and served.version == version and digest in (None, served.predictor.digest)
