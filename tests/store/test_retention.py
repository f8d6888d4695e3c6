"""Old rows go, in batches; what is young, labelled or still needed stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg

from models.production import ledger
from store.database.connection import connect
from store.retention import (
    IDEMPOTENCY,
    KEPT_RUNS,
    NOTICES,
    PREDICTIONS,
    QUARANTINE,
    RUNS,
    SHADOW_ANSWERS,
    count_rows,
    delete_rows,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, YOUNG = NOW - timedelta(days=100), NOW - timedelta(days=10)
BEFORE = NOW - timedelta(days=90)


def add_predictions(
    conn: psycopg.Connection, name: str, at: datetime, count: int, use_case: str = "u"
) -> None:
    conn.execute(
        "INSERT INTO prediction (id, use_case, record, predicted_at)"
        " SELECT %s || n, %s, '{}', %s::timestamptz + n * interval '1 second' FROM generate_series(1, %s) n",
        (name, use_case, at, count),
    )


def label(conn: psycopg.Connection, prediction: str) -> None:
    conn.execute(
        "INSERT INTO feedback (use_case, identity, record, label, prediction_id)"
        " VALUES ('u', 'p:' || %(id)s, '{}', 'x', %(id)s)",
        {"id": prediction},
    )


def ids(conn: psycopg.Connection) -> list[str]:
    return [row[0] for row in conn.execute("SELECT id FROM prediction ORDER BY id")]


def test_predictions_go_by_batches_and_those_with_a_label_stay(conn: psycopg.Connection) -> None:
    add_predictions(conn, "old", OLD, 25)
    add_predictions(conn, "young", YOUNG, 2)
    add_predictions(conn, "other", OLD, 1, use_case="other")
    for name in ("old3", "old4", "old5", "old20"):
        label(conn, name)
    assert count_rows(conn, PREDICTIONS, "u", BEFORE) == 21
    assert delete_rows(conn, PREDICTIONS, "u", BEFORE, batch=4) == 21
    assert ids(conn) == ["old20", "old3", "old4", "old5", "other1", "young1", "young2"]
    assert delete_rows(conn, PREDICTIONS, "u", BEFORE, batch=4) == 0


def test_answers_of_shadow_versions_go_with_their_predictions(conn: psycopg.Connection) -> None:
    add_predictions(conn, "old", OLD, 5)
    add_predictions(conn, "young", YOUNG, 2)
    add_predictions(conn, "other", OLD, 1, use_case="other")
    conn.execute(
        "INSERT INTO shadow_answer (prediction_id, version, use_case, predicted_at)"
        " SELECT id, version, use_case, predicted_at FROM prediction, generate_series(2, 3) AS version"
    )
    label(conn, "old3")
    for rows, each in ((PREDICTIONS, 1), (SHADOW_ANSWERS, 2)):
        assert count_rows(conn, rows, "u", BEFORE) == 4 * each
        assert delete_rows(conn, rows, "u", BEFORE, batch=3) == 4 * each
    left = [row[0] for row in conn.execute("SELECT DISTINCT prediction_id FROM shadow_answer ORDER BY 1")]
    assert left == ids(conn) == ["old3", "other1", "young1", "young2"]


def test_rows_of_one_moment_go_though_they_are_more_than_a_batch(conn: psycopg.Connection) -> None:
    conn.execute(
        "INSERT INTO prediction (id, use_case, record, predicted_at)"
        " SELECT 'p' || n, 'u', '{}', %s FROM generate_series(1, 20) n",
        (OLD,),
    )
    for number in range(1, 8):
        label(conn, f"p{number}")
    assert delete_rows(conn, PREDICTIONS, "u", BEFORE, batch=3) == 13


def test_rows_that_another_transaction_holds_are_left_to_the_next_time(
    conn: psycopg.Connection, database_url: str
) -> None:
    add_predictions(conn, "old", OLD, 3)
    with connect(database_url) as other:
        other.execute("SELECT FROM prediction WHERE id = 'old2' FOR UPDATE")
        conn.execute("SET lock_timeout = '2s'")
        assert delete_rows(conn, PREDICTIONS, "u", BEFORE) == 2
    assert delete_rows(conn, PREDICTIONS, "u", BEFORE) == 1


def test_keys_refused_rows_and_notices_go_when_they_are_old(conn: psycopg.Connection) -> None:
    for at, name in ((OLD, "a"), (YOUNG, "b")):
        conn.execute("INSERT INTO idempotency VALUES ('u', %s, '{}', 'digest', %s)", (name, at))
        conn.execute(
            'INSERT INTO quarantine (use_case, source, reason, "row", at, digest)'
            " VALUES ('u', 'f.csv', 'no', '{}', %s, %s)",
            (at, name),
        )
        for state in ("sent", "due"):
            conn.execute(
                "INSERT INTO notice (use_case, event, source, target, title, body, happened_at, state)"
                " VALUES ('u', 'drift', %s, 'mail', 't', 'b', %s, %s)",
                (f"{name}-{state}", at, state),
            )
    for rows in (IDEMPOTENCY, QUARANTINE, NOTICES):
        assert delete_rows(conn, rows, "u", BEFORE) == 1
    assert conn.execute("SELECT key FROM idempotency").fetchall() == [("b",)]
    assert conn.execute("SELECT digest FROM quarantine").fetchall() == [("b",)]
    left = conn.execute("SELECT source FROM notice ORDER BY source").fetchall()
    assert left == [("a-due",), ("b-due",), ("b-sent",)]


def test_the_newest_runs_and_those_of_kept_versions_stay(conn: psycopg.Connection) -> None:
    made = conn.execute(
        "INSERT INTO run (use_case, kind, trigger, status, requested_at, finished_at)"
        " SELECT 'u', 'retrain', 'schedule', 'succeeded', at, at FROM ("
        "  SELECT %s::timestamptz + n * interval '1 minute' AS at FROM generate_series(1, %s) n) AS times"
        " RETURNING id",
        (OLD, KEPT_RUNS + 5),
    ).fetchall()
    oldest = [str(row[0]) for row in made][:5]
    for run_id, version in ((oldest[1], 7), (oldest[2], 8)):
        ledger.record(conn, "u", "promoted", actor="test", reason="", to_version=version, run_id=run_id)
    assert delete_rows(conn, RUNS, "u", BEFORE, versions=[8]) == 4
    left = {str(row[0]) for row in conn.execute("SELECT id FROM run")}
    assert len(left) == KEPT_RUNS + 1
    assert left & set(oldest) == {oldest[2]}
