"""The worker puts predictions back into the database that somebody asks for after they were moved."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

import psycopg

from configs.settings import Settings
from store.database.connection import connect, connect_async, database_url
from store.database.faults import FAULTS, sentence
from store.database.sessions import has_own_session_async, session_url
from store.errors import StoreError
from store.moved.asking import CHANNEL, IS_WAITING

POLL_SECONDS = 5.0
"""After which it looks in any case."""
LOOK_SECONDS = 0.5
"""Between two looks where nothing is announced, behind a pooler."""

log = logging.getLogger("prefect.worker.ratchet")


async def bring_back_forever(settings: Settings, use_cases: Collection[str]) -> None:
    """Put back what is asked for of these use cases, at once when told, until cancelled."""
    while True:
        try:
            async with await connect_async(session_url(settings)) as conn:
                hears = await has_own_session_async(conn)
                if hears:
                    await conn.execute(f"LISTEN {CHANNEL}")
                while True:
                    if await (await conn.execute(IS_WAITING)).fetchone() is not None:
                        await asyncio.to_thread(bring_back_asked, settings, use_cases)
                    await _wait(conn, hears=hears)
        except FAULTS as error:
            log.warning("predictions that are asked for stay in their tables for now: %s", sentence(error))
            await asyncio.sleep(POLL_SECONDS)


def bring_back_asked(settings: Settings, use_cases: Collection[str]) -> None:
    """Put back what is asked for now; a table or folder that cannot be read is told, and tried again."""
    from store.moved.bringing_back import bring_back  # reads tables: only a worker that is asked needs it

    try:
        with connect(database_url(settings)) as conn:
            count = bring_back(conn, settings.home, use_cases)
    except (StoreError, OSError) as error:
        log.warning("predictions that are asked for cannot be brought back: %s", error)
        return
    if count:
        log.info("%d predictions were brought back into the database, as somebody asked for them", count)


async def _wait(conn: psycopg.AsyncConnection[object], *, hears: bool) -> None:
    """Until something is announced, or it is time to look again."""
    if not hears:
        await asyncio.sleep(LOOK_SECONDS)
        return
    async for _ in conn.notifies(timeout=POLL_SECONDS, stop_after=1):
        pass
