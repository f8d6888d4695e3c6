"""The same on a server of S3's protocol, which `RATCHET_STORAGE` names."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store.moved.asking import ask_back
from store.moved.bringing_back import bring_back
from store.moved.moving import move_old
from store.moved.places import prediction_tables
from store.moved.thinning import thin_old
from tests.store.moved.answers import NOW, USE_CASE, store_answers, stored

DAY = timedelta(days=1)


def test_machines_share_the_table(
    conn: psycopg.Connection[Any], tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_STORAGE", bucket)
    ids = [one for day in (60, 40) for one in store_answers(conn, range(5), NOW - day * DAY)]
    before = stored(conn)
    assert move_old(conn, tmp_path / "one", USE_CASE, NOW - 30 * DAY) == 10
    assert not (tmp_path / "one" / "predictions").exists()
    (table,) = prediction_tables(tmp_path / "two", "plums")
    assert table.uri.startswith("s3://")
    ask_back(conn, ids[:7])
    conn.commit()
    assert bring_back(conn, tmp_path / "two", ["plums"]) == 7
    assert stored(conn) == [row for row in before if row["id"] in ids[:7]]
    assert thin_old(conn, tmp_path / "two", "plums", NOW - 45 * DAY) == 5
    table.clean(conn, kept=timedelta(0))
    batches = conn.execute("SELECT batch FROM prediction_batch ORDER BY batch").fetchall()
    assert [len(table.times_of(batch)) for (batch,) in batches] == [0, 5]
