"""Snapshots of earlier releases: a file that says by its name what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from store.errors import SnapshotError
from store.snapshots.files import load_snapshot
from tests.store.snapshots.older import take_older
from tests.store.splits.test_taking import RECORDS, USE_CASE, store


def test_a_changed_file_is_refused(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    store(conn, RECORDS)
    path = take_older(conn, USE_CASE, tmp_path).path
    assert path.stat().st_mode & 0o777 == 0o400
    other = path.with_name("0" * 64 + ".parquet")
    path.rename(other)
    with pytest.raises(SnapshotError, match="it was changed"):
        load_snapshot(other)
    path.write_bytes(b"no parquet")
    with pytest.raises(SnapshotError, match="cannot be read"):
        load_snapshot(path)
    with pytest.raises(SnapshotError, match="cannot be read"):
        load_snapshot(tmp_path / "missing.parquet")
