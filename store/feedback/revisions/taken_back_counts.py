"""How many labels were taken back, and who did so last."""

from __future__ import annotations

from typing import Any

import psycopg

_COUNT = "SELECT count(*), count(DISTINCT identity) FROM label_taken_back WHERE use_case = %s"
_LAST = (
    "SELECT taken_back_at, actor, reason FROM label_taken_back WHERE use_case = %s ORDER BY id DESC LIMIT 1"
)


def taken_back_facts(conn: psycopg.Connection[Any], use_case: str) -> dict[str, Any]:
    """Labels that were taken back, of how many rows, and the `last` time: when, by whom and why.

    They are counted on record: also those of rows that were labelled again since.
    """
    labels, rows = conn.execute(_COUNT, (use_case,)).fetchone() or (0, 0)
    last = conn.execute(_LAST, (use_case,)).fetchone()
    return {
        "labels": int(labels),
        "rows": int(rows),
        "last": None if last is None else {"at": last[0], "actor": last[1], "reason": last[2]},
    }
