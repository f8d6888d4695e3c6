"""Keeps what serves to what the ledger knows: bytes that were never registered do not serve."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import psycopg

from models.errors import RegistryUnavailable, UnknownVersion
from models.production.artifact_digests import damage_of, registered_digests, take_as_found
from service.answers.slot import ServedVersion, Slot
from service.swap.changeover import Changeover
from service.swap.loading import ACTOR
from service.swap.station import Station

FALLBACKS = 5
"""So many versions are tried where production cannot be had."""
log = logging.getLogger("ratchet.service")


class Residents:
    """What is loaded in one worker, compared with the ledger now and then."""

    def __init__(self, station: Station, change: Changeover) -> None:
        self._slots = station.slots
        self._loader = station.loader
        self._change = change

    def check(self, conn: psycopg.Connection[Any]) -> None:
        """Look at each version that serves, also at what others have found wrong with its source."""
        for slot in self._slots.values():
            served = slot.current
            if served is None:
                continue
            digests = registered_digests(conn, slot.name, served.version)
            digest = served.predictor.digest
            if not digests:
                digests = [take_as_found(conn, slot.name, served.version, digest, ACTOR)]
            if digests[0] != digest:
                self._load_anew(slot, served, was_registered=digest in digests)
                continue
            if not served.vouched:
                served.vouched = True
                self._loader.remember(served)
            damage = damage_of(conn, slot.name, served.version)
            if damage is not None:
                slot.refused[served.version] = damage
            elif served.version in slot.refused and not self._loader.did_harm(slot.name, served.version):
                del slot.refused[served.version]

    def fall_back(self, slot: Slot) -> None:
        """Serve the version that was production last and is fit to serve, where nothing serves."""
        self._serve_one_of(slot, self._loader.served_before(slot.name))

    def note_alias(self, slot: Slot, version: int | None) -> None:
        """Note whether the alias of production is there; without it what serves goes on.

        Raises:
            RegistryUnavailable: without it, whether production itself was deleted cannot be asked now.
        """
        if version is not None:
            slot.problem = None
            return
        before = self._loader.served_before(slot.name)
        if slot.current is None:
            self._serve_one_of(slot, before)
        served = [] if slot.current is None else [slot.current.version]  # with the ledger away
        production = next(iter([*before, *served]), None)
        slot.problem = None if production is None else self._loader.problem_of(slot.name, production)

    def _serve_one_of(self, slot: Slot, versions: Sequence[int]) -> None:
        for version in versions[:FALLBACKS]:
            if slot.may_try(version) and self._serve(slot, version):
                log.warning("%s serves version %d, as production cannot be had", slot.name, version)
                return

    def _load_anew(self, slot: Slot, served: ServedVersion, *, was_registered: bool) -> None:
        """What serves is not what its number stands for: a model was made anew, or bytes were replaced."""
        if slot.may_try(served.version):
            self._serve(slot, served.version)
        if slot.current is served and not was_registered:
            log.error(
                "version %d of %s was never registered so, and serves no more", served.version, slot.name
            )
            self._change.drop(slot)
            self.fall_back(slot)

    def _serve(self, slot: Slot, version: int) -> bool:
        try:
            self._change.take_up(slot, self._loader.load(slot.name, version))
        except (RegistryUnavailable, UnknownVersion):  # away now, or deleted: no fault of the version
            return False
        except Exception as error:  # noqa: BLE001 - it is told, by whose fault it is
            self._change.note_failure(slot, version, error)
            return False
        return True
