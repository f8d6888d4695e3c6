"""What a drift check would look at, as a mark: while it is the same, another check would find the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import psycopg

# By the ends of indexes only, so that it takes no longer where there is more. What is deleted for its age,
# taken back, set aside or held back is among it; refused rows of others too, which make a check too many.
_ARRIVED = """
    SELECT jsonb_build_array(
        (SELECT jsonb_build_array(predicted_at, id) FROM prediction WHERE use_case = %(use_case)s
            ORDER BY predicted_at DESC, id DESC LIMIT 1),
        (SELECT min(predicted_at) FROM prediction WHERE use_case = %(use_case)s),
        (SELECT max(seq) FROM feedback WHERE use_case = %(use_case)s),
        (SELECT min(seq) FROM feedback WHERE use_case = %(use_case)s),
        (SELECT max(seq) FROM feedback_vote WHERE use_case = %(use_case)s),
        (SELECT max(id) FROM label_taken_back),
        (SELECT max(id) FROM quarantine),
        (SELECT jsonb_agg(jsonb_build_array(name, held_since, told) ORDER BY name) FROM label_source
            WHERE use_case = %(use_case)s AND (held_since IS NOT NULL OR told IS NOT NULL))
    )::text"""


def arrival_mark(conn: psycopg.Connection[Any], use_case: str, *known: object) -> str:
    """Digest of what has come by now of predictions and labels, and of what else decides (plain values)."""
    row = conn.execute(_ARRIVED, {"use_case": use_case}).fetchone()
    assert row is not None
    return hashlib.sha256(json.dumps([row[0], *known]).encode()).hexdigest()
