"""Live records that a shadow version answers too: those that wait, what it said, and how it stands.

Rows wait in the log of predictions itself: whatever was answered lately and has no answer of the version.
The newest go first, and what becomes older than `KEPT_SECONDS` is left out, so nothing piles up. An answer
is kept once, by its key, with the counts of the version in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, LiteralString

import psycopg
from psycopg.rows import class_row

from store.predictions.audits import is_audited

KEPT_SECONDS = 20.0
"""How long, by the clock of the log, a record waits to be answered before it is left out."""
AHEAD_SECONDS = 60
"""By so much the clock of a server may be ahead of the database's."""

State = Literal["starting", "answers", "serves", "missing", "broken", "hangs", "ends", "asked"]
"""`serves`: the alias names what serves; `missing`: no version; `ends`: the version ends its process."""
GIVEN_UP: tuple[State, ...] = ("broken", "hangs", "ends")
"""States after which a version is not tried again by itself."""


@dataclass(frozen=True)
class Waiting:
    """A record that was answered, and is to be answered again."""

    id: str
    record: str
    """Canonical JSON."""
    served: str | None
    """The label that the caller got."""
    served_score: float | None
    predicted_at: datetime


@dataclass(frozen=True)
class ShadowAnswer:
    """What the version says of one record."""

    label: str | None
    score: float | None
    ms: float | None
    """Milliseconds of computing."""
    error: str | None = None
    """Why there is no answer."""


@dataclass(frozen=True)
class ShadowStanding:
    """How the shadow version of a use case stands; one row of `shadow_standing`."""

    alias: str
    version: int | None
    state: State
    why: str | None
    since: datetime
    """Records from here on count."""
    counted_until: datetime | None
    """Those before are counted where they were left out."""
    answered: int
    """Records asked of it, those that failed too."""
    audited: int
    """Those of them that were drawn by chance."""
    differing: int
    failed: int
    left_out: int
    alone_ms: float | None
    """Of a record that is answered by itself, in milliseconds of computing."""
    production: int | None
    production_ms: float | None
    """The same of production, by the same process."""
    changed_at: datetime


_COLUMNS: LiteralString = (
    "alias, version, state, why, since, counted_until, answered, audited, differing, failed, left_out,"
    " alone_ms, production, production_ms, changed_at"
)
_UNANSWERED: LiteralString = (
    "p.model_version IS DISTINCT FROM %(version)s AND NOT EXISTS ("
    "SELECT FROM shadow_answer s WHERE s.prediction_id = p.id AND s.version = %(version)s)"
)


def find_standing(conn: psycopg.Connection[Any], use_case: str) -> ShadowStanding | None:
    """How the shadow version stands; None: none was ever configured."""
    with conn.cursor(row_factory=class_row(ShadowStanding)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM shadow_standing WHERE use_case = %s", (use_case,)
        ).fetchone()


def write_standing(
    conn: psycopg.Connection[Any],
    use_case: str,
    alias: str,
    version: int | None,
    state: State,
    why: str | None = None,
) -> None:
    """Write down which version it is and how it stands; another version begins to be counted anew."""
    conn.execute(
        "INSERT INTO shadow_standing AS kept (use_case, alias, version, state, why)"
        " VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (use_case) DO UPDATE SET alias = excluded.alias, state = excluded.state,"
        " why = excluded.why, changed_at = now()",
        (use_case, alias, version, state, why),
    )
    conn.execute(
        "UPDATE shadow_standing SET version = %(version)s, since = now(), counted_until = NULL, answered = 0,"
        " audited = 0, differing = 0, failed = 0, left_out = 0, alone_ms = NULL, production = NULL,"
        " production_ms = NULL WHERE use_case = %(use_case)s AND version IS DISTINCT FROM %(version)s",
        {"use_case": use_case, "version": version},
    )


def ask_again(conn: psycopg.Connection[Any], use_case: str) -> bool:
    """Have a version tried again that was given up; False: none was."""
    return (
        conn.execute(
            "UPDATE shadow_standing SET state = 'asked', why = NULL, changed_at = now()"
            " WHERE use_case = %s AND state = ANY(%s)",
            (use_case, list(GIVEN_UP)),
        ).rowcount
        > 0
    )


def write_costs(
    conn: psycopg.Connection[Any],
    use_case: str,
    version: int,
    alone_ms: float,
    production: int | None,
    production_ms: float | None,
) -> None:
    """What a record answered by itself costs, beside production."""
    conn.execute(
        "UPDATE shadow_standing SET alone_ms = %s, production = %s, production_ms = %s"
        " WHERE use_case = %s AND version = %s",
        (alone_ms, production, production_ms, use_case, version),
    )


def newest_prediction(conn: psycopg.Connection[Any], use_case: str) -> datetime | None:
    """When the last prediction that is stored was made; None: there is none.

    What a clock that was wrong has put into the future counts once its time comes: else nothing made until
    then would be new.
    """
    row = conn.execute(
        "SELECT max(predicted_at) FROM prediction WHERE use_case = %s"
        f" AND predicted_at <= now() + interval '{AHEAD_SECONDS} seconds'",
        (use_case,),
    ).fetchone()
    return None if row is None else row[0]


def read_waiting(
    conn: psycopg.Connection[Any], use_case: str, version: int, since: datetime, most: int
) -> list[Waiting]:
    """Records answered from a time on, not by this version, that it has not answered: the newest `most`."""
    with conn.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(
            "SELECT p.id, p.record::text AS record, p.label AS served, p.score AS served_score,"
            " p.predicted_at FROM prediction p WHERE p.use_case = %(use_case)s"
            f" AND p.predicted_at >= %(since)s AND {_UNANSWERED}"
            " ORDER BY p.predicted_at DESC LIMIT %(most)s",
            {"use_case": use_case, "version": version, "since": since, "most": most},
        ).fetchall()


def keep_answers(
    conn: psycopg.Connection[Any],
    use_case: str,
    version: int,
    waiting: Sequence[Waiting],
    answers: Sequence[ShadowAnswer],
) -> int:
    """Keep an answer for each record, and count it; returns how many are new.

    A record that has one already, and one of a version that is not asked any more, is passed over.
    """
    with conn.transaction():
        if not _is_asked(conn, use_case, version):
            return 0
        kept = conn.execute(
            "INSERT INTO shadow_answer (prediction_id, version, use_case, predicted_at, served, served_score,"
            " label, score, ms, error) SELECT one.id, %s, %s, one.at, one.served, one.served_score,"
            " one.label, one.score, one.ms, one.error FROM unnest(%s::text[], %s::timestamptz[], %s::text[],"
            " %s::float8[], %s::text[], %s::float8[], %s::real[], %s::text[])"
            " AS one (id, at, served, served_score, label, score, ms, error)"
            " ON CONFLICT DO NOTHING RETURNING prediction_id, served, label, error",
            (
                version,
                use_case,
                [one.id for one in waiting],
                [one.predicted_at for one in waiting],
                [one.served for one in waiting],
                [one.served_score for one in waiting],
                [one.label for one in answers],
                [one.score for one in answers],
                [one.ms for one in answers],
                [one.error for one in answers],
            ),
        ).fetchall()
        conn.execute(
            "UPDATE shadow_standing SET answered = answered + %s, audited = audited + %s,"
            " differing = differing + %s, failed = failed + %s, state = 'answers', why = NULL"
            " WHERE use_case = %s",
            (
                len(kept),
                sum(is_audited(row[0]) for row in kept),
                sum(row[3] is None and row[1] != row[2] for row in kept),
                sum(row[3] is not None for row in kept),
                use_case,
            ),
        )
    return len(kept)


def count_left_out(conn: psycopg.Connection[Any], use_case: str, version: int, newest: datetime) -> None:
    """Count the records that have become too old to be answered.

    Args:
        newest: when the last prediction that is stored was made.
    """
    until = newest - timedelta(seconds=KEPT_SECONDS)
    conn.execute(
        "UPDATE shadow_standing AS kept SET counted_until = %(until)s, left_out = left_out + ("
        " SELECT count(*) FROM prediction p WHERE p.use_case = %(use_case)s"
        " AND p.predicted_at >= coalesce(kept.counted_until, kept.since) AND p.predicted_at < %(until)s"
        f" AND {_UNANSWERED})"
        " WHERE use_case = %(use_case)s AND version = %(version)s"
        " AND %(until)s > coalesce(counted_until, since)",
        {"use_case": use_case, "version": version, "until": until},
    )


def _is_asked(conn: psycopg.Connection[Any], use_case: str, version: int) -> bool:
    """Whether the version is the one that is asked; it stays so until the transaction ends."""
    row = conn.execute(
        "SELECT version FROM shadow_standing WHERE use_case = %s FOR UPDATE", (use_case,)
    ).fetchone()
    return row is not None and row[0] == version
