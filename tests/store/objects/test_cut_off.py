"""An object store that goes away in the middle of a write: no row is lost, and none is there twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from deltalake import DeltaTable

from store.errors import HistoryDamaged, HistoryError
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.history import table as tables
from store.history.batches import add_batches
from store.history.places import table_of
from store.moved.moving import move_old
from store.moved.places import prediction_table
from tests.s3_servers import S3Server
from tests.store.history.test_cleaning import USE_CASE, fill, rows_of
from tests.store.moved import answers
from tests.store.objects.s3_proxies import Proxy, proxied


@pytest.fixture
def proxy(bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Before the server that `RATCHET_STORAGE` names."""
    with proxied(s3_server.endpoint) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", between.endpoint)
        monkeypatch.setenv("RATCHET_STORAGE", bucket)
        yield between


def is_commit(method: str, path: str) -> bool:
    return method == "PUT" and "/_delta_log/" in path


def is_file(method: str, path: str) -> bool:
    return method in ("PUT", "POST") and ".parquet" in path


WHEN = {
    "before a file is written": ("dies_before", is_file),
    "after a file was written": ("dies_after", is_file),
    "before the commit": ("dies_before", is_commit),
    "after the commit, before its answer": ("dies_after", is_commit),
}


@pytest.mark.parametrize(("dies", "when"), WHEN.values(), ids=WHEN)
@pytest.mark.parametrize("rows", ["first", "later"])
def test_labelled_rows(
    conn: psycopg.Connection[Any], tmp_path: Path, proxy: Proxy, dies: str, when: Any, rows: str
) -> None:
    if rows == "later":
        fill(conn, tmp_path, range(2))
    names = [f"i:{10 + place}" for place in range(3)]
    records = [json.dumps({"weight": place}) for place in range(3)]
    add_feedback(conn, USE_CASE.name, FeedbackBatch(names, records, ["ripe"] * 3, "test"))
    table, until = (
        table_of(tmp_path, USE_CASE.name, USE_CASE.record),
        add_batches(conn, USE_CASE.name, USE_CASE.record),
    )
    setattr(proxy, dies, when)
    with pytest.raises(HistoryError, match=r"s3://ratchet-") as told:
        table.fill(conn, until)
    assert not isinstance(told.value, HistoryDamaged)
    conn.rollback()
    proxy.heal()
    table.fill(conn, until)
    assert (rows_of(table), table.batches()) == (3 if rows == "first" else 9, until)


@pytest.mark.parametrize(("dies", "when"), WHEN.values(), ids=WHEN)
def test_predictions_that_move(
    conn: psycopg.Connection[Any], tmp_path: Path, proxy: Proxy, dies: str, when: Any
) -> None:
    def move() -> int:
        return move_old(conn, tmp_path, answers.USE_CASE, answers.NOW - timedelta(days=30))

    ids = answers.store_answers(conn, range(3), answers.NOW - timedelta(days=50))
    assert move() == 3
    ids += answers.store_answers(conn, range(4), answers.NOW - timedelta(days=40))
    setattr(proxy, dies, when)
    with pytest.raises(HistoryError, match=r"s3://ratchet-"):
        move()
    conn.rollback()
    proxy.heal()
    assert move() == 4
    assert answers.stored(conn) == []
    table = prediction_table(tmp_path, "plums", answers.RECORD)
    held = DeltaTable(table.uri, storage_options=dict(table.options)).to_pyarrow_table(columns=["id"])
    assert sorted(held["id"].to_pylist()) == sorted(ids)


@pytest.mark.parametrize(("dies", "when"), WHEN.values(), ids=WHEN)
def test_small_files_that_are_made_one(
    conn: psycopg.Connection[Any], tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch,
    dies: str, when: Any,
) -> None:  # fmt: skip
    table = fill(conn, tmp_path, range(4))
    monkeypatch.setattr(tables, "_SMALL_FILES", 3)
    setattr(proxy, dies, when)
    with pytest.raises(HistoryError, match=r"s3://ratchet-") as told:
        table.clean(conn)
    assert not isinstance(told.value, HistoryDamaged)
    conn.rollback()
    proxy.heal()
    table.clean(conn)
    assert rows_of(table) == 12
    assert len(table.files()) == 1


def test_an_answer_to_a_commit_that_is_lost_on_its_way(
    conn: psycopg.Connection[Any], tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client asks again, and is told that somebody has written that commit already."""
    table = fill(conn, tmp_path, range(4))
    add_feedback(conn, USE_CASE.name, FeedbackBatch(["i:20"], ['{"weight": 1}'], ["ripe"], "test"))
    until = add_batches(conn, USE_CASE.name, USE_CASE.record)
    conn.commit()

    def lose_one() -> None:
        proxy.lost, proxy.loses_answer = 0, is_commit

    lose_one()
    table.fill(conn, until)
    assert proxy.lost == 1
    assert rows_of(table) == 13
    monkeypatch.setattr(tables, "_SMALL_FILES", 3)
    lose_one()
    table.clean(conn)
    assert proxy.lost == 1
    assert rows_of(table) == 13
    ids = answers.store_answers(conn, range(4), answers.NOW - timedelta(days=40))
    lose_one()
    assert move_old(conn, tmp_path, answers.USE_CASE, answers.NOW - timedelta(days=30)) == 4
    assert proxy.lost == 1
    assert answers.stored(conn) == []
    moved = prediction_table(tmp_path, "plums", answers.RECORD)
    held = DeltaTable(moved.uri, storage_options=dict(moved.options)).to_pyarrow_table(columns=["id"])
    assert sorted(held["id"].to_pylist()) == sorted(ids)
