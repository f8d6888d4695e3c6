"""Holding a run: others see at once that its holder lives, and at once when it is gone."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psycopg
import pytest

from flows.retrain import held_run as running
from flows.retrain.held_run import HeldRun, Life, holding_run
from store.errors import Fenced, RunBusy
from store.runs import lifecycle
from tests.poolers import needs_pgbouncer, running_pooler

USE_CASE = "apples"


def hold(database_url: str) -> str:
    """Hold a run and let others look when it has said nothing for long; gives what they did."""
    with (
        psycopg.connect(database_url, autocommit=True) as other,
        holding_run(
            database_url,
            USE_CASE,
            trigger="person",
            run_id=None,
            flow_run_id=None,
            on_progress=lambda _said: None,
        ),
    ):
        other.execute("UPDATE run SET heartbeat_at = now() - interval '10 seconds'")
        return "lost" if lifecycle.mark_lost(other, USE_CASE) else "held"


def stay_silent(held: HeldRun) -> None:
    """The heartbeat of a process that is held up."""
    held._done.wait()
    if held.life is not None:
        held.life.close()


def test_a_holder_that_cannot_beat_yet_is_not_taken_for_dead(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HeldRun, "beat_until_done", stay_silent)
    assert hold(database_url) == "held"


def test_a_holder_that_is_gone_is_seen_to_be(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def close_at_once(url: str, run_id: str) -> Life:
        life = show_life(url, run_id)
        life.close()
        return life

    show_life = running.show_life
    monkeypatch.setattr(running, "show_life", close_at_once)
    monkeypatch.setattr(HeldRun, "beat_until_done", stay_silent)
    with pytest.raises(Fenced):
        assert hold(database_url) == "lost"


def test_the_connection_closes_with_the_run(database_url: str) -> None:
    hold(database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        until = time.monotonic() + 10
        while conn.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchone():
            assert time.monotonic() < until


def test_a_new_step_is_told_at_once(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "BEAT_SECONDS", 3600.0)
    told: list[str] = []
    with (
        psycopg.connect(database_url, autocommit=True) as conn,
        holding_run(
            database_url, USE_CASE, trigger="person", run_id=None, flow_run_id=None, on_progress=print
        ) as held,
    ):
        for step in ("snapshot", "train", "gate"):
            held.say(step)
            until = time.monotonic() + 10
            while not told or told[-1] != step:
                assert time.monotonic() < until
                row = conn.execute("SELECT progress->>'step' FROM run").fetchone()
                told += row or ()
    assert list(dict.fromkeys(step for step in told if step)) == ["snapshot", "train", "gate"]


@needs_pgbouncer
def test_a_holder_outlasts_a_pooler_that_was_away(database_url: str, tmp_path: Path) -> None:
    """Whoever asks for a run as soon as the database answers is not to take the holder for dead."""
    with (
        running_pooler(database_url, tmp_path / "pooler") as pooler,
        holding_run(
            pooler.url, USE_CASE, trigger="person", run_id=None, flow_run_id=None, on_progress=lambda _: None
        ) as held,
    ):
        while held.life is None:
            time.sleep(0.05)
        pooler.kill()
        time.sleep(lifecycle.GONE_SECONDS + 1)
        pooler.start()
        with psycopg.connect(pooler.url) as other, pytest.raises(RunBusy):
            lifecycle.request_run(other, USE_CASE, "retrain", "person")
        assert not held.lost.is_set()
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT status FROM run").fetchall() == [("succeeded",)]


@needs_pgbouncer
def test_the_end_of_a_run_is_told_when_the_database_is_back(database_url: str, tmp_path: Path) -> None:
    with running_pooler(database_url, tmp_path / "pooler") as pooler:
        back = threading.Timer(3, pooler.start)
        with holding_run(
            pooler.url, USE_CASE, trigger="person", run_id=None, flow_run_id=None, on_progress=lambda _: None
        ):
            pooler.kill()
            back.start()
        back.join()
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT status FROM run").fetchall() == [("succeeded",)]
