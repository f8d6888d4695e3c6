"""What processes of several servers say, read as one line a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from store.service_replicas import (
    FORGET_SECONDS,
    SILENT_SECONDS,
    State,
    beat,
    forget,
    forget_gone,
    not_heard_since,
    read_replicas,
    server_name,
)

BEGAN = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)


def tell(
    conn: psycopg.Connection, server: str, pid: int, version: int | None, state: State = "serving"
) -> None:
    since = BEGAN + timedelta(minutes=pid)
    serving = {} if version is None else {"plans": (version, since)}
    beat(conn, server, pid, address=f"{server}:3000", started_at=BEGAN, state=state, serving=serving)


def age(conn: psycopg.Connection, server: str, seconds: float) -> None:
    conn.execute(
        "UPDATE service_process SET seen_at = seen_at - make_interval(secs => %s) WHERE server = %s",
        (seconds, server),
    )


def test_each_server_is_one_with_all_that_its_processes_serve(conn: psycopg.Connection) -> None:
    tell(conn, "b", 1, 3)
    tell(conn, "a", 2, 3)
    tell(conn, "a", 7, 4)
    one, other = read_replicas(conn)
    assert (one.address, one.state, one.processes) == ("a:3000", "serving", 2)
    assert one.serving["plans"].versions == (3, 4)
    assert one.serving["plans"].since == BEGAN + timedelta(minutes=7)
    assert (other.address, other.serving["plans"].versions) == ("b:3000", (3,))


def test_a_process_tells_anew_in_its_own_place(conn: psycopg.Connection) -> None:
    tell(conn, "a", 1, None)
    assert read_replicas(conn)[0].serving == {}
    tell(conn, "a", 1, 5, "draining")
    (one,) = read_replicas(conn)
    assert (one.state, one.processes, one.serving["plans"].versions) == ("draining", 1, (5,))


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(SILENT_SECONDS - 3, "serving"), (SILENT_SECONDS + 1, "silent"), (-SILENT_SECONDS - 3, "silent")],
)
def test_without_a_beat_it_is_silent(conn: psycopg.Connection, seconds: float, state: State) -> None:
    tell(conn, "a", 1, 1)
    age(conn, "a", seconds)
    assert read_replicas(conn)[0].state == state


def test_a_killed_process_of_a_server_that_is_heard_is_left_out(conn: psycopg.Connection) -> None:
    tell(conn, "a", 1, 1)
    age(conn, "a", SILENT_SECONDS + 1)
    tell(conn, "a", 2, 2)
    (one,) = read_replicas(conn)
    assert (one.state, one.processes, one.serving["plans"].versions) == ("serving", 1, (2,))


def test_what_is_gone_is_forgotten_at_a_start_and_what_is_long_silent(conn: psycopg.Connection) -> None:
    for server, pid in (("a", 1), ("a", 2), ("b", 1), ("c", 1)):
        tell(conn, server, pid, 1)
    age(conn, "c", FORGET_SECONDS + 1)
    tell(conn, "d", 1, 1)
    age(conn, "d", -FORGET_SECONDS - 60)  # the clock was set back since
    forget_gone(conn, "a", [2])
    assert {(one.server, one.processes) for one in read_replicas(conn)} == {("a", 1), ("b", 1)}
    forget(conn, "b", 1)
    assert [one.server for one in read_replicas(conn)] == ["a"]


def test_who_was_not_heard_since_a_moment_is_known(conn: psycopg.Connection) -> None:
    tell(conn, "a", 1, 1)
    tell(conn, "b", 1, 1)
    now = datetime.now(UTC)
    assert not_heard_since(conn, now - timedelta(seconds=30)) is None
    age(conn, "b", 60)
    last = not_heard_since(conn, now - timedelta(seconds=30))
    assert last is not None
    assert abs(last - (now - timedelta(seconds=60))) < timedelta(seconds=5)


def test_a_home_keeps_its_name_and_no_other_has_it(tmp_path: Path) -> None:
    first = server_name(tmp_path / "one")
    assert server_name(tmp_path / "one") == first
    assert server_name(tmp_path / "two") != first
