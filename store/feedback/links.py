"""One truth that comes by two ways: as the label of a prediction, and with the record itself.

A row that answers a prediction and one that came with its record are the same truth where they are of one
record, by its own id or where neither has one by content, and the records are equal. Each row stands for
one of the other kind at most: of repeated records as many are the same as there are of both kinds. What
has been recognised once stays so (`feedback_alias`), whatever comes later.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from store.database.locks import key_sql
from store.feedback.identity import content_names

_CONTENT: LiteralString = """feedback_entity({0}.identity, {0}.record_id, {0}.record) AS entity,
        jsonb_hash_extended({0}.record, 1) AS first_half, jsonb_hash_extended({0}.record, 2) AS second_half"""
_ARRIVING: LiteralString = f"""
    SELECT DISTINCT ON (i.identity) i.identity, i.prediction_id, i.record_id,
        {_CONTENT.replace("{0}", "i")} FROM incoming_feedback i
    WHERE NOT EXISTS (
            SELECT FROM feedback f WHERE f.use_case = (SELECT %(use_case)s) AND f.identity = i.identity)
        AND NOT EXISTS (
            SELECT FROM feedback_alias a WHERE a.use_case = (SELECT %(use_case)s) AND a.identity = i.identity)
    ORDER BY i.identity"""
# LATERAL and OFFSET: an index leads to each, however little the planner knows of a table just filled.
_STANDING: LiteralString = f"""
    SELECT s.* FROM unnest(%(wanted)s::{{type}}[]) AS wanted (one) CROSS JOIN LATERAL (
        SELECT f.identity, f.prediction_id, f.record_id, {_CONTENT.replace("{0}", "f")} FROM feedback f
        WHERE f.use_case = (SELECT %(use_case)s) AND {{condition}} AND NOT EXISTS (
            SELECT FROM feedback_alias a
            WHERE a.use_case = (SELECT %(use_case)s) AND a.stands_for = f.identity)
        ORDER BY f.seq DESC OFFSET 0
    ) AS s"""
_BY_ENTITY = _STANDING.replace("{type}", "bigint").replace(
    "{condition}",
    "f.prediction_id IS NOT NULL AND f.identity LIKE 'p:%%' "
    "AND feedback_entity(f.identity, f.record_id, f.record) = wanted.one",
)
_BY_NAME = _STANDING.replace("{type}", "text").replace("{condition}", "f.identity = wanted.one")
_RENAME = """
    UPDATE incoming_feedback i SET identity = a.stands_for FROM feedback_alias a
    WHERE a.use_case = (SELECT %(use_case)s) AND a.identity = i.identity"""
# In the order of an index: without statistics a scan of all rows would seem to end at the first.
_ANSWERS: LiteralString = """
    SELECT prediction_id FROM feedback WHERE use_case = %(use_case)s AND prediction_id IS NOT NULL
    ORDER BY use_case, prediction_id LIMIT 1"""
_ALIASES: LiteralString = """
    SELECT identity FROM feedback_alias WHERE use_case = %(use_case)s ORDER BY use_case, identity LIMIT 1"""
LOCK_RECORDS: LiteralString = (
    "SELECT pg_advisory_xact_lock("
    + key_sql("truth", "%(use_case)s || feedback_entity(identity, record_id, record)")
    + ") FROM incoming_feedback"
)
"""Until the transaction ends nobody else stores a truth of the records in `incoming_feedback`."""
_SAME_CONTENT = 8
"""As many equal records without an id are looked for at first."""


@dataclass(frozen=True)
class _Truth:
    """A row of `feedback`, or one that arrives: what it is known by, and hashes of what it is of."""

    identity: str
    prediction_id: str | None
    record_id: str | None
    entity: int
    first_half: int
    second_half: int

    @property
    def content(self) -> tuple[int, int, int]:
        """Equal for rows that are of one record and hold the same."""
        return self.entity, self.first_half, self.second_half


def recognise_records(cursor: psycopg.Cursor[Any], use_case: str) -> None:
    """Give records in `incoming_feedback` that came before as answers the identity that they have there."""
    if _any(cursor, _ANSWERS, use_case):
        arriving = _read(cursor, _ARRIVING, {"use_case": use_case})
        wanted = list({truth.entity for truth in arriving})
        standing = _read(cursor, _BY_ENTITY, {"use_case": use_case, "wanted": wanted})
        _keep(cursor, use_case, _pairs(arriving, standing))
    _rename(cursor, use_case)


def recognise_answers(cursor: psycopg.Cursor[Any], use_case: str, documents: Mapping[str, str]) -> None:
    """Give answers in `incoming_feedback` whose records came before the identity that they have there.

    Args:
        documents: canonical JSON of their records, by identity.
    """
    arriving = _read(cursor, _ARRIVING, {"use_case": use_case})
    by_id = [f"i:{truth.record_id}" for truth in arriving if truth.record_id is not None]
    standing = _read(cursor, _BY_NAME, {"use_case": use_case, "wanted": list(set(by_id))})
    nameless = [truth.identity for truth in arriving if truth.record_id is None]
    standing += _of_contents(cursor, use_case, content_names([documents[name] for name in nameless]))
    pairs = _pairs(arriving, standing)
    _keep(cursor, use_case, pairs)
    # Such a row labels an answer now, and is no more a record from elsewhere.
    cursor.executemany(
        "UPDATE feedback SET prediction_id = %s WHERE use_case = %s AND identity = %s",
        [(answer.prediction_id, use_case, record.identity) for answer, record in pairs],
    )
    _rename(cursor, use_case)


def _of_contents(cursor: psycopg.Cursor[Any], use_case: str, names: Sequence[str]) -> list[_Truth]:
    """Rows without an id and a time, at least as many of each content as are asked for, if there are."""
    missing, standing, start, width = Counter(names), list[_Truth](), 0, _SAME_CONTENT
    while missing:
        wanted = [f"{name}#{number}" for name in missing for number in range(start, start + width)]
        rows = _read(cursor, _BY_NAME, {"use_case": use_case, "wanted": wanted})
        standing += rows
        came = Counter(row.identity.partition("#")[0] for row in rows)
        # Those that already stand for an answer are not among them: there may be more behind.
        missing = Counter(
            {
                name: count - came[name]
                for name, count in missing.items()
                if count > came[name] and _exists(cursor, use_case, f"{name}#{start + width}")
            }
        )
        start, width = start + width, 4 * width
    return standing


def _any(cursor: psycopg.Cursor[Any], query: LiteralString, use_case: str) -> bool:
    return cursor.execute(query, {"use_case": use_case}).fetchone() is not None


def _exists(cursor: psycopg.Cursor[Any], use_case: str, identity: str) -> bool:
    row = cursor.execute(
        "SELECT FROM feedback WHERE use_case = %s AND identity = %s", (use_case, identity)
    ).fetchone()
    return row is not None


def _read(cursor: psycopg.Cursor[Any], query: LiteralString, parameters: Mapping[str, Any]) -> list[_Truth]:
    with cursor.connection.cursor(row_factory=class_row(_Truth)) as own:
        return own.execute(query, parameters).fetchall()


def _pairs(arriving: Iterable[_Truth], standing: Iterable[_Truth]) -> list[tuple[_Truth, _Truth]]:
    """Each arriving row with the one that it is, first come first served."""
    free: dict[tuple[int, int, int], list[_Truth]] = defaultdict(list)
    for truth in standing:
        free[truth.content].append(truth)
    return [(truth, free[truth.content].pop(0)) for truth in arriving if free[truth.content]]


def _keep(cursor: psycopg.Cursor[Any], use_case: str, pairs: Iterable[tuple[_Truth, _Truth]]) -> None:
    with cursor.copy("COPY feedback_alias (use_case, identity, stands_for) FROM STDIN") as copy:
        for arriving, standing in pairs:
            copy.write_row((use_case, arriving.identity, standing.identity))


def _rename(cursor: psycopg.Cursor[Any], use_case: str) -> None:
    if _any(cursor, _ALIASES, use_case):
        cursor.execute(_RENAME, {"use_case": use_case})
