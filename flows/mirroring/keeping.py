"""Keeps a process at work for each use case with `serving.shadow`, and gives up what hangs or ends it.

Which version it is, the alias says; a process of another version ends when the alias has moved.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from functools import partial
from time import monotonic

from configs.schema import UseCase
from configs.settings import Settings
from flows.mirroring.following import End, Follower, Patience, Target
from models.errors import ModelError
from models.production.registry_rest import open_registry
from store.database.connection import connect, database_url
from store.database.faults import FAULTS, sentence
from store.predictions.shadow_answers import GIVEN_UP, State, find_standing, write_standing

BUSY_SECONDS = 30.0
"""Before it is tried again where another worker has the process."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
MOST_DEATHS, DEATHS_SECONDS = 3, 600.0
"""As many ends of the process while the version was at work, within so long, and it is given up."""
PATIENCE = Patience()

log = logging.getLogger("prefect.worker.ratchet")


async def mirror(settings: Settings, use_cases: Mapping[str, UseCase], patience: Patience = PATIENCE) -> None:
    """Ask the shadow version of each use case that names one, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for use_case in use_cases.values():
            if use_case.serving.shadow is not None:
                tasks.create_task(Keeper(settings, use_case, patience).keep())


def find_target(settings: Settings, use_case: UseCase) -> Target | None:
    """Which version is to be asked now, also written down; None: none is, and why.

    Raises:
        RegistryUnavailable: MLflow is away.
        FAULTS: the database is.
    """
    name, alias = use_case.name, use_case.serving.shadow
    assert alias is not None
    aliases = open_registry(settings.mlflow_uri).aliases(name)
    version, production = aliases.get(alias), aliases.get("production")
    with connect(database_url(settings), autocommit=True) as conn:
        standing = find_standing(conn, name)
        is_known = standing is not None and (standing.alias, standing.version) == (alias, version)
        state = None if standing is None or not is_known else standing.state
        if version is None or version == production:
            wanted: State = "missing" if version is None else "serves"
            if state != wanted:
                write_standing(conn, name, alias, version, wanted)
            return None
        if state in GIVEN_UP:
            return None
        if state not in ("starting", "answers"):
            write_standing(conn, name, alias, version, "starting")
    return Target(version, production)


class Keeper:
    """Keeps the process of one use case at work."""

    def __init__(self, settings: Settings, use_case: UseCase, patience: Patience) -> None:
        self._settings = settings
        self._use_case = use_case
        self._patience = patience
        self._deaths: deque[float] = deque()
        self._failures = 0
        self._trouble: str | None = None
        self._target: Target | None = None
        self._from_now = False
        """Whether what waits is left out: the version has ended the process while it answered it."""

    async def keep(self) -> None:
        """Until cancelled, which ends the process."""
        while True:
            try:
                await self._keep_one()
            # Nothing that goes wrong here may end the worker, whose other tasks matter more.
            except Exception as error:
                log.exception("%s: its shadow version is not asked for now: %s", self._name, error)
                await asyncio.sleep(LONGEST_WAIT)

    async def _keep_one(self) -> None:
        """One process, where a version is to be asked."""
        found = await self._find()
        if found is None or found[0] is None:
            await asyncio.sleep(self._patience.look)
            return
        if found[0] != self._target:
            self._deaths.clear()
            self._target, self._from_now = found[0], False
        began = monotonic()
        follower = Follower(self._name, self._target, self._find, self._patience)
        end = await follower.follow(from_now=self._from_now)
        if monotonic() - began > LONGEST_WAIT:
            self._failures = 0
        self._from_now = end.is_own_doing
        await self._act_on(end, self._target)

    async def _act_on(self, end: End, target: Target) -> None:
        """Give the version up, or wait before the next try."""
        if end.kind == "moved":
            return
        if end.kind == "busy":
            await asyncio.sleep(BUSY_SECONDS)
        elif end.kind in ("broken", "hangs"):
            await self._give_up(target, "broken" if end.kind == "broken" else "hangs", end.why)
        elif end.is_own_doing:
            now = monotonic()
            self._deaths.append(now)
            while self._deaths[0] < now - DEATHS_SECONDS:
                self._deaths.popleft()
            log.warning("%s: %s ended while it answered: %s", self._name, self._version(target), end.why)
            if len(self._deaths) >= MOST_DEATHS:
                self._deaths.clear()
                await self._give_up(target, "ends", f"{MOST_DEATHS} times; the last time {end.why}")
            else:
                await asyncio.sleep(FIRST_WAIT)
        else:
            self._failures += 1
            log.warning("%s: %s is not asked for now: %s", self._name, self._version(target), end.why)
            await asyncio.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self._failures, 10)))

    async def _give_up(self, target: Target, state: State, why: str) -> None:
        log.warning("%s: %s is not asked any more (%s): %s", self._name, self._version(target), state, why)
        alias = self._use_case.serving.shadow
        assert alias is not None
        try:
            await asyncio.to_thread(self._write, partial(write_standing, state=state, why=why), alias, target)
        except FAULTS as error:
            log.warning("%s: that cannot be written down now: %s", self._name, sentence(error))
            await asyncio.sleep(self._patience.look)

    def _write(self, write: partial[None], alias: str, target: Target) -> None:
        with connect(database_url(self._settings), autocommit=True) as conn:
            write(conn, self._name, alias, target.version)

    async def _find(self) -> tuple[Target | None] | None:
        """Which version is to be asked, if any; None: that cannot be told now, and all stays as it is."""
        try:
            found = await asyncio.to_thread(find_target, self._settings, self._use_case)
        except ModelError as error:
            trouble = str(error)
        except FAULTS as error:
            trouble = sentence(error)
        else:
            self._trouble = None
            return (found,)
        if trouble != self._trouble:
            log.warning("%s: which version is the shadow cannot be told: %s", self._name, trouble)
        self._trouble = trouble
        return None

    @property
    def _name(self) -> str:
        return self._use_case.name

    @staticmethod
    def _version(target: Target) -> str:
        return f"shadow version {target.version}"
