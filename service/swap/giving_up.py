"""Has another version answer where one does harm: the one that serves, is tried, or stands behind a link."""

from __future__ import annotations

from service.answers.slot import ServedVersion, Slot
from service.swap.canaries import Canaries
from service.swap.changeover import Changeover
from service.swap.ledger_check import Residents
from service.swap.station import Station
from service.swap.unfit import Unfit
from service.watchdog.first_load import VersionUnfit


class GivingUp:
    """Gives up the versions of one worker that hang, fail or killed workers."""

    def __init__(
        self, station: Station, change: Changeover, unfit: Unfit, residents: Residents, canaries: Canaries
    ) -> None:
        self._station = station
        self._change = change
        self._unfit = unfit
        self._residents = residents
        self._canaries = canaries

    def look(self) -> None:
        """Give up those that are found, and tell those who wait for one that hangs."""
        slots = self._station.slots.values()
        for slot, served, error in self._unfit.among(slots):
            if served is not slot.previous:
                self._give_up(slot, served, error)
            if served is slot.previous:  # a new chance is one for a version that is loaded anew
                slot.previous = None
            self._unfit.let_go(served)
        self._unfit.let_go_of_left(slots)
        if self._station.chains:
            self._give_up_links()

    def forgive(self, use_case: str, version: int) -> None:
        """Hold nothing against a version any more, wherever it is asked."""
        self._unfit.forget(use_case, version)
        for links in self._station.chains.values():
            links.try_anew(use_case, version)

    def _give_up(self, slot: Slot, served: ServedVersion, error: VersionUnfit) -> None:
        self._change.refuse(slot, served.version, error)
        if served is slot.canary:
            self._canaries.give_up(slot)
            return
        previous = slot.previous
        if previous is not None and previous.version not in slot.refused:
            self._change.take_up(slot, previous)
        else:
            self._residents.fall_back(slot)
        if slot.current is not None and slot.current is not served:
            self._station.loader.remember(slot.current)
        elif self._unfit.is_hopeless(served):
            self._change.drop(slot)

    def _give_up_links(self) -> None:
        """Have chains go on without a version that hangs or killed workers as one of their links."""
        chains = self._station.chains.values()
        for owner, version, error in self._unfit.among_links(chains):
            for links in chains:
                links.give_up(owner, version, error)
            self._change.replaced = True
            slot = self._station.slots.get(owner)
            if slot is None:
                continue
            if slot.previous is not None and slot.previous.version == version:
                slot.previous = None  # production does not go back to it
            if version not in slot.refused:
                self._change.refuse(slot, version, error)
        self._unfit.let_go_of_links(chains)
