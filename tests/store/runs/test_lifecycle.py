"""Runs: one at a time, held by a token, lost when silent."""

from __future__ import annotations

import threading
import time
import uuid

import psycopg
import pytest

from store.database.connection import connect
from store.errors import Fenced, RunBusy, RunNotFound
from store.runs import events as run_events
from store.runs import lifecycle
from store.runs.lifecycle import request_run, request_stop
from store.runs.rows import find_run, is_silent, last_run, queued_run


def silence(conn: psycopg.Connection, run_id: str) -> None:
    conn.execute("UPDATE run SET heartbeat_at = now() - interval '2 minutes' WHERE id = %s", (run_id,))


def test_the_life_of_a_run(conn: psycopg.Connection) -> None:
    run_id = request_run(conn, "u", "retrain", "http")
    queued = find_run(conn, run_id)
    assert queued is not None
    assert (queued.status, queued.kind, queued.trigger) == ("queued", "retrain", "http")
    assert queued_run(conn, "u") == queued
    token = lifecycle.start_run(conn, run_id, flow_run_id="flow")
    assert not lifecycle.heartbeat(conn, run_id, token, {"epoch": 1})
    assert not lifecycle.heartbeat(conn, run_id, token)
    lifecycle.heartbeat(conn, run_id, token, {"epoch": 2})
    lifecycle.finish_run(conn, run_id, token, "succeeded", {"version": 3})
    ended = find_run(conn, run_id)
    assert ended is not None
    assert (ended.status, ended.progress, ended.result) == ("succeeded", {"epoch": 2}, {"version": 3})
    assert ended.flow_run_id == "flow"
    assert ended.finished_at is not None
    events = run_events.events_since(conn, run_id)
    assert [event["payload"] for event in events] == [{"epoch": 1}, {"epoch": 2}]
    assert len(run_events.events_since(conn, run_id, events[0]["seq"])) == 1
    assert last_run(conn, "u") == ended


def test_one_run_at_a_time_for_each_use_case(conn: psycopg.Connection) -> None:
    run_id = request_run(conn, "u", "retrain", "http")
    with pytest.raises(RunBusy) as caught:
        request_run(conn, "u", "retrain", "schedule")
    assert caught.value.running_id == run_id
    lifecycle.start_run(conn, request_run(conn, "other", "retrain", "http"))
    token = lifecycle.start_run(conn, run_id)
    with pytest.raises(RunBusy):
        request_run(conn, "u", "retrain", "schedule")
    lifecycle.finish_run(conn, run_id, token, "failed", error="no")
    assert request_run(conn, "u", "retrain", "http") != run_id


def test_a_run_starts_once(conn: psycopg.Connection) -> None:
    run_id = request_run(conn, "u", "retrain", "http")
    lifecycle.start_run(conn, run_id)
    with pytest.raises(RunNotFound):
        lifecycle.start_run(conn, run_id)
    for unknown in (str(uuid.uuid4()), "no uuid"):
        with pytest.raises(RunNotFound):
            lifecycle.start_run(conn, unknown)


def test_the_place_is_kept_by_the_database(conn: psycopg.Connection) -> None:
    first = request_run(conn, "u", "retrain", "http")
    second = str(uuid.uuid4())
    conn.execute("INSERT INTO run (id, use_case, kind, trigger) VALUES (%s, 'u', 'retrain', 'x')", (second,))
    lifecycle.start_run(conn, first)
    with pytest.raises(RunBusy) as caught:
        lifecycle.start_run(conn, second)
    assert caught.value.running_id == first


def test_a_silent_holder_loses_its_run(conn: psycopg.Connection) -> None:
    run_id = request_run(conn, "u", "retrain", "http")
    token = lifecycle.start_run(conn, run_id)
    silence(conn, run_id)
    successor = request_run(conn, "u", "retrain", "schedule")
    lost = find_run(conn, run_id)
    assert lost is not None
    assert lost.status == "lost"
    lifecycle.start_run(conn, successor)
    with pytest.raises(Fenced):
        lifecycle.heartbeat(conn, run_id, token)
    with pytest.raises(Fenced):
        lifecycle.heartbeat(conn, run_id, token, {})
    with pytest.raises(Fenced):
        lifecycle.finish_run(conn, run_id, token, "succeeded")
    with pytest.raises(Fenced):
        lifecycle.hold(conn, run_id, token)
    assert run_events.events_since(conn, run_id) == []


def test_holding_keeps_others_out_until_the_transaction_ends(database_url: str) -> None:
    with connect(database_url) as holder, connect(database_url, autocommit=True) as other:
        run_id = request_run(other, "u", "retrain", "http")
        token = lifecycle.start_run(other, run_id)
        silence(other, run_id)
        lifecycle.hold(holder, run_id, token)
        other.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            request_run(other, "u", "retrain", "schedule")
        lifecycle.finish_run(holder, run_id, token, "succeeded")
        holder.commit()
        request_run(other, "u", "retrain", "schedule")


def test_stopping(conn: psycopg.Connection) -> None:
    queued = request_run(conn, "u", "retrain", "http")
    assert request_stop(conn, queued) == "stopped"
    running = request_run(conn, "u", "retrain", "http")
    token = lifecycle.start_run(conn, running)
    assert request_stop(conn, running) == "running"
    assert lifecycle.heartbeat(conn, running, token)
    assert lifecycle.heartbeat(conn, running, token, {"epoch": 1})
    lifecycle.finish_run(conn, running, token, "stopped")
    assert request_stop(conn, running) == "stopped"
    with pytest.raises(RunNotFound):
        request_stop(conn, "nothing")


def test_many_requests_at_once_make_one_run(database_url: str) -> None:
    made: list[str] = []
    busy: list[str] = []

    def request() -> None:
        with connect(database_url) as conn:
            try:
                made.append(request_run(conn, "u", "retrain", "http"))
            except RunBusy as error:
                busy.append(error.running_id)

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert set(busy) == set(made)


def test_a_killed_holder_is_told_from_a_slow_one_by_its_connection(
    conn: psycopg.Connection, database_url: str
) -> None:
    run_id = request_run(conn, "u", "retrain", "http")
    lifecycle.start_run(conn, run_id)
    with connect(database_url, autocommit=True) as holder:
        lifecycle.show_life(holder, run_id)
        conn.execute("UPDATE run SET heartbeat_at = now() - interval '10 seconds'")
        assert is_silent(conn, "u", 5)
        assert not is_silent(conn, "u", 30)
        assert lifecycle.mark_lost(conn, "u") == []
        session = holder.info.backend_pid
    while conn.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (session,)).fetchone():
        time.sleep(0.01)  # the server sees a moment later that it is gone
    assert lifecycle.mark_lost(conn, "u") == [run_id]
