"""Runs that nobody holds any more are asked for again, once, whoever looks."""

from __future__ import annotations

from typing import Any

import psycopg

from store.database.connection import connect
from store.runs.cut_off import CUT_OFF, ask_again, has_abandoned, held_flow_runs
from store.runs.lifecycle import MOST_LOST, request_run, request_stop, show_life, start_run
from store.runs.rows import find_run, recent_runs

NAME = "apples"


def begin(conn: psycopg.Connection[Any], trigger: str = "labels", **options: Any) -> str:
    run_id = request_run(conn, NAME, "retrain", trigger, options=options)
    start_run(conn, run_id)
    return run_id


def statuses(conn: psycopg.Connection[Any]) -> list[str]:
    return [run.status for run in recent_runs(conn, NAME, 20)][::-1]


def test_an_abandoned_run_is_asked_for_again_once(conn: psycopg.Connection[Any]) -> None:
    run_id = begin(conn, epochs=3)
    assert has_abandoned(conn, [NAME])
    (again,) = ask_again(conn, [NAME], gone_seconds=0)
    assert ask_again(conn, [NAME], gone_seconds=0) == {}
    assert not has_abandoned(conn, [NAME])
    first, second = find_run(conn, run_id), find_run(conn, again)
    assert first is not None and second is not None
    assert (first.status, first.error) == ("lost", CUT_OFF)
    assert (second.status, second.trigger, second.runner) == ("queued", "labels", "worker")
    assert second.options == {"epochs": 3}


def test_one_that_is_held_goes_on(conn: psycopg.Connection[Any], database_url: str) -> None:
    run_id = begin(conn)
    with connect(database_url, autocommit=True) as holder:
        show_life(holder, run_id)
        assert not has_abandoned(conn, [NAME])
        assert ask_again(conn, [NAME], gone_seconds=0) == {}
    assert statuses(conn) == ["running"]


def test_one_whose_holder_may_come_back_is_left_for_some_seconds(conn: psycopg.Connection[Any]) -> None:
    begin(conn)
    assert ask_again(conn, [NAME]) == {}
    assert statuses(conn) == ["running"]


def test_one_that_was_to_stop_is_stopped(conn: psycopg.Connection[Any]) -> None:
    request_stop(conn, begin(conn))
    assert ask_again(conn, [NAME], gone_seconds=0) == {}
    assert statuses(conn) == ["stopped"]


def test_a_first_model_is_left_to_up_which_trains_it_anyway(conn: psycopg.Connection[Any]) -> None:
    begin(conn, trigger="first_model")
    assert ask_again(conn, [NAME], gone_seconds=0) == {}
    assert statuses(conn) == ["lost"]


def test_what_is_lost_again_and_again_is_given_up(conn: psycopg.Connection[Any]) -> None:
    run_id = begin(conn)
    for _ in range(MOST_LOST - 1):
        (run_id,) = ask_again(conn, [NAME], gone_seconds=0)
        start_run(conn, run_id)
    assert ask_again(conn, [NAME], gone_seconds=0) == {}
    assert statuses(conn) == ["lost"] * MOST_LOST


def test_flow_runs_that_are_held_anywhere_are_known(conn: psycopg.Connection[Any], database_url: str) -> None:
    run_id = request_run(conn, NAME, "retrain", "labels")
    start_run(conn, run_id, "flow-1")
    assert held_flow_runs(conn) == frozenset()
    with connect(database_url, autocommit=True) as holder:
        show_life(holder, run_id)
        assert held_flow_runs(conn) == {"flow-1"}
