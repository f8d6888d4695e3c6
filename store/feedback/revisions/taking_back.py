"""Labels that are taken back: on record as such, with who, when and why, and counted nowhere from then on.

What rows were stays in `feedback_correction`, so snapshots of before are as they were. A row of which every
label is taken back is gone, whatever it was before a correction; where other sources have labelled it too,
theirs decide. What a source says after that counts, `store.feedback.corrections` knows what it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from configs.spelling.letters import forms_of
from features.records.spellings import spell_id
from store.database.locks import lock_transaction
from store.errors import UnknownLabels, UnknownSource
from store.feedback.insertion import LABELS_CHANNEL
from store.feedback.revisions.setting_aside import remove_rows
from store.feedback.sources import held_sources, root_of, spellings_of
from store.feedback.votes import decide_rest

MOST_SHOWN = 100
"""Labels that a report lists."""
# By keys and indexes, each of them; an own id is in the identity, or beside it where a prediction had one.
_NAMED: LiteralString = """({0}.identity = ANY(%(names)s) OR {0}.prediction_id = ANY(%(ids)s)
    OR {0}.record_id = ANY(%(ids)s))"""
_NAMED_ROWS: LiteralString = """(f.identity = ANY(%(names)s) OR f.prediction_id = ANY(%(ids)s)
    OR f.prediction_id IS NOT NULL AND f.record_id = ANY(%(ids)s)
        AND feedback_entity(f.identity, f.record_id, f.record) = ANY(ARRAY(
            SELECT hashtextextended(one, 1) FROM unnest(%(ids)s::text[]) AS one)))"""
_SELECTED: LiteralString = """(%(sources)s::text[] IS NULL
        OR coalesce({0}.said_by, 'earlier') = ANY(%(sources)s)
        OR split_part(coalesce({0}.said_by, 'earlier'), '/', 1) = ANY(%(sources)s))
    AND (%(files)s::text[] IS NULL OR {0}.source = ANY(%(files)s))
    AND (%(since)s::timestamptz IS NULL OR {0}.received_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR {0}.received_at < %(until)s)"""
_GOING: LiteralString = """
    CREATE TEMP TABLE IF NOT EXISTS going_label (
        identity text, said_by text, seq bigint, record jsonb, label text, event_time timestamptz,
        received_at timestamptz, prediction_id text, record_id text, source text, is_vote boolean
    ) ON COMMIT DELETE ROWS"""
_LOCK_ROWS: LiteralString = """
    SELECT count(*) FROM (SELECT f.seq FROM feedback f WHERE f.use_case = %(use_case)s AND {named}
        AND (f.voted OR {row}) ORDER BY f.identity FOR UPDATE) AS locked"""
_SELECT: LiteralString = """
    INSERT INTO going_label
    SELECT f.identity, coalesce(f.said_by, 'earlier'), f.seq, f.record, f.label, f.event_time, f.received_at,
        f.prediction_id, f.record_id, f.source, false
    FROM feedback f WHERE f.use_case = %(use_case)s AND NOT f.voted AND {named} AND {row}
    UNION ALL
    SELECT f.identity, v.said_by, f.seq, v.record, v.label, v.event_time, v.received_at,
        f.prediction_id, f.record_id, v.source, true
    FROM feedback f JOIN feedback_vote v ON v.use_case = f.use_case AND v.identity = f.identity
    WHERE f.use_case = %(use_case)s AND f.voted AND {named} AND {vote}"""
_GONE: LiteralString = """
    SELECT DISTINCT g.seq FROM going_label g WHERE NOT EXISTS (
        SELECT FROM feedback_vote v WHERE g.is_vote AND v.use_case = (SELECT %(use_case)s)
            AND v.identity = g.identity
            AND NOT EXISTS (
                SELECT FROM going_label o WHERE o.identity = v.identity AND o.said_by = v.said_by))"""
_UNSAY: LiteralString = """
    WITH unsaid AS (
        DELETE FROM feedback_vote v USING going_label g WHERE v.use_case = (SELECT %(use_case)s)
            AND v.identity = g.identity AND v.said_by = g.said_by RETURNING v.*
    )
    INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time)
    SELECT u.use_case, u.identity, nextval('feedback_seq'), u.record, u.label, u.received_at, u.event_time
    FROM unsaid u JOIN feedback f ON f.use_case = u.use_case AND f.identity = u.identity
    WHERE f.label <> u.label OR f.record <> u.record"""
# What the row of a label was learned as is told by its number, where it is not the same row any more.
_RECORD: LiteralString = """
    INSERT INTO label_taken_back (use_case, identity, said_by, seq, record, label, event_time, received_at,
        prediction_id, record_id, source, actor, reason)
    SELECT %(use_case)s, g.identity, g.said_by, CASE WHEN f.seq IS DISTINCT FROM g.seq THEN g.seq END,
        g.record, g.label, g.event_time, g.received_at, g.prediction_id, g.record_id, g.source, %(actor)s,
        %(reason)s
    FROM going_label g
    LEFT JOIN feedback f ON f.use_case = (SELECT %(use_case)s) AND f.identity = g.identity"""
# Sources are counted anew, though no vote has come.
_COUNT_ANEW: LiteralString = "DELETE FROM label_source_count WHERE use_case = %(use_case)s"
_COUNT: LiteralString = "SELECT count(*), count(DISTINCT identity) FROM going_label"
_LIST: LiteralString = """
    SELECT identity AS id, label, said_by, received_at, prediction_id, record_id FROM going_label
    ORDER BY received_at, identity, said_by LIMIT %(most)s"""
_EARLIER: LiteralString = (
    "SELECT identity AS id, label, said_by, received_at, prediction_id, record_id, taken_back_at, actor,"
    " reason FROM label_taken_back t WHERE use_case = %(use_case)s AND "
    + _NAMED.replace("{0}", "t")
    + " AND "
    + _SELECTED.replace("{0}", "t")
    + " ORDER BY t.id DESC LIMIT %(most)s"
)
_KNOWN: LiteralString = """
    SELECT EXISTS (
            SELECT FROM feedback f WHERE f.use_case = %(use_case)s AND NOT f.voted AND {rows} AND {row})
        OR EXISTS (
            SELECT FROM feedback f JOIN feedback_vote v ON v.use_case = f.use_case
            AND v.identity = f.identity
            WHERE f.use_case = %(use_case)s AND f.voted AND {rows} AND {vote})
        OR EXISTS (
            SELECT FROM label_taken_back t WHERE t.use_case = %(use_case)s AND {back} AND {taken})"""
_SOURCES: LiteralString = """
    SELECT said_by FROM label_count WHERE use_case = %(use_case)s GROUP BY said_by HAVING sum(labels) <> 0
    UNION SELECT said_by FROM label_taken_back WHERE use_case = %(use_case)s"""


@dataclass(frozen=True)
class LabelSelection:
    """Which labels of a use case are meant: those that all of this is true of."""

    ids: Sequence[str] = ()
    """Of predictions, of records, or what rows are known by (`h:...`); none: whatever the row."""
    source: str | None = None
    """Who said so, or a key or door with all that it names."""
    file: str | None = None
    """The file that they came by, in whichever form of its letters; `http`: a request."""
    since: datetime | None = None
    """Those that arrived from then on."""
    until: datetime | None = None
    """Those that arrived before."""

    def parameters(self, use_case: str) -> dict[str, Any]:
        """What the SQL of this module names: ids and sources as they came, and as they are kept."""
        ids = list(dict.fromkeys([*self.ids, *map(spell_id, self.ids)]))
        return {
            "use_case": use_case,
            "ids": ids,
            "names": [name for one in ids for name in (one, f"p:{one}", f"i:{one}")],
            "sources": None if self.source is None else list(spellings_of(self.source)),
            "files": None if self.file is None else forms_of(self.file),
            "since": self.since,
            "until": self.until,
            "most": MOST_SHOWN,
        }


@dataclass(frozen=True)
class GivenLabel:
    """What one source said of one row."""

    id: str
    """What the row is known by."""
    label: str
    said_by: str
    received_at: datetime
    prediction_id: str | None
    record_id: str | None


@dataclass(frozen=True)
class TakenBackLabel(GivenLabel):
    """One that does not count any more."""

    taken_back_at: datetime
    actor: str
    reason: str


@dataclass(frozen=True)
class TakeBackReport:
    """What was taken back, or would be."""

    use_case: str
    taken_back: int
    """Labels; of a row that several sources have labelled each has one."""
    rows: int
    """That had them."""
    left: int
    """Of the rows, those that other sources' labels decide now."""
    labels: tuple[GivenLabel, ...]
    """The first `MOST_SHOWN`, in the order of arrival."""
    earlier: tuple[TakenBackLabel, ...] = ()
    """What had been taken back before of the rows that were named, the newest first."""

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


def find_labels(conn: psycopg.Connection[Any], use_case: str, selection: LabelSelection) -> TakeBackReport:
    """What `take_back` would take back; nothing is changed.

    Raises:
        UnknownLabels, UnknownSource: as `take_back`.
    """
    with conn.transaction(force_rollback=True):
        return _select(conn, use_case, selection)


def take_back(
    conn: psycopg.Connection[Any], use_case: str, selection: LabelSelection, *, actor: str, reason: str
) -> TakeBackReport:
    """Take labels back, all of them in one transaction; again is nothing to do, and says what was before.

    Raises:
        UnknownLabels: nothing is known, nor was, by one of the ids; nothing was changed.
        UnknownSource: no label is of the source, nor was; nothing was changed.
    """
    with conn.transaction(), conn.cursor() as cursor:
        # Labels that come meanwhile wait: each is before this as a whole, or after it.
        lock_transaction(conn, "feedback", use_case)
        report = _select(conn, use_case, selection)
        if not report.taken_back:
            return report
        parameters = {"use_case": use_case, "actor": actor, "reason": reason}
        remove_rows(conn, use_case, _gone(conn, use_case))
        cursor.execute(_UNSAY, parameters)
        decide_rest(cursor, use_case, held_sources(conn, use_case))
        for statement in (_RECORD, _COUNT_ANEW):
            cursor.execute(statement, parameters)
        cursor.execute("SELECT pg_notify(%s, %s)", (LABELS_CHANNEL, use_case))
    return report


def _select(conn: psycopg.Connection[Any], use_case: str, selection: LabelSelection) -> TakeBackReport:
    """Put the labels that are meant into `going_label`, and hold their rows until the transaction ends."""
    parameters = selection.parameters(use_case)
    named: LiteralString = _NAMED_ROWS if selection.ids else "true"
    of_row, of_vote = _SELECTED.replace("{0}", "f"), _SELECTED.replace("{0}", "v")
    conn.execute(_GOING)
    conn.execute("DELETE FROM going_label")  # of an earlier call in the caller's transaction
    for query in (_LOCK_ROWS, _SELECT):
        conn.execute(
            query.replace("{named}", named).replace("{row}", of_row).replace("{vote}", of_vote), parameters
        )
    labels, rows = conn.execute(_COUNT).fetchone() or (0, 0)
    with conn.cursor(row_factory=class_row(GivenLabel)) as cursor:
        shown = tuple(cursor.execute(_LIST, parameters).fetchall())
    with conn.cursor(row_factory=class_row(TakenBackLabel)) as cursor:
        earlier = tuple(cursor.execute(_EARLIER, parameters).fetchall()) if selection.ids else ()
    _require_known(conn, use_case, selection)
    return TakeBackReport(use_case, labels, rows, rows - len(_gone(conn, use_case)), shown, earlier)


def _gone(conn: psycopg.Connection[Any], use_case: str) -> list[int]:
    """Numbers of rows of which no label is left."""
    return [row[0] for row in conn.execute(_GONE, {"use_case": use_case})]


def _require_known(conn: psycopg.Connection[Any], use_case: str, selection: LabelSelection) -> None:
    unknown = [one for one in selection.ids if not _is_known(conn, use_case, selection, one)]
    if unknown:
        raise UnknownLabels(use_case, unknown, selection.source)
    if selection.source is not None and not selection.ids:
        names = {str(row[0]) for row in conn.execute(_SOURCES, {"use_case": use_case})}
        if names.union(map(root_of, names)).isdisjoint(spellings_of(selection.source)):
            raise UnknownSource(use_case, selection.source, sorted(names))


def _is_known(conn: psycopg.Connection[Any], use_case: str, selection: LabelSelection, one: str) -> bool:
    """Whether a label of the source that is meant has this id, or had; whenever it came."""
    query = _KNOWN.replace("{rows}", _NAMED_ROWS).replace("{back}", _NAMED.replace("{0}", "t"))
    for name, alias in (("{row}", "f"), ("{vote}", "v"), ("{taken}", "t")):
        query = query.replace(name, _SELECTED.replace("{0}", alias))
    row = conn.execute(query, LabelSelection((one,), selection.source).parameters(use_case)).fetchone()
    return row is not None and bool(row[0])
