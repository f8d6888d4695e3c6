"""A database filled by SQL alone: labelled rows by the million, and what comes with so many."""

from __future__ import annotations

from typing import Any, LiteralString

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from store.snapshots.index import pack_contents

CHUNK = 250_000
PREDICTED = 5
"""One of so many labelled rows labels an answer."""
REFUSED = 100
"""One of so many rows was refused."""
CORRECTED = 50
"""One of so many rows said something else before."""
NEW = 1_000
"""Rows that came since production was trained."""

_RECORD: LiteralString = """jsonb_build_object(
        'plan', (ARRAY['basic', 'plus', 'family', 'office'])[1 + mod(g, 4)],
        'city', 'c' || mod(g, 97), 'colour', 'k' || mod(g, 13), 'shop', 's' || mod(g, 31),
        'f1', mod(g, 1000), 'f2', mod(g, 999) / 7.0, 'f3', mod(g, 77), 'f4', mod(g, 5),
        'f5', mod(g, 13) / 3.0, 'f6', mod(g, 31), 'f7', mod(g, 101), 'f8', mod(g, 57) / 9.0,
        'f9', mod(g, 11), 'f10', mod(g, 3), 'f11', mod(g, 73), 'f12', mod(g, 19) / 2.0, 'f13', mod(g, 23),
        'f14', mod(g, 29), 'f15', mod(g, 37), 'f16', mod(g, 41))"""
# Ids sort by time, as those of the service do; one answer of ten is drawn for the audit.
_ANSWERED: LiteralString = """
    FROM generate_series(%(first)s::bigint, %(last)s) AS g CROSS JOIN LATERAL (SELECT
        now() - make_interval(secs => (%(rows)s - g) * 30) AS at) AS t CROSS JOIN LATERAL (SELECT
        lpad(to_hex((1000 * extract(epoch FROM t.at - interval '10 s'))::bigint), 12, '0') AS hex,
        lpad(to_hex(g), 11, '0') || CASE WHEN mod(g, 50) = 0 THEN '1' ELSE '0' END AS tail) AS h
    CROSS JOIN LATERAL (SELECT left(hex, 8) || '-' || right(hex, 4) || '-7000-9000-' || tail AS id) AS p"""
_FEEDBACK: LiteralString = f"""
    INSERT INTO feedback (use_case, identity, record, label, received_at, prediction_id, source, record_id,
        said_by)
    SELECT %(name)s, CASE WHEN mod(g, {PREDICTED}) = 0 THEN 'p:' || id ELSE 'i:' || g END, {_RECORD},
        CASE WHEN mod(g, 3) = 0 THEN 'yes' ELSE 'no' END, at, CASE WHEN mod(g, {PREDICTED}) = 0 THEN id END,
        'rows.csv', g::text, CASE WHEN mod(g, 2) = 0 THEN 'shop/ann' ELSE 'file' END {_ANSWERED}"""
_PREDICTION: LiteralString = f"""
    INSERT INTO prediction (id, use_case, record_id, record, label, score, model_version, predicted_at)
    SELECT id, %(name)s, g::text, {_RECORD}, CASE WHEN mod(g, 4) = 0 THEN 'yes' ELSE 'no' END, 0.9, 1,
        at - interval '10 s' {_ANSWERED} WHERE mod(g, {PREDICTED}) = 0
    ON CONFLICT DO NOTHING"""
_REST: tuple[LiteralString, ...] = (
    f"""INSERT INTO quarantine (use_case, source, line, reason, rules, row, digest)
    SELECT %(name)s, 'rows.csv', g, 'f1: ' || mod(g, 900) || ' is above 500',
        ARRAY['f1: above ' || 500 + mod(g, 7)], jsonb_build_object('f1', g), md5(g::text)
    FROM generate_series(1, %(rows)s / {REFUSED}) AS g""",
    f"""INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at)
    SELECT use_case, identity, nextval('feedback_seq'), record, 'maybe', received_at FROM feedback
    WHERE use_case = %(name)s ORDER BY seq LIMIT %(rows)s / {CORRECTED}""",
    f"""INSERT INTO label_taken_back (use_case, identity, said_by, seq, record, label, received_at, actor,
        reason)
    SELECT use_case, identity, 'file', nextval('feedback_seq'), record, label, received_at, 'ann', 'wrong'
    FROM feedback WHERE use_case = %(name)s ORDER BY seq LIMIT %(rows)s / {REFUSED}""",
    """INSERT INTO label_source (use_case, name, labels) SELECT %(name)s, name, %(rows)s / 2
    FROM unnest(ARRAY['shop/ann', 'file']) AS name""",
)


def fill(conn: psycopg.Connection[Any], name: str, rows: int) -> None:
    """Labelled rows of a use case, a fifth of them of answers, and as many others as come with them."""
    for first in range(1, rows + 1, CHUNK):
        last = min(first + CHUNK - 1, rows)
        for statement in (_FEEDBACK, _PREDICTION):
            conn.execute(statement, {"name": name, "rows": rows, "first": first, "last": last})
        conn.commit()
    for statement in _REST:
        conn.execute(statement, {"name": name, "rows": rows})
    conn.commit()


def train(conn: psycopg.Connection[Any], name: str) -> None:
    """A version in production that has learned from all rows but the newest, by one run."""
    digest = f"bench-{name}"
    read = "SELECT seq, received_at FROM feedback WHERE use_case = %s ORDER BY seq"
    rows = conn.execute(read, (name,)).fetchall()[:-NEW]
    seq = np.array([number for number, _ in rows], dtype=np.int64)
    contents = pack_contents(seq, np.array(["train"] * len(seq), dtype=object))
    conn.execute(
        "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq,"
        " settled_at, contents) VALUES (%s, %s, '/nowhere', %s, %s, 0, %s, %s, %s, %s)",
        (digest, name, len(seq), len(seq), int(seq[0]), int(seq[-1]), rows[-10][1], contents),
    )
    result = Jsonb({"snapshot": digest, "outcome": "promoted"})
    row = conn.execute(
        "INSERT INTO run (use_case, kind, trigger, status, started_at, finished_at, result)"
        " VALUES (%s, 'retrain', 'labels', 'succeeded', now() - interval '8 hours', now(), %s) RETURNING id",
        (name, result),
    ).fetchone()
    assert row is not None
    conn.execute(
        "INSERT INTO ledger (use_case, at, event, actor, to_version, run_id)"
        " VALUES (%s, now() - interval '30 days', 'promoted', 'bench', 1, %s)",
        (name, row[0]),
    )
    conn.commit()
