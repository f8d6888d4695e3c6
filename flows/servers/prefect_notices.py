"""How Prefect's server hears that an automation was changed: it connects by our address, like its engine."""

from __future__ import annotations

import asyncpg

from flows.servers.drivers import asyncpg_arguments

CONNECTS = "get_pg_notify_connection"


def listen_by(url: str | None) -> None:
    """Have Prefect listen by this address.

    By itself it hands asyncpg the short address that SQLAlchemy got, without what only we tell its driver,
    such as certificates of the system. Call it before its server is made.

    Args:
        url: None: nothing is announced there, and Prefect looks every five seconds by itself.
    """
    from prefect.server.events import triggers

    async def connect() -> asyncpg.Connection | None:
        return None if url is None else await asyncpg.connect(**asyncpg_arguments(url, {}))

    vars(triggers)[CONNECTS] = connect  # a name that it has imported, and calls
