"""Pause and resume promotion, with a row in the ledger for each.

While a use case is paused it goes on learning and judging, but a winner is only written down. A person
can still roll back.
"""

from __future__ import annotations

from typing import Any

import psycopg

from models.production import ledger
from models.production.promotion import moving
from store.pauses import clear_pause, set_pause


def pause(conn: psycopg.Connection[Any], use_case: str, *, actor: str, reason: str) -> bool:
    """Promote nothing from now on; returns False where it was paused already.

    A promotion under way ends first, so that none follows when this has returned.
    """
    with moving(conn, use_case):
        changed = set_pause(conn, use_case, actor, reason)
        if changed:
            ledger.record(conn, use_case, "paused", actor=actor, reason=reason)
        conn.commit()
    return changed


def resume(conn: psycopg.Connection[Any], use_case: str, *, actor: str, reason: str) -> bool:
    """Promote again what wins from now on; returns False where it was not paused."""
    changed = clear_pause(conn, use_case)
    if changed:
        ledger.record(conn, use_case, "resumed", actor=actor, reason=reason)
    conn.commit()
    return changed
