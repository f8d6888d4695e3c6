"""Pauses of promotion: production of these use cases does not move until a person resumes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True)
class Pause:
    """Who paused promotion, when and why."""

    at: datetime
    actor: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {"at": self.at.isoformat(), "actor": self.actor, "reason": self.reason}


def find_pause(conn: psycopg.Connection[Any], use_case: str) -> Pause | None:
    """The pause of a use case, if it is paused."""
    with conn.cursor(row_factory=class_row(Pause)) as cursor:
        return cursor.execute(
            "SELECT at, actor, reason FROM pause WHERE use_case = %s", (use_case,)
        ).fetchone()


def set_pause(conn: psycopg.Connection[Any], use_case: str, actor: str, reason: str) -> bool:
    """Pause; returns whether it was not paused before. The caller commits."""
    cursor = conn.execute(
        "INSERT INTO pause (use_case, actor, reason) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (use_case, actor, reason),
    )
    return cursor.rowcount == 1


def clear_pause(conn: psycopg.Connection[Any], use_case: str) -> bool:
    """Let promotion go on; returns whether it was paused. The caller commits."""
    return conn.execute("DELETE FROM pause WHERE use_case = %s", (use_case,)).rowcount == 1
