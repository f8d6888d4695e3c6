"""Plans that stay what they are when a table is large, or holds what the planner has not heard of."""

from __future__ import annotations

import hashlib
import re

import psycopg
import pytest

from store.feedback import corrections, links, votes
from store.feedback.insertion import COPY_FEEDBACK, INCOMING_FEEDBACK, FeedbackBatch, add_feedback
from store.feedback.revisions import taking_back

DOCUMENT = '{"a": 1}'
ROWS = 2_000
STATEMENTS = {
    "decide": corrections.DECIDE,
    "keep_corrected": corrections.KEEP_CORRECTED,
    "keep_stale": corrections.KEEP_STALE,
    "keep_superseded": corrections.KEEP_SUPERSEDED,
    "confirm": corrections.CONFIRM,
    "regroup": corrections.REGROUP,
    "arriving": links._ARRIVING,
    "rename": links._RENAME,
    "mark_voted": votes.MARK,
    "stand": votes.STAND,
    "keep_replaced": votes.KEEP_REPLACED,
    "confirm_vote": votes.CONFIRM,
    "overrule": votes.OVERRULE,
    "keep_overruled": votes.KEEP_OVERRULED,
    "count_votes": votes.COUNT_VOTES,
    "keep_outvoted": votes.KEEP_OUTVOTED,
    "go": taking_back._GONE,
    "unsay": taking_back._UNSAY,
}
WHOLE_USE_CASE = re.compile(r"Index Cond: \(use_case = '[^']*'::text\)$", re.MULTILINE)
PARAMETERS = {"use_case": "late", "source": "s", "told_now": True, "held": []}


def load(conn: psycopg.Connection, use_case: str, label: str = "0") -> None:
    names, documents = [f"i:{number}" for number in range(ROWS)], [DOCUMENT] * ROWS
    add_feedback(conn, use_case, FeedbackBatch(names, documents, [label] * ROWS, "file"))


@pytest.fixture
def unheard_of(conn: psycopg.Connection) -> psycopg.Connection:
    """All rows that ANALYZE saw are of one use case; another has come since."""
    for table in ("feedback", "feedback_correction", "feedback_vote", "feedback_alias"):
        conn.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    load(conn, "early")
    conn.execute("ANALYZE")
    load(conn, "late")
    return conn


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_row_that_comes_is_held_against_all_of_its_use_case(
    unheard_of: psycopg.Connection, name: str
) -> None:
    conn = unheard_of
    with conn.transaction(), conn.cursor() as cursor:
        for table in (INCOMING_FEEDBACK, corrections.CHANGED, votes.DECIDED, taking_back._GOING):
            cursor.execute(table)
        with cursor.copy(COPY_FEEDBACK) as copy:
            for number in range(ROWS):
                copy.write_row((f"i:{number}", DOCUMENT, "1", None, None, None, None, "open"))
        rows = cursor.execute("EXPLAIN " + STATEMENTS[name], PARAMETERS).fetchall()
    plan = "\n".join(line for (line,) in rows)
    assert "use_case" in plan
    assert not WHOLE_USE_CASE.search(plan), plan


def test_many_corrections_of_a_use_case_that_nobody_analysed(unheard_of: psycopg.Connection) -> None:
    load(unheard_of, "late", "1")
    corrected = unheard_of.execute("SELECT count(*) FROM feedback_correction").fetchone()
    assert corrected == (ROWS,)


TEMPORARY = {
    "incoming_feedback": (INCOMING_FEEDBACK, "d4a307520886"),
    "changed_feedback": (corrections.CHANGED, "f05fa5869d64"),
    "decided_feedback": (votes.DECIDED, "0dfb00233c90"),
    "going_label": (taking_back._GOING, "b6ea30df82ec"),
}


@pytest.mark.parametrize("name", TEMPORARY)
def test_a_temporary_table_with_other_columns_has_another_name(name: str) -> None:
    """A pooler in transaction mode hands on sessions in which a release before may have made it."""
    statement, digest = TEMPORARY[name]
    text = " ".join(statement.split())
    assert text.startswith(f"CREATE TEMP TABLE IF NOT EXISTS {name} (")
    assert text.endswith("ON COMMIT DELETE ROWS")
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == digest
