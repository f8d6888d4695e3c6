"""Files of snapshots in the storage that machines share: the home's own is a copy of what is there.

Which storage that is says the environment, as every process of a stack has it, or the home.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from configs.settings import storage_url_of
from store.errors import ObjectExists, ObjectMissing
from store.objects.contract import Storage
from store.objects.opening import storage_at

FOLDER = "snapshots"


def shared_storage(home: Path) -> Storage | None:
    """That of a home; None: snapshots are in the home alone."""
    url = storage_url_of(home)
    return None if url is None else storage_at(url)


def publish_snapshot(path: Path, use_case: str, *, replace: bool = False) -> None:
    """Have the storage hold a file of this home.

    Args:
        replace: what the storage has is damaged; otherwise the name says the content, and it stays.

    Raises:
        StorageError: it cannot be written there.
    """
    storage = shared_storage(_home_of(path))
    if storage is not None:
        try:
            storage.put(_key(use_case, path.stem), path, replace=replace)
        except ObjectExists:
            return


def fetch_snapshot(path: Path, use_case: str) -> bool:
    """Have this home hold a file of the storage; whether there is one.

    Raises:
        StorageError: the storage cannot be asked.
    """
    storage = shared_storage(_home_of(path))
    if storage is None:
        return False
    try:
        storage.fetch(_key(use_case, path.stem), path)
    except ObjectMissing:
        return False
    path.chmod(0o400)
    return True


def forget_shared(home: Path, use_case: str, digest: str) -> None:
    """Delete a snapshot's file from the storage; one that is gone is as it should be."""
    storage = shared_storage(home)
    if storage is not None:
        storage.delete(_key(use_case, digest))


def shared_digests(home: Path, use_case: str) -> Collection[str]:
    """Of snapshots whose files the storage has."""
    storage = shared_storage(home)
    listed = [] if storage is None else storage.list(f"{FOLDER}/{use_case}")
    return {Path(one.key).stem for one in listed}


def _home_of(path: Path) -> Path:
    """The home that has a file of a snapshot (`store.snapshots.files.snapshot_file`)."""
    return path.parents[2]


def _key(use_case: str, digest: str) -> str:
    return f"{FOLDER}/{use_case}/{digest}.parquet"
