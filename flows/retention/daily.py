"""Deleting what is old once a day, also where no schedule would."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from configs.errors import ConfigError
from configs.settings import Settings
from flows.context import open_context
from flows.retention.pruning import prune
from models.errors import ModelError
from store.database.faults import FAULTS
from store.errors import StoreError

FIRST_SECONDS = 600.0
"""After its start a worker has other things to do first."""
DAY_SECONDS = 24 * 3600.0
LATER: tuple[type[Exception], ...] = (ConfigError, ModelError, StoreError, OSError, *FAULTS)
"""What leaves what is old to the next day."""

log = logging.getLogger("prefect.worker.ratchet")


async def prune_daily(settings: Settings, use_cases: Sequence[str]) -> None:
    """Delete what is old of each use case, soon and then every day, until cancelled."""
    await asyncio.sleep(FIRST_SECONDS)
    while True:
        for use_case in use_cases:
            await asyncio.to_thread(prune_one, settings, use_case)
        await asyncio.sleep(DAY_SECONDS)


def prune_one(settings: Settings, use_case: str) -> None:
    """Delete what is old of a use case, and say what.

    With a server away, a disk that fails, a file that may not be touched, or a configuration that cannot
    be read since it was edited, that is left to the next time. So it is with whatever else is raised: by
    MLflow, or by the library of the storage that it has its files in, where it may not delete them.
    """
    try:
        for removal in prune(open_context(use_case, settings), now=datetime.now(UTC)) or ():
            log.info("%s: old %s deleted: %d", use_case, removal.what, removal.count)
    except LATER as error:
        log.warning("%s: what is old stays for now: %s", use_case, error)
    except Exception:
        log.exception("%s: what is old stays for now", use_case)
