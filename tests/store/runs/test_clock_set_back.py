"""Runs of before the clock was set back by hours: their times are ahead of it, their order is as it was."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest

from store.database.connection import connect
from store.runs import lifecycle
from store.runs.cut_off import ask_again
from store.runs.lifecycle import repeat_lost, request_run
from store.runs.rows import ended_run, find_run, last_run, recent_runs, waiting_runs
from store.runs.tries import last_tries, retry_at

Connection = psycopg.Connection[Any]
TIMES = ("requested_at", "started_at", "heartbeat_at", "finished_at")


def set_back(conn: Connection) -> None:
    """Have all that is stored lie two hours ahead."""
    ahead = ", ".join(f"{name} = {name} + interval '2 hours'" for name in TIMES)
    conn.execute(f"UPDATE run SET {ahead}")
    conn.execute("UPDATE snapshot SET created_at = created_at + interval '2 hours'")


def end(conn: Connection, run_id: str, status: str, snapshot: str | None = None) -> str:
    token = lifecycle.start_run(conn, run_id)
    lifecycle.finish_run(conn, run_id, token, status, {"snapshot": snapshot})
    return run_id


def asked(conn: Connection, trigger: str = "http") -> str:
    return request_run(conn, "u", "retrain", trigger, runner="worker")


def keep_snapshot(conn: Connection, digest: str) -> str:
    conn.execute(
        "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq)"
        " VALUES (%s, 'u', '', 1, 1, 0, 1, 1)",
        (digest,),
    )
    return digest


def lose(conn: Connection, run_id: str) -> None:
    lifecycle.start_run(conn, run_id)
    conn.execute("UPDATE run SET heartbeat_at = now() - interval '1 day' WHERE id::text = %s", (run_id,))
    assert lifecycle.mark_lost(conn, "u") == [run_id]


@pytest.mark.parametrize("status", ["lost", "succeeded"])
def test_a_lost_run_is_asked_for_again_once(conn: Connection, status: str) -> None:
    lose(conn, asked(conn))
    set_back(conn)
    again = repeat_lost(conn, "u")
    assert again is not None
    assert [repeat_lost(conn, "u") for _ in range(2)] == [None, None]
    assert [run.id for run in waiting_runs(conn, ["u"])] == [again]
    if status == "lost":
        lose(conn, again)
        assert repeat_lost(conn, "u") is not None
    else:
        end(conn, again, status)
        assert repeat_lost(conn, "u") is None


def test_a_run_that_is_lost_afterwards_is_asked_for_again(conn: Connection) -> None:
    end(conn, asked(conn), "succeeded")
    set_back(conn)
    lose(conn, asked(conn))
    assert repeat_lost(conn, "u") is not None


def test_the_last_runs_are_those_that_began_last(conn: Connection) -> None:
    before = end(conn, asked(conn), "succeeded", keep_snapshot(conn, "before"))
    set_back(conn)
    after = end(conn, asked(conn), "succeeded", keep_snapshot(conn, "after"))
    assert last_tries(conn, "u").snapshot == "after"
    ended, last = ended_run(conn, "u"), last_run(conn, "u")
    assert ended is not None and last is not None
    assert (ended.id, last.id) == (after, after)
    assert [run.id for run in recent_runs(conn, "u", 5)] == [after, before]
    waits = asked(conn)
    assert [run.id for run in recent_runs(conn, "u", 5)] == [waits, after, before]


def test_a_failure_of_before_holds_nothing_up_for_hours(conn: Connection) -> None:
    end(conn, asked(conn), "failed")
    assert retry_at(conn, "u") is not None
    set_back(conn)
    assert retry_at(conn, "u") is None
    end(conn, asked(conn), "succeeded")
    assert retry_at(conn, "u") is None


def test_a_failure_is_waited_for_also_after_a_success_of_before(conn: Connection) -> None:
    end(conn, asked(conn), "succeeded")
    set_back(conn)
    for minutes in (1, 2, 4):
        failed = find_run(conn, end(conn, asked(conn), "failed"))
        retry = retry_at(conn, "u")
        assert retry is not None and failed is not None and failed.finished_at is not None
        assert (retry - failed.finished_at).total_seconds() == 60 * minutes


def test_a_run_whose_process_is_gone_is_lost_within_seconds(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "BACK_SECONDS", 0.0)
    monkeypatch.setattr(lifecycle, "GONE_SECONDS", 0.2)
    run_id = asked(conn)
    lifecycle.start_run(conn, run_id)
    set_back(conn)
    assert lifecycle.mark_lost(conn, "u") == []  # heard from now on: it may live, and beat in a moment
    time.sleep(0.3)
    assert lifecycle.mark_lost(conn, "u") == [run_id]


def test_a_run_that_was_cut_off_is_asked_for_again(conn: Connection) -> None:
    run_id = asked(conn)
    lifecycle.start_run(conn, run_id)
    set_back(conn)
    assert ask_again(conn, ["u"], gone_seconds=0.0) == {}
    assert list(ask_again(conn, ["u"], gone_seconds=0.0).values()) == ["u"]


def test_a_holder_that_lives_keeps_its_run(conn: Connection, database_url: str) -> None:
    run_id = asked(conn)
    token = lifecycle.start_run(conn, run_id)
    with connect(database_url, autocommit=True) as holder:
        lifecycle.show_life(holder, run_id)
        set_back(conn)
        assert [lifecycle.mark_lost(conn, "u") for _ in range(2)] == [[], []]
        assert not lifecycle.heartbeat(holder, run_id, token)


def test_a_caller_that_never_began_blocks_nobody_for_hours(conn: Connection) -> None:
    gone = request_run(conn, "u", "retrain", "person")
    set_back(conn)
    assert lifecycle.mark_lost(conn, "u", stale_seconds=0.0) == []
    lifecycle.mark_lost(conn, "u", stale_seconds=0.0)
    run = find_run(conn, gone)
    assert run is not None and run.status == "lost"
