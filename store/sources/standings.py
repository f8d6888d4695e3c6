"""How each source stands, as the last count left it, and what a person said of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

Told = Literal["hold", "release"]


@dataclass(frozen=True)
class SourceStanding:
    """One source, or a key or door as a whole."""

    name: str
    labels: int
    compared: int
    """Rows that it and another source labelled."""
    contradicts: int
    """Those of them where others say something else, with at least as many voices."""
    held_since: datetime | None
    """Since when it is held back; None: it is not."""
    reason: str | None
    """Why it is held back."""
    told: Told | None
    """What a person said; None: nobody did, and the rules decide."""
    actor: str | None
    told_at: datetime | None

    @property
    def share(self) -> float | None:
        """Share of the compared rows that it contradicts; None where there are none."""
        return self.contradicts / self.compared if self.compared else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        times = {
            name: None if (time := getattr(self, name)) is None else time.isoformat()
            for name in ("held_since", "told_at")
        }
        share = None if self.share is None else round(self.share, 4)
        return {**asdict(self), **times, "share": share, "held": self.held_since is not None}


def read_sources(conn: psycopg.Connection[Any], use_case: str) -> list[SourceStanding]:
    """Every source that has been counted, or that a person spoke of; those held back first."""
    with conn.cursor(row_factory=class_row(SourceStanding)) as cursor:
        return cursor.execute(
            "SELECT name, labels, compared, contradicts, held_since, reason, told, actor, told_at"
            " FROM label_source WHERE use_case = %s ORDER BY held_since IS NULL, labels DESC, name",
            (use_case,),
        ).fetchall()


def source_facts(conn: psycopg.Connection[Any], use_case: str) -> dict[str, Any]:
    """The sources as plain values, when they were counted, and which are held back; None: none is."""
    sources = read_sources(conn, use_case)
    counted = conn.execute("SELECT at FROM label_source_count WHERE use_case = %s", (use_case,)).fetchone()
    return {
        "counted_at": None if counted is None else counted[0].isoformat(),
        "sources": [one.as_dict() for one in sources],
        "contradicted": max((one.contradicts for one in sources), default=0),
        "warning": describe_held(use_case, sources),
    }


def describe_held(use_case: str, sources: Collection[SourceStanding]) -> str | None:
    """Which sources are held back, why, and what a person can do; None: none is."""
    held = [one for one in sources if one.held_since is not None]
    if not held:
        return None
    told = "; ".join(f"source '{one.name}' is held back: {one.reason}" for one in held)
    return (
        f"{told}. What it says is kept, and neither learned from nor judged on; "
        f"`ratchet sources list {use_case}` shows more, and `release` lets it count"
    )
