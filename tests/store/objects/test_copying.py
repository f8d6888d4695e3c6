"""What machines share, copied from a home to a storage: whole, once, and on from where it was cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest

from store.errors import StorageError
from store.objects.contract import Storage, StoredObject
from store.objects.copying import Copied, copy_all
from store.objects.folders import FolderStorage

FILES = {
    "mlflow/1/run/artifacts/model/weights.bin": b"w" * 3_000_000,
    "mlflow/1/run/artifacts/a name.txt": b"text",
    "snapshots/plans/abc.parquet": b"rows",
    "replay/plans/0123456789abcdef/replay.json": b"{}",
}
LEFT = {
    "mlflow/1/run/artifacts/.artifact.uploading.x": b"half",
    "snapshots/plans/.draft-x": b"half",
    "replay/plans/0123456789abcdef/fits/one.npz": b"a fit",
    "cache/models/plans/1/manifest.json": b"{}",
    "keys.yaml": b"hashes",
}


def quiet(_one: StoredObject, _number: int, _of: int) -> None:
    """Nobody looks."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, content in (FILES | LEFT).items():
        path = tmp_path / "home" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "home"


def copy(home: Path, storage: Storage) -> Copied:
    return copy_all(FolderStorage(home), storage, home / "notes.jsonl", quiet)


def test_what_machines_share_is_there_whole_and_all_else_stays(home: Path, storage: Storage) -> None:
    assert copy(home, storage) == Copied(4, sum(len(one) for one in FILES.values()), 0)
    assert {one.key: storage.get(one.key) for one in storage.list()} == FILES
    assert {name: (home / name).read_bytes() for name in FILES | LEFT} == FILES | LEFT


def test_once_more_it_copies_what_is_new_or_gone(home: Path, storage: Storage) -> None:
    copy(home, storage)
    assert copy(home, storage) == Copied(0, 0, 4)
    (home / "snapshots/plans/new.parquet").write_bytes(b"more")
    (home / "mlflow/1/run/artifacts/a name.txt").write_bytes(b"other")
    storage.delete("replay/plans/0123456789abcdef/replay.json")
    assert copy(home, storage) == Copied(3, 4 + 5 + 2, 2)
    assert storage.get("mlflow/1/run/artifacts/a name.txt") == b"other"


def test_cut_off_it_goes_on(home: Path, storage: Storage) -> None:
    class Cut(Exception):
        pass

    def cut(_one: StoredObject, number: int, _of: int) -> None:
        if number == 3:
            raise Cut

    with pytest.raises(Cut):
        copy_all(FolderStorage(home), storage, home / "notes.jsonl", cut)
    notes = home / "notes.jsonl"
    notes.write_text(notes.read_text() + '{"target": "half a li')
    assert len(list(storage.list())) == 2
    done = copy(home, storage)
    assert (done.objects, done.before) == (2, 2)
    assert {one.key: storage.get(one.key) for one in storage.list()} == FILES


def test_a_storage_that_gives_back_other_bytes_is_told(home: Path, tmp_path: Path) -> None:
    class Forgetful(FolderStorage):
        @contextmanager
        def open(self, key: str) -> Iterator[BinaryIO]:
            with super().open(key) as file:
                file.read(1)
                yield file

    (tmp_path / "there").mkdir()
    with pytest.raises(StorageError, match=r"gives back other bytes of 'mlflow/1/run/artifacts/a name.txt'"):
        copy(home, Forgetful(tmp_path / "there"))
    assert (home / "notes.jsonl").read_text() == ""


def test_a_table_opens_where_it_was_copied_to(home: Path, storage: Storage) -> None:
    deltalake = pytest.importorskip("deltalake")
    for number in range(3):
        deltalake.write_deltalake(str(home / "history/plans"), pa.table({"x": [number]}), mode="append")
    seen: list[str] = []
    copy_all(
        FolderStorage(home), storage, home / "notes.jsonl", lambda one, _number, _of: seen.append(one.key)
    )
    tables = [key for key in seen if key.startswith("history/")]
    logs = ["/_delta_log/" in key for key in tables]
    assert logs == sorted(logs), "what a log names comes before it"
    table = deltalake.DeltaTable(f"{storage.url}/history/plans", storage_options=storage.delta_options())
    assert sorted(pa.table(table.to_pyarrow_table())["x"].to_pylist()) == [0, 1, 2]
