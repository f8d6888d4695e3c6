"""Predictions that were moved, asked back into the database: servers read no tables, the worker does.

Who needs one writes its id down; a worker that has the table puts the prediction back, where it stays a day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep
from typing import Any, LiteralString

import psycopg

from store.errors import PredictionsAway
from store.feedback.insertion import find_predictions
from store.moved.batches import batches_around

CHANNEL = "ratchet_asked"
WAIT_SECONDS = 8.0
"""How long somebody waits for a worker to bring predictions back."""
_POLL_SECONDS = 0.05
KNOWN_SECONDS = 60
"""What was not found is not looked for again so soon."""
LONGEST = 64
"""Characters of an id; a longer one is none of ours."""
IS_WAITING: LiteralString = "SELECT FROM prediction_asked WHERE settled_at IS NULL LIMIT 1"
"""SQL that gives a row where somebody waits."""
_WAITING: LiteralString = (
    "SELECT id FROM unnest(%s::text[]) AS asked (id) WHERE NOT EXISTS"
    " (SELECT FROM prediction_asked p WHERE p.id = asked.id AND p.settled_at IS NOT NULL) ORDER BY id"
)


def ask_back(conn: psycopg.Connection[Any], ids: Sequence[str], use_case: str | None = None) -> list[str]:
    """Ask for those of these ids that may have been moved, and return them.

    Args:
        conn: commits by itself, or is committed by the caller.
        use_case: only its predictions count; None: those of all.
    """
    short = sorted({one for one in ids if len(one) <= LONGEST})
    asked = sorted({one for batch in batches_around(conn, short, use_case) for one in batch.among(short)})
    if asked:
        # A worker that looks for one holds its row for as long as the table takes: that is not waited for.
        conn.execute(
            "INSERT INTO prediction_asked (id, use_case) SELECT id, %s FROM unnest(%s::text[]) AS new (id)"
            " ON CONFLICT (id) DO NOTHING",
            (use_case, asked),
        )
        conn.execute(
            "UPDATE prediction_asked SET asked_at = now(), use_case = %s, settled_at = NULL, is_back = false"
            " WHERE id IN (SELECT id FROM prediction_asked WHERE id = ANY(%s)"
            " AND (is_back OR settled_at < now() - make_interval(secs => %s)) FOR UPDATE SKIP LOCKED)",
            (use_case, asked, KNOWN_SECONDS),
        )
        conn.execute("SELECT pg_notify(%s, '')", (CHANNEL,))
    return asked


def still_waiting(conn: psycopg.Connection[Any], ids: Sequence[str]) -> list[str]:
    """Those of these ids that no worker has looked for, also where it was given up that one does."""
    return [row[0] for row in conn.execute(_WAITING, (list(ids),))]


def wait_back(waiting: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Wait until all that was asked for has been looked for; returns what has not in `WAIT_SECONDS`.

    Args:
        waiting: tells what has not.
    """
    deadline = monotonic() + WAIT_SECONDS
    while (left := waiting()) and monotonic() < deadline:
        sleep(_POLL_SECONDS)
    return left


def find_or_bring_back(
    conn: psycopg.Connection[Any], use_case: str, ids: Sequence[str]
) -> Mapping[str, Mapping[str, Any]]:
    """As `find_predictions`, also those that were moved. Ends the caller's transaction.

    Raises:
        PredictionsAway: no worker has looked for them.
    """
    found = find_predictions(conn, use_case, ids)
    asked = ask_back(conn, sorted(set(ids) - found.keys()), use_case)
    conn.commit()
    if not asked:
        return found

    def waiting() -> list[str]:
        left = still_waiting(conn, asked)
        conn.commit()
        return left

    if left := wait_back(waiting):
        raise PredictionsAway(left[0])
    return {**found, **find_predictions(conn, use_case, asked)}
