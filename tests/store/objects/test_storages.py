"""What every storage keeps to, whether it is a folder or a bucket."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store.errors import ObjectExists, ObjectMissing, StorageSilent, StorageUnavailable, WrongKey
from store.history.delta import open_table
from store.history.places import root_of, tables_of
from store.objects import s3_access
from store.objects.contract import Storage
from store.objects.opening import PROBE, probe_storage, storage_at
from store.objects.s3_access import KEPT_SECONDS, read_access


def test_what_is_put_is_there(storage: Storage, tmp_path: Path) -> None:
    storage.put("a/b.bin", b"one")
    (tmp_path / "file").write_bytes(b"two")
    storage.put("a/c/d.bin", tmp_path / "file")
    assert storage.get("a/b.bin") == b"one"
    storage.fetch("a/c/d.bin", tmp_path / "there" / "d.bin")
    assert (tmp_path / "there" / "d.bin").read_bytes() == b"two"
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["d.bin"]


def test_it_lists_what_is_below_a_folder_in_order(storage: Storage) -> None:
    for key in ("b/2", "b/10/x", "ab/1", "b.txt", "b/1"):
        storage.put(key, key.encode())
    listed = list(storage.list("b"))
    assert [one.key for one in listed] == ["b/1", "b/10/x", "b/2"]
    assert [one.size for one in listed] == [3, 6, 3]
    assert all(abs(one.changed - datetime.now(UTC)) < timedelta(minutes=10) for one in listed)
    assert sorted(one.key for one in storage.list()) == ["ab/1", "b.txt", "b/1", "b/10/x", "b/2"]
    assert list(storage.list("nothing")) == []


def test_a_put_replaces_unless_it_must_not(storage: Storage, tmp_path: Path) -> None:
    storage.put("key", b"one")
    storage.put("key", b"two")
    with pytest.raises(ObjectExists, match="'key'"):
        storage.put("key", b"three", replace=False)
    (tmp_path / "file").write_bytes(b"four")
    with pytest.raises(ObjectExists, match="'key'"):
        storage.put("key", tmp_path / "file", replace=False)
    assert storage.get("key") == b"two"
    storage.put("other", b"five", replace=False)
    assert storage.get("other") == b"five"


def test_of_several_that_must_not_replace_one_wins(storage: Storage) -> None:
    won: list[bytes] = []

    def put(content: bytes) -> None:
        try:
            storage.put("commit", content, replace=False)
        except ObjectExists:
            return
        won.append(content)

    threads = [threading.Thread(target=put, args=(bytes([number]),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [storage.get("commit")]


def test_what_is_deleted_is_gone_and_may_be_deleted_again(storage: Storage, tmp_path: Path) -> None:
    storage.put("a/b/c", b"one")
    storage.delete("a/b/c")
    storage.delete("a/b/c")
    assert list(storage.list()) == []
    for read in (storage.get, lambda key: storage.fetch(key, tmp_path / "x")):
        with pytest.raises(ObjectMissing, match="'a/b/c'"):
            read("a/b/c")
    with pytest.raises(ObjectMissing), storage.open("a/b/c"):
        pass
    assert not (tmp_path / "x").exists()


def test_a_source_that_cannot_be_read_leaves_nothing(storage: Storage, tmp_path: Path) -> None:
    storage.put("key", b"before")
    with pytest.raises(FileNotFoundError):
        storage.put("key", tmp_path / "missing")
    assert storage.get("key") == b"before"
    assert [one.key for one in storage.list()] == ["key"]


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/./b", "a/..", "a\nb", ".draft-x", "a\0"])
def test_a_key_that_is_none_is_refused(storage: Storage, key: str) -> None:
    for act in (storage.get, storage.delete, lambda key: storage.put(key, b"")):
        with pytest.raises(WrongKey, match="allowed: names parted by single slashes"):
            act(key)


def test_an_object_is_read_from_anywhere_and_by_arrow(storage: Storage, tmp_path: Path) -> None:
    table = pa.table({"x": list(range(1000)), "text": [f"row {number}" for number in range(1000)]})
    pq.write_table(table, tmp_path / "t.parquet")
    storage.put("tables/t.parquet", tmp_path / "t.parquet")
    with storage.open("tables/t.parquet") as file:
        assert pq.read_table(file).equals(table)
        file.seek(-4, 2)
        assert file.read() == b"PAR1"
    files, root = storage.filesystem()
    assert pq.read_table(f"{root}/tables/t.parquet", filesystem=files).equals(table)
    pq.write_table(table, f"{root}/tables/written.parquet", filesystem=files)
    assert "tables/written.parquet" in [one.key for one in storage.list("tables")]


def test_delta_tables_are_written_and_read(storage: Storage) -> None:
    deltalake = pytest.importorskip("deltalake")
    options, url = storage.delta_options(), f"{storage.url}/history/plans"
    for number in range(3):
        deltalake.write_deltalake(url, pa.table({"x": [number]}), mode="append", storage_options=options)
    table = deltalake.DeltaTable(url, storage_options=options)
    assert (table.version(), sorted(pa.table(table.to_pyarrow_table())["x"].to_pylist())) == (2, [0, 1, 2])
    assert any("_delta_log" in one.key for one in storage.list("history/plans"))


def test_delta_writers_at_once_lose_nothing(storage: Storage) -> None:
    deltalake = pytest.importorskip("deltalake")
    options, url = storage.delta_options(), f"{storage.url}/history/plans"
    deltalake.write_deltalake(url, pa.table({"x": [-1]}), storage_options=options)
    failed: list[Exception] = []

    def append(number: int) -> None:
        try:
            deltalake.write_deltalake(url, pa.table({"x": [number]}), mode="append", storage_options=options)
        except Exception as error:  # noqa: BLE001 - asserted below, whatever it is
            failed.append(error)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    rows = deltalake.DeltaTable(url, storage_options=options).to_pyarrow_table()["x"].to_pylist()
    assert sorted(rows) == [-1, 0, 1, 2, 3, 4, 5]


def test_a_look_leaves_nothing(storage: Storage) -> None:
    probe_storage(storage)
    assert list(storage.list(PROBE)) == []


def open_a_table(home: Path) -> None:
    root, options = root_of(home, "history")
    open_table(f"{root}/apples/one", options, "the table")


def name_tables(home: Path) -> None:
    tables_of(home, "apples")


@pytest.mark.timeout(60)
def test_a_look_waits_little_for_a_server_that_accepts_and_never_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_access, "LOOK_SECONDS", 0.5)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "one")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(StorageUnavailable, match="s3://models"):
            probe_storage(storage_at("s3://models"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("ask", [open_a_table, name_tables])
def test_tables_of_a_server_that_never_answers_are_waited_for_as_little(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ask: Callable[[Path], object]
) -> None:
    monkeypatch.setattr(s3_access, "LOOK_SECONDS", 0.5)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "one")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("RATCHET_STORAGE", "s3://models")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(StorageSilent, match="s3://models"):
            ask(tmp_path)


def test_a_client_is_made_again_for_other_variables_and_in_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "one")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    first = read_access().client()
    assert read_access().client() is first
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    second = read_access().client()
    assert second is not first
    assert second._get_credentials().token == "another"
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert read_access().client() is not second
    monkeypatch.undo()
    first, later = read_access().client(), time.monotonic() + KEPT_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    third = read_access().client()
    assert third is not first
    assert read_access().client() is third
