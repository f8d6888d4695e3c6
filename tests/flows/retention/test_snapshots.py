"""Which snapshots are the newest, where several are old enough to go."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from flows.retention.snapshots import old_snapshots


def test_one_of_before_the_clock_was_set_back_is_no_newer(conn: psycopg.Connection, tmp_path: Path) -> None:
    for batch, digest, hours in ((1, "first", 2), (2, "second", 2), (3, "third", 0), (3, "fourth", 1)):
        conn.execute(
            "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq,"
            " last_seq, history, created_at)"
            " VALUES (%s, 'u', '', 1, 1, 0, 1, 1, %s, now() + make_interval(hours => %s))",
            (digest, Jsonb({"batch": batch}), hours),
        )
    assert old_snapshots(conn, tmp_path, "u", 2, []) == ["second", "first"]
    assert old_snapshots(conn, tmp_path, "u", 1, ["first"]) == ["third", "second"]
