"""Which predictions are to be moved; reads no table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg

RESTS = timedelta(days=1)
"""How long a prediction that was brought back stays."""
IS_OLD: LiteralString = (
    "use_case = %(use_case)s AND predicted_at < %(before)s AND NOT EXISTS (SELECT FROM prediction_asked a"
    " WHERE a.id = p.id AND a.settled_at > now() - %(rests)s::interval)"
)
"""SQL of predictions `p` that are to be moved, with `parameters_of`."""


def whole_days(before: datetime) -> datetime:
    """The midnight (UTC) up to which predictions move: each day once, in few files."""
    return before.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def count_old(conn: psycopg.Connection[Any], use_case: str, before: datetime) -> int:
    """How many predictions `move_old` would take out of the database."""
    row = conn.execute(
        f"SELECT count(*) FROM prediction p WHERE {IS_OLD}", parameters_of(use_case, before)
    ).fetchone()
    assert row is not None
    return int(row[0])


def parameters_of(use_case: str, before: datetime) -> dict[str, Any]:
    """Those of `IS_OLD`."""
    return {"use_case": use_case, "before": whole_days(before), "rests": RESTS}
