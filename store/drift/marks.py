"""What a drift check would look at, as a mark: while it is the same, another check would find the same."""

from __future__ import annotations

from typing import Any

import psycopg

from store.drift.checks import HAS_COME
from store.feedback.marks import label_mark, mark_of

# By the ends of indexes only. Refused rows of others are among it, which make a check too many.
_ARRIVED = f"""
    SELECT jsonb_build_array(
        (SELECT jsonb_build_array(predicted_at, id) FROM prediction WHERE use_case = %(use_case)s
            AND {HAS_COME} ORDER BY predicted_at DESC, id DESC LIMIT 1),
        (SELECT min(predicted_at) FROM prediction WHERE use_case = %(use_case)s),
        (SELECT max(id) FROM quarantine)
    )::text"""


def arrival_mark(conn: psycopg.Connection[Any], use_case: str, *known: object) -> str:
    """Digest of what has come by now of predictions and labels, and of what else decides (plain values)."""
    row = conn.execute(_ARRIVED, {"use_case": use_case}).fetchone()
    assert row is not None
    return mark_of(row[0], label_mark(conn, use_case), *known)
