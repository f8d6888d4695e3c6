"""What runs have tried to learn from, and when one that failed is tried again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

_TRIES = """
    SELECT (SELECT s.digest FROM run r JOIN snapshot s ON s.digest = r.result->>'snapshot'
            WHERE r.use_case = %(use_case)s AND r.status = 'succeeded' ORDER BY r.token DESC LIMIT 1),
        max(started_at) FROM run WHERE use_case = %(use_case)s AND (status = 'stopped'
            OR status = 'succeeded'
            AND NOT EXISTS (SELECT FROM snapshot WHERE digest = result->>'snapshot'))"""
# A minute, then twice as long after each failure in a row, an hour at most. A process may be lost to a stop
# of its machine, so one that is lost is no failure yet; what loses the next one as well would lose them all.
# A failure that lies ahead is of before the clock was set back: how long ago it was nobody knows.
_RETRY = """
    SELECT finished_at + make_interval(mins => least(60, 2 ^ least(failures - 1, 6))::int) FROM (
        SELECT (array_agg(finished_at ORDER BY token DESC))[1] AS finished_at,
            count(*) FILTER (WHERE status = 'failed')
            + greatest(count(*) FILTER (WHERE status = 'lost') - 1, 0) AS failures
        FROM run WHERE use_case = %(use_case)s AND status IN ('failed', 'lost') AND token > coalesce((
            SELECT max(token) FROM run
            WHERE use_case = %(use_case)s AND status IN ('succeeded', 'stopped')), 0)
    ) AS ended WHERE failures > 0 AND finished_at <= clock_timestamp()"""


@dataclass(frozen=True)
class Tries:
    """What runs that came to an end of their own have tried."""

    snapshot: str | None
    """Digest of the rows that the last one to succeed had in hand."""
    began: datetime | None
    """When the last one began that was stopped, or that does not say what it had in hand."""


def was_tried_by(
    conn: psycopg.Connection[Any],
    use_case: str,
    triggers: Collection[str],
    *,
    after: int = 0,
    since: datetime | None = None,
) -> bool:
    """Whether one of these triggers has started a run that came to an end of its own.

    Args:
        after: only runs that began with a later token than this.
        since: only those that began after this time, by a clock that may have been set back.
    """
    row = conn.execute(
        "SELECT 1 FROM run WHERE use_case = %s AND trigger = ANY(%s) AND status IN ('succeeded', 'stopped')"
        " AND token > %s AND started_at > coalesce(%s::timestamptz, '-infinity') LIMIT 1",
        (use_case, list(triggers), after, since),
    ).fetchone()
    return row is not None


def last_tries(conn: psycopg.Connection[Any], use_case: str) -> Tries:
    """What was tried last; a run that failed or was lost has tried nothing."""
    row = conn.execute(_TRIES, {"use_case": use_case}).fetchone()
    assert row is not None
    return Tries(*row)


def link_tries(conn: psycopg.Connection[Any], use_case: str, challenger: str, version: int) -> int:
    """How many runs judged a challenger against the version of its link, and left that one there."""
    row = conn.execute(
        "SELECT count(*) FROM run CROSS JOIN LATERAL (SELECT result->'links'->%s AS link) AS told"
        " WHERE use_case = %s AND status = 'succeeded' AND (link->>'before')::int = %s"
        " AND link->>'version' IS NULL",
        (challenger, use_case, version),
    ).fetchone()
    assert row is not None
    return int(row[0])


def retry_at(conn: psycopg.Connection[Any], use_case: str) -> datetime | None:
    """From when on something may ask for a run again, some having failed or been lost; None: at any time."""
    row = conn.execute(_RETRY, {"use_case": use_case}).fetchone()
    return None if row is None else row[0]
