"""What a command that checks drift hears of the retrain that it starts."""

from __future__ import annotations

import threading

import psycopg

from flows.launch import _seeing_runs
from store.runs.lifecycle import request_run
from store.runs.rows import Run


def test_a_run_that_begins_meanwhile_is_told_of_and_one_from_before_is_not(
    database_url: str, conn: psycopg.Connection
) -> None:
    conn.autocommit = True
    before = request_run(conn, "plans", "retrain", "person")
    seen: list[Run] = []
    heard = threading.Event()

    def hear(run: Run) -> None:
        seen.append(run)
        heard.set()

    with _seeing_runs(database_url, "plans", hear):
        assert not heard.wait(1.0)
    conn.execute("DELETE FROM run WHERE id = %s", (before,))
    with _seeing_runs(database_url, "plans", hear):
        begun = request_run(conn, "plans", "retrain", "drift")
        assert heard.wait(30)
    assert {run.id for run in seen} == {begun}
