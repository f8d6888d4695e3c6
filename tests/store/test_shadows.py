"""Periods and the challengers that are kept of each."""

from __future__ import annotations

from typing import Any

import psycopg

from store.shadows import StoredShadow, add_period, kept_shadows, read_periods, read_shadows

Connection = psycopg.Connection[Any]


def end_period(
    conn: Connection, number: int, *challengers: str, keep: int = 3, use_case: str = "moods"
) -> None:
    add_period(
        conn,
        use_case,
        number,
        last_seq=100 * number,
        snapshot=f"snapshot {number}",
        run_id="00000000-0000-4000-8000-000000000001",
        evidence={"rows": number},
        shadows=[shadow(number, name) for name in challengers],
        keep=keep,
    )


def shadow(number: int, challenger: str) -> StoredShadow:
    return StoredShadow(number, challenger, number + 10, f"models:/m-{challenger}-{number}", "ab" * 32)


def test_what_is_written_is_read_oldest_first(conn: Connection) -> None:
    end_period(conn, 1, "full")
    end_period(conn, 2, "blend", "warm")
    end_period(conn, 1, "other", use_case="plans")
    periods = read_periods(conn, "moods")
    assert [(one.number, one.last_seq, one.snapshot, one.evidence) for one in periods] == [
        (1, 100, "snapshot 1", {"rows": 1}),
        (2, 200, "snapshot 2", {"rows": 2}),
    ]
    assert [one.number for one in read_periods(conn, "moods", newest=1)] == [2]
    assert read_shadows(conn, "moods") == [shadow(1, "full"), shadow(2, "blend"), shadow(2, "warm")]


def test_challengers_of_the_oldest_periods_are_let_go_and_what_they_were_worth_stays(
    conn: Connection,
) -> None:
    for number in range(1, 6):
        end_period(conn, number, "full")
    assert [one.number for one in read_shadows(conn, "moods")] == [3, 4, 5]
    assert len(read_periods(conn, "moods")) == 5


def test_fewer_are_scored_as_soon_as_fewer_are_to_be_kept(conn: Connection) -> None:
    assert kept_shadows(conn, "moods", 3) == []
    for number in range(1, 4):
        end_period(conn, number, "full", "warm")
    assert [one.number for one in kept_shadows(conn, "moods", 2)] == [2, 2, 3, 3]
    assert kept_shadows(conn, "moods", 0) == []


def test_a_period_is_written_once(conn: Connection) -> None:
    end_period(conn, 1, "full")
    end_period(conn, 1, "blend")
    assert read_shadows(conn, "moods") == [shadow(1, "full")]
