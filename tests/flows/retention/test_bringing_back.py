"""The worker hears what is asked for, or looks; what is wrong with a table ends nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.settings import Settings, read_settings
from flows.retention import bringing_back as module
from flows.retention.bringing_back import bring_back_asked
from store.moved import asking
from store.moved.asking import ask_back, find_or_bring_back
from store.moved.moving import move_old
from store.moved.places import prediction_table
from tests.flows.retention.bringing import bringing_back
from tests.poolers import needs_pgbouncer, pooled
from tests.store.moved.answers import NOW, USE_CASE, store_answers, stored


@pytest.fixture
def ids(conn: psycopg.Connection[Any], tmp_path: Path) -> list[str]:
    """Of predictions in the table of the home."""
    made = store_answers(conn, range(1, 5), NOW - timedelta(days=40))
    assert move_old(conn, tmp_path / "home", USE_CASE, NOW - timedelta(days=30)) == 4
    return made


@pytest.fixture(params=["server", pytest.param("pooler", marks=needs_pgbouncer)])
def address(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[str]:
    """Of the database, by a way on which notices come, and by one on which they do not."""
    way = (
        pooled(database_url, tmp_path / "pooler") if request.param == "pooler" else nullcontext(database_url)
    )
    with way as url:
        yield url


def settings_of(url: str, tmp_path: Path) -> Settings:
    return read_settings({"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_DATABASE_URL": url})


def test_what_is_asked_for_comes_back_at_once(
    conn: psycopg.Connection[Any],
    address: str,
    tmp_path: Path,
    ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With no look in between: who hears nothing would answer in an hour."""
    monkeypatch.setattr(module, "POLL_SECONDS", 3600.0)
    monkeypatch.setattr(asking, "WAIT_SECONDS", 60.0)
    with bringing_back(settings_of(address, tmp_path), ["plums"]):
        for one in ids:
            assert find_or_bring_back(conn, "plums", [one]).keys() == {one}
    assert [row["id"] for row in stored(conn)] == sorted(ids)


def test_a_folder_that_may_not_be_touched_is_told(
    conn: psycopg.Connection[Any],
    database_url: str,
    tmp_path: Path,
    ids: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder, look = tmp_path / "home" / "predictions" / "plums", Path.iterdir

    def denied(path: Path) -> Iterator[Path]:
        if path == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    ask_back(conn, ids)
    conn.commit()
    settings = settings_of(database_url, tmp_path)
    with pytest.MonkeyPatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(Path, "iterdir", denied)
        bring_back_asked(settings, ["plums"])
    assert f"cannot be brought back: [Errno 13] Permission denied: '{folder}'" in caplog.text
    bring_back_asked(settings, ["plums"])
    assert len(stored(conn)) == 4


def test_a_table_that_cannot_be_read_is_told(
    conn: psycopg.Connection[Any],
    database_url: str,
    tmp_path: Path,
    ids: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = prediction_table(tmp_path / "home", "plums", USE_CASE.record)
    files = {file: file.read_bytes() for file in Path(table.uri).rglob("*.parquet")}
    for file in files:
        file.unlink()
    ask_back(conn, ids)
    conn.commit()
    settings = settings_of(database_url, tmp_path)
    with caplog.at_level(logging.WARNING):
        bring_back_asked(settings, ["plums"])
    assert "cannot be brought back: the table of predictions at" in caplog.text
    for file, content in files.items():
        file.write_bytes(content)
    bring_back_asked(settings, ["plums"])
    assert len(stored(conn)) == 4
