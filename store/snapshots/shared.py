"""Files of snapshots in the storage that machines share: the home's own is a copy of what is there.

Which storage that is says the environment, as every process of a stack has it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from configs.settings import read_settings
from store.errors import ObjectExists, ObjectMissing
from store.objects.contract import Storage
from store.objects.opening import open_storage

FOLDER = "snapshots"


def shared_storage() -> Storage | None:
    """That of `RATCHET_STORAGE`; None: snapshots are in the home alone."""
    settings = read_settings()
    return None if settings.storage_url is None else open_storage(settings)


def publish_snapshot(path: Path, use_case: str, *, replace: bool = False) -> None:
    """Have the storage hold a file of this home.

    Args:
        replace: what the storage has is damaged; otherwise the name says the content, and it stays.

    Raises:
        StorageError: it cannot be written there.
    """
    storage = shared_storage()
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
    storage = shared_storage()
    if storage is None:
        return False
    try:
        storage.fetch(_key(use_case, path.stem), path)
    except ObjectMissing:
        return False
    path.chmod(0o400)
    return True


def forget_shared(digest: str, use_case: str) -> None:
    """Delete a snapshot's file from the storage; one that is gone is as it should be."""
    storage = shared_storage()
    if storage is not None:
        storage.delete(_key(use_case, digest))


def shared_digests(use_case: str) -> Collection[str]:
    """Of snapshots whose files the storage has."""
    storage = shared_storage()
    listed = [] if storage is None else storage.list(f"{FOLDER}/{use_case}")
    return {Path(one.key).stem for one in listed}


def _key(use_case: str, digest: str) -> str:
    return f"{FOLDER}/{use_case}/{digest}.parquet"
