"""Runs that wait for the worker: found, handed over, settled, and told of at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import psycopg
import pytest

from store.errors import RunBusy
from store.runs import events as run_events
from store.runs import lifecycle
from store.runs.lifecycle import repeat_lost, request_run, request_training
from store.runs.rows import CHANNEL, dispatched_runs, ended_run, find_run, waiting_runs


def ask(conn: psycopg.Connection, use_case: str = "u") -> str:
    return request_run(conn, use_case, "retrain", "http", runner="worker", options={"epochs": 2})


def waiting(conn: psycopg.Connection) -> list[str]:
    return [run.id for run in waiting_runs(conn, ["u"])]


def test_only_runs_for_the_worker_are_handed_over(conn: psycopg.Connection) -> None:
    request_run(conn, "v", "retrain", "person")
    run_id = ask(conn)
    (run,) = waiting_runs(conn, ["u", "v"])
    assert (run.id, run.options, run.dispatches) == (run_id, {"epochs": 2}, 0)
    assert waiting_runs(conn, ["v"]) == []


def test_a_run_is_handed_over_once(conn: psycopg.Connection) -> None:
    run_id = ask(conn)
    lifecycle.mark_dispatched(conn, run_id, "flow-1")
    lifecycle.mark_dispatched(conn, run_id, "flow-2")
    assert waiting(conn) == []
    (run,) = dispatched_runs(conn, ["u"])
    assert (run.flow_run_id, run.dispatches) == ("flow-1", 1)
    lifecycle.start_run(conn, run_id, "flow-1")
    assert dispatched_runs(conn, ["u"]) == []


def test_a_run_that_found_the_place_taken_waits_again(conn: psycopg.Connection) -> None:
    run_id = ask(conn)
    lifecycle.mark_dispatched(conn, run_id, "flow-1")
    (run,) = dispatched_runs(conn, ["u"])
    lifecycle.requeue(conn, run)
    (again,) = waiting_runs(conn, ["u"])
    assert (again.id, again.dispatches) == (run_id, 1)
    lifecycle.mark_dispatched(conn, run_id, "flow-2")
    lifecycle.requeue(conn, run)  # of the flow run before
    assert waiting(conn) == []


def test_a_run_that_the_orchestrator_lost_ends(conn: psycopg.Connection) -> None:
    run_id = ask(conn)
    lifecycle.mark_dispatched(conn, run_id, "flow-1")
    (run,) = dispatched_runs(conn, ["u"])
    lifecycle.give_up(conn, run, "failed", "crashed")
    ended = ended_run(conn, "u")
    assert ended is not None
    assert (ended.id, ended.status, ended.error) == (run_id, "failed", "crashed")
    assert ask(conn) != run_id


def test_training_waits_behind_a_run_and_is_asked_for_once(conn: psycopg.Connection) -> None:
    running = ask(conn)
    token = lifecycle.start_run(conn, running)
    behind = request_training(conn, "u", "http")
    assert request_training(conn, "u", "http") == behind
    assert waiting(conn) == []
    with pytest.raises(RunBusy):
        ask(conn)
    lifecycle.finish_run(conn, running, token, "succeeded")
    assert waiting(conn) == [behind]


def test_a_run_that_has_not_begun_learns_from_labels_that_come_meanwhile(conn: psycopg.Connection) -> None:
    run_id = ask(conn)
    assert request_training(conn, "u", "http") == run_id


def test_training_does_not_rely_on_a_run_that_its_caller_may_never_begin(conn: psycopg.Connection) -> None:
    of_a_command = request_run(conn, "u", "retrain", "person", options={"sample_count": 10})
    asked = request_training(conn, "u", "http")
    assert asked != of_a_command
    assert request_training(conn, "u", "http") == asked
    assert waiting(conn) == [asked]


def test_a_run_that_is_relied_on_begins_behind_the_labels_that_it_is_to_see(
    conn: psycopg.Connection, database_url: str
) -> None:
    run_id = ask(conn)
    with psycopg.connect(database_url) as storing, ThreadPoolExecutor(1) as threads:
        storing.execute("SELECT nextval('feedback_seq')")  # of labels that nobody sees yet
        assert request_training(storing, "u", "http") == run_id
        begun = threads.submit(lifecycle.start_run, conn, run_id)
        with pytest.raises(TimeoutError):
            begun.result(1)
        storing.commit()
        assert begun.result(10) > 0


def test_a_caller_that_never_began_blocks_nobody(conn: psycopg.Connection) -> None:
    gone = request_run(conn, "u", "retrain", "person")
    with pytest.raises(RunBusy):
        ask(conn)
    conn.execute("UPDATE run SET requested_at = requested_at - %s", (timedelta(minutes=2),))
    assert ask(conn) != gone


def test_the_dispatcher_is_told(conn: psycopg.Connection, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL}")
        run_id = ask(conn)
        token = lifecycle.start_run(conn, run_id)
        lifecycle.finish_run(conn, run_id, token, "succeeded")
        notes = [note.payload for note in listener.notifies(timeout=10, stop_after=2)]
    assert notes == ["u", "u"]


def test_old_progress_is_forgotten(conn: psycopg.Connection) -> None:
    run_id = ask(conn)
    token = lifecycle.start_run(conn, run_id)
    lifecycle.heartbeat(conn, run_id, token, {"step": "train"})
    lifecycle.finish_run(conn, run_id, token, "succeeded")
    assert run_events.prune_events(conn, "u") == 0
    conn.execute("UPDATE run SET finished_at = finished_at - %s", (timedelta(days=8),))
    assert run_events.prune_events(conn, "u") == 1
    assert run_events.events_since(conn, run_id) == []


def lose(conn: psycopg.Connection, run_id: str) -> None:
    lifecycle.start_run(conn, run_id)
    conn.execute("UPDATE run SET heartbeat_at = now() - interval '1 day' WHERE id::text = %s", (run_id,))
    assert lifecycle.mark_lost(conn, "u") == [run_id]


def test_a_lost_training_is_asked_for_again_but_not_for_ever(conn: psycopg.Connection) -> None:
    assert repeat_lost(conn, "u") is None
    first = request_training(conn, "u", "http")
    assert repeat_lost(conn, "u") is None  # it waits
    lose(conn, first)
    second = repeat_lost(conn, "u")
    assert second is not None and waiting(conn) == [second]
    assert repeat_lost(conn, "u") is None
    lose(conn, second)
    third = repeat_lost(conn, "u")
    assert third is not None
    lose(conn, third)
    assert repeat_lost(conn, "u") is None


def test_a_lost_retrain_is_asked_for_again_as_it_was(conn: psycopg.Connection) -> None:
    first = lifecycle.request_run(conn, "u", "retrain", "http", runner="worker", options={"epochs": 3})
    lose(conn, first)
    again = repeat_lost(conn, "u")
    assert again is not None and waiting(conn) == [again]
    run = find_run(conn, again)
    assert run is not None
    assert (run.kind, run.trigger, run.runner, run.options) == ("retrain", "http", "worker", {"epochs": 3})
    lose(conn, again)
    third = repeat_lost(conn, "u")
    assert third is not None
    lose(conn, third)
    assert repeat_lost(conn, "u") is None


@pytest.mark.parametrize(
    ("change", "value"),
    [("runner", "caller"), ("trigger", "first_model"), ("stop_requested", True),
     ("finished_at", datetime.now(UTC) - timedelta(hours=1))],
)  # fmt: skip
def test_a_lost_retrain_that_nobody_waits_for_is_left(
    conn: psycopg.Connection, change: LiteralString, value: object
) -> None:
    lose(conn, lifecycle.request_run(conn, "u", "retrain", "http", runner="worker"))
    conn.execute(f"UPDATE run SET {change} = %s", (value,))
    assert repeat_lost(conn, "u") is None
