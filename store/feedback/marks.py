"""What has come of labels, as a mark: while it is the same, what is made of them comes out the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import psycopg

# By the ends of indexes only, so that it takes no longer where there is more. What is deleted for its age,
# taken back or held back is among it.
_CAME = """
    SELECT jsonb_build_array(
        (SELECT max(seq) FROM feedback WHERE use_case = %(use_case)s),
        (SELECT min(seq) FROM feedback WHERE use_case = %(use_case)s),
        (SELECT max(seq) FROM feedback_vote WHERE use_case = %(use_case)s),
        (SELECT max(id) FROM label_taken_back),
        (SELECT jsonb_agg(jsonb_build_array(name, held_since, told) ORDER BY name) FROM label_source
            WHERE use_case = %(use_case)s AND (held_since IS NOT NULL OR told IS NOT NULL))
    )::text"""


def label_mark(conn: psycopg.Connection[Any], use_case: str, *known: object) -> str:
    """Digest of what has come by now of labels, and of what else decides (plain values)."""
    row = conn.execute(_CAME, {"use_case": use_case}).fetchone()
    assert row is not None
    return mark_of(row[0], *known)


def mark_of(*known: object) -> str:
    """Digest of plain values: SHA-256 of their JSON, in hex."""
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
