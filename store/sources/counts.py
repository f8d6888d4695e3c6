"""How often what a source says contradicts the others, of the rows that both labelled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from store.feedback.sources import counts_sql


@dataclass(frozen=True)
class Contradictions:
    """A source against the others that have a voice."""

    name: str
    compared: int
    """Rows that it and another source labelled."""
    contradicts: int
    """Those of them where another label has at least as many voices as its own, its own voice counted."""
    backed: int
    """Those of the contradicted rows on which the answer that was served is its label."""
    since: datetime
    """When the first of its labels on compared rows came."""

    @property
    def share(self) -> float:
        """Of the compared rows; 0 where there are none."""
        return self.contradicts / self.compared if self.compared else 0.0

    @property
    def suspicion(self) -> tuple[float, float, datetime, bool]:
        """What the most suspect of several is the greatest by.

        Of two that only contradict each other the shares are equal: then the one that production agrees
        with less often, and where nothing was served the one that came later; a source before its key.
        """
        backed = self.backed / self.contradicts if self.contradicts else 1.0
        return self.share, -backed, self.since, "/" in self.name


# A key or door has one voice on a row, which its sources share, as in `store.feedback.votes`.
_OF_EACH: LiteralString = """
    SELECT identity, said_by AS name, label, received_at,
        1.0 / count(*) OVER (PARTITION BY identity, split_part(said_by, '/', 1)) AS weight
    FROM feedback_vote WHERE use_case = %(use_case)s AND {counts}"""
_OF_KEYS: LiteralString = """
    SELECT DISTINCT ON (identity, name) identity, name, label, received_at, 1.0 AS weight FROM (
        SELECT *, split_part(said_by, '/', 1) AS name,
            count(*) OVER (PARTITION BY identity, split_part(said_by, '/', 1), label) AS voices
        FROM feedback_vote WHERE use_case = %(use_case)s AND {counts}
    ) AS said ORDER BY identity, name, voices DESC, at DESC, seq DESC"""
_COUNT: LiteralString = """
    WITH votes AS ({votes}), told AS (
        SELECT identity, label, round(sum(weight), 6) AS voices, count(DISTINCT name) AS names
        FROM votes GROUP BY identity, label
    ), ranked AS (
        SELECT identity, label, rank() OVER (PARTITION BY identity ORDER BY voices DESC) AS place,
            sum(names) OVER (PARTITION BY identity) AS names,
            count(*) OVER (PARTITION BY identity, voices) AS level
        FROM told
    )
    SELECT v.name, count(*) AS compared, count(*) FILTER (WHERE r.place > 1 OR r.level > 1) AS contradicts,
        count(*) FILTER (WHERE (r.place > 1 OR r.level > 1) AND p.label = v.label) AS backed,
        min(v.received_at) AS since
    FROM votes v JOIN ranked r USING (identity, label)
    LEFT JOIN feedback f ON f.use_case = (SELECT %(use_case)s) AND f.identity = v.identity
    LEFT JOIN prediction p ON p.id = f.prediction_id
    WHERE r.names > 1 GROUP BY v.name ORDER BY v.name"""


def count_contradictions(
    conn: psycopg.Connection[Any], use_case: str, held: list[str], *, keys: bool = False
) -> list[Contradictions]:
    """Every source that shares rows with others, those left out that are held back.

    Args:
        keys: count keys and doors as a whole, each by what most of its sources say.
    """
    votes = (_OF_KEYS if keys else _OF_EACH).replace("{counts}", counts_sql("said_by"))
    with conn.cursor(row_factory=class_row(Contradictions)) as cursor:
        query = _COUNT.replace("{votes}", votes)
        return cursor.execute(query, {"use_case": use_case, "held": held}).fetchall()


_LABELS: LiteralString = """
    SELECT said_by, sum(labels)::bigint FROM label_count WHERE use_case = %(use_case)s AND kind <> 'voted'
    GROUP BY said_by HAVING sum(labels) <> 0 ORDER BY said_by"""
_RECENT: LiteralString = """
    SELECT name, sum(labels)::bigint FROM (
        SELECT coalesce(said_by, 'earlier') AS name, count(*) AS labels FROM feedback
        WHERE use_case = %(use_case)s AND NOT voted AND received_at > {since} GROUP BY 1
        UNION ALL
        SELECT said_by, count(*) FROM feedback_vote
        WHERE use_case = %(use_case)s AND received_at > {since} GROUP BY 1
    ) AS counted GROUP BY name ORDER BY name"""
_SINCE: LiteralString = "now() - make_interval(secs => %(seconds)s)"
# What a session is counting now is left to the next time: nobody waits for anybody.
_JOIN: LiteralString = """
    WITH counted AS (
        DELETE FROM label_count c USING (
            SELECT ctid AS place FROM label_count WHERE use_case = %(use_case)s AND session <> 0
            FOR UPDATE SKIP LOCKED) AS free
        WHERE c.ctid = free.place RETURNING c.*
    )
    INSERT INTO label_count AS kept (use_case, said_by, kind, session, labels)
    SELECT use_case, said_by, kind, 0, sum(labels) FROM counted GROUP BY 1, 2, 3
    ON CONFLICT (use_case, said_by, kind, session) DO UPDATE SET labels = kept.labels + excluded.labels"""


def count_labels(conn: psycopg.Connection[Any], use_case: str, hours: float | None = None) -> dict[str, int]:
    """Labels of each source, as triggers have counted them; of the last `hours`, where that is said."""
    if hours is None:
        return dict(conn.execute(_LABELS, {"use_case": use_case}).fetchall())
    parameters = {"use_case": use_case, "seconds": 3600 * hours}
    return dict(conn.execute(_RECENT.replace("{since}", _SINCE), parameters).fetchall())


def join_label_counts(conn: psycopg.Connection[Any], use_case: str) -> None:
    """Put together what sessions have counted each for itself; one caller of a use case at a time."""
    conn.execute(_JOIN, {"use_case": use_case})
