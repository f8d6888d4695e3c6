"""Changes what serves in one worker: a version is taken up, dropped, refused or postponed; that is told."""

from __future__ import annotations

import logging
from collections.abc import Callable

from models.errors import ArtifactDamaged
from models.passing_faults import is_passing
from models.production import ledger
from models.production.incumbent import Standing, standing_of
from service.answers.slot import ServedVersion, Slot
from service.errors import DatabaseAway
from service.swap import memory
from service.swap.postponing import postpone
from service.swap.station import Station

log = logging.getLogger("ratchet.service")


class Changeover:
    """Changes what the slots of one worker hold.

    Args:
        tell: says what is served to whoever waits for it; whether it could be said.
    """

    def __init__(self, station: Station, tell: Callable[[], bool]) -> None:
        self._station = station
        self._tell = tell
        self._is_told = True
        self.replaced = False
        """Whether versions have left whose memory is to be given back."""

    def reclaim(self) -> None:
        """Free what versions held that have left; nothing here refers to them any more."""
        if self.replaced:
            self.replaced = False
            memory.reclaim()

    def tell_again(self) -> None:
        """Say what could not be said when it changed."""
        self._is_told = self._is_told or self._tell()

    def take_up(self, slot: Slot, served: ServedVersion) -> None:
        """Let a version serve."""
        if slot.name in self._station.chains:
            self._station.chains[slot.name].join(served)
        # Before it serves: whoever is answered by it finds what production would go back to.
        slot.swap(served, self._standing(slot.name, served.version))
        self._station.metrics.canary.version.labels(slot.name).set(0)
        self.replaced = True
        self._station.metrics.swaps.version.labels(slot.name).set(served.version)
        self._station.metrics.swaps.outcomes.labels(slot.name, "taken_up").inc()
        log.info("%s serves version %d", slot.name, served.version)
        self._is_told = self._tell()

    def look_up_standing(self, slot: Slot) -> None:
        """Since when the version that serves is production, and what was so before."""
        if slot.current is not None:
            slot.standing = self._standing(slot.name, slot.current.version)

    def _standing(self, name: str, version: int) -> Standing | None:
        """None where the ledger does not say, or cannot be asked."""
        try:
            return self._station.database.read(lambda conn: standing_of(conn, name, version))
        except DatabaseAway as error:
            log.warning("how %s stands could not be looked up: %s", name, error.message)
            return None

    def drop(self, slot: Slot) -> None:
        """Let what serves serve no more, though nothing else does."""
        slot.drop()
        self.replaced = True
        if slot.name in self._station.chains:
            self._station.chains[slot.name].place()

    def note_failure(self, slot: Slot, version: int, error: Exception) -> None:
        """A version could not be loaded: tried again where the machine is at fault, and else refused."""
        if not is_passing(error):
            log.error("version %d of %s is refused", version, slot.name, exc_info=error)
            self.refuse(slot, version, error)
            return
        postponed = postpone(error, slot.postponed.get(version))
        slot.postpone(version, postponed)
        self._station.metrics.swaps.outcomes.labels(slot.name, "postponed").inc()
        log.warning(
            "version %d of %s cannot be loaded now, and is tried again in %.3g s",
            version, slot.name, postponed.seconds, exc_info=error,
        )  # fmt: skip

    def refuse(self, slot: Slot, version: int, error: Exception) -> None:
        """Try a version no more until it is announced anew, and say why in the ledger."""
        self._station.metrics.swaps.outcomes.labels(slot.name, "refused").inc()
        slot.await_no_longer(version)
        if isinstance(error, ArtifactDamaged):  # which the ledger has been told by whoever found it
            slot.refused[version] = str(error)
            return
        reason = slot.refused[version] = f"{type(error).__name__}: {error}"
        try:
            self._station.database.run(lambda conn: ledger.note_refused(conn, slot.name, version, reason))
        except DatabaseAway as away:
            log.warning("the refusal could not be noted in the ledger: %s", away)
