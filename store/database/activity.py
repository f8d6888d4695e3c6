"""What other connections to the database are at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from store.database.sessions import KEEPER


def oldest_open_transaction(conn: psycopg.Connection[Any]) -> datetime:
    """When the oldest transaction began that is open in this database: rows of it may come to light later."""
    row = conn.execute(
        "SELECT coalesce(min(xact_start), clock_timestamp()) FROM pg_stat_activity"
        " WHERE datname = current_database() AND NOT starts_with(coalesce(query, ''), %s)",
        (KEEPER,),
    ).fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment
