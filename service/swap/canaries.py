"""Keeps what is tried in one worker to what the ledger says is tried."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor

from models.canary.standing import Canary, find_canary
from models.errors import NotComparable, RegistryUnavailable
from models.passing_faults import is_passing
from service.answers.canary import CanaryRoute
from service.answers.slot import ServedVersion, Slot
from service.swap.postponing import postpone
from service.swap.station import Station

log = logging.getLogger("ratchet.service")
Refuse = Callable[[Slot, int, Exception], None]


class Canaries:
    """The versions that are tried in one worker, one of a use case.

    Args:
        executor: runs their batches.
        refuse: notes in the ledger why a version cannot answer here; then nobody tries it any more.
    """

    def __init__(self, station: Station, executor: Executor, refuse: Refuse) -> None:
        self._station = station
        self._executor = executor
        self._refuse = refuse
        self._tried: dict[str, Canary] = {}
        self._routes: dict[str, CanaryRoute] = {}
        self._given_up: dict[str, Canary] = {}
        """What could not answer here, until the ledger says that it is tried no more."""

    def follow(self) -> None:
        """Try what the ledger says, and nothing else.

        Raises:
            DatabaseAway: the ledger cannot be read; what is tried goes on.
        """
        slots = self._station.slots
        tried = self._station.database.read(lambda conn: {name: find_canary(conn, name) for name in slots})
        for name, canary in tried.items():
            self._agree(slots[name], canary)

    def give_up(self, slot: Slot) -> None:
        """Send nobody here to what is tried, as it does not answer."""
        self._given_up[slot.name] = self._tried[slot.name]
        self._end(slot)

    def _end(self, slot: Slot) -> None:
        self._routes.pop(slot.name, None)
        slot.try_beside(None, None)
        self._station.metrics.canary.version.labels(slot.name).set(0)

    def _agree(self, slot: Slot, canary: Canary | None) -> None:
        serving = slot.current
        self._give_up_faulty(slot)
        if slot.canary_postponed is not None and (
            canary is None or canary.version != slot.canary_postponed[0]
        ):
            slot.canary_postponed = None
        if canary is None or serving is None or serving.version != canary.against:
            if slot.canary is not None:
                self._end(slot)
            if canary is None and (given_up := self._given_up.pop(slot.name, None)) is not None:
                slot.refused.pop(given_up.version, None)
            return
        if slot.canary is not None and self._tried[slot.name].move == canary.move:
            return
        if (given_up := self._given_up.get(slot.name)) is not None and given_up.move == canary.move:
            return
        if slot.canary is not None and slot.canary.version != canary.version:
            self._end(slot)
        if slot.canary_postponed is not None and not slot.canary_postponed[1].is_due:
            return
        try:
            served = self._load(slot, serving, canary)
        except RegistryUnavailable as error:
            log.warning("version %d of %s is not tried yet: %s", canary.version, slot.name, error)
        except Exception as error:  # noqa: BLE001 - it is told, by whose fault it is
            self._end(slot)
            self._note_failure(slot, canary, error)
        else:
            slot.canary_postponed = None
            self._tried[slot.name] = canary
            route = CanaryRoute(served, canary.config, self._executor, self._station.metrics)
            self._routes[slot.name] = route
            slot.try_beside(served, route)
            self._station.metrics.canary.version.labels(slot.name).set(served.version)
            log.info("%s tries version %d on %.4g%%", slot.name, served.version, 100 * canary.config.share)

    def _note_failure(self, slot: Slot, canary: Canary, error: Exception) -> None:
        """It is tried later where the machine is at fault; production answers until then."""
        if is_passing(error):
            before = None if slot.canary_postponed is None else slot.canary_postponed[1]
            slot.canary_postponed = canary.version, postpone(error, before)
            log.warning("version %d of %s is not tried yet", canary.version, slot.name, exc_info=error)
            return
        log.error("version %d of %s cannot be tried", canary.version, slot.name, exc_info=error)
        slot.canary_postponed = None
        self._given_up[slot.name] = canary
        self._refuse(slot, canary.version, error)

    def _give_up_faulty(self, slot: Slot) -> None:
        """What cannot be tried as was asked: production has answered all."""
        route = self._routes.get(slot.name)
        if slot.canary is not None and route is not None and route.fault is not None:
            version, fault = slot.canary.version, route.fault
            self.give_up(slot)
            self._refuse(slot, version, fault)

    def _load(self, slot: Slot, serving: ServedVersion, canary: Canary) -> ServedVersion:
        """The version that is tried, ready to answer.

        Raises:
            RegistryUnavailable: it is not here and cannot be fetched now.
            NotComparable: it reads records in another way than the version that serves, or has no such key.
            ModelError: it is not fit to serve.
        """
        tried = slot.canary
        if tried is not None and tried.version == canary.version:
            served = tried  # and is tried in another way now
        else:
            served = self._station.loader.load_canary(slot.name, canary.version)
        mine, theirs = served.predictor.use_case, serving.predictor.use_case
        if mine.record != theirs.record or mine.target.task != theirs.target.task:
            raise NotComparable(
                f"version {canary.version} reads records in another way than {serving.version}"
            )
        key, names = canary.config.key, [field.name for field in mine.record.fields]
        if key is not None and key not in names:
            raise NotComparable(f"key: got '{key}'; fields of its records: {', '.join(names)}")
        if slot.name in self._station.chains:
            self._station.chains[slot.name].join(served)
        return served
