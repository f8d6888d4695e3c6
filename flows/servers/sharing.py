"""The storage of a home: whether it can be used, and whether what was kept elsewhere before came along."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from configs.settings import Settings
from configs.storage_url import folder_url
from store.errors import StorageBehind, StorageUnavailable
from store.objects.contract import Storage
from store.objects.folders import FolderStorage
from store.objects.opening import open_storage, probe_storage, storage_at

ARTIFACTS = "mlflow"


def storage_file(home: Path) -> Path:
    """Where a home has the address of the storage that it was last started with."""
    return home / "storage.json"


def ensure_storage(settings: Settings, on_status: Callable[[str, str], None]) -> None:
    """See that the storage can be used, and note which it is; asked before anything is started.

    One that was used before and does not answer now is told, and no more: copies of versions go on serving.

    Raises:
        StorageError: it cannot be used; the message names the variable.
        StorageBehind: it has no artifacts, and where they were before has.
    """
    storage, known = open_storage(settings), known_storage(settings.home)
    if storage.is_shared:
        try:
            probe_storage(storage)
        except StorageUnavailable as error:
            if storage.url != known:
                raise
            on_status("storage", str(error))
            return
    if storage.url != known:
        _ensure_copied(settings.home, storage, known)
        _note(settings.home, storage)


def known_storage(home: Path) -> str:
    """Address of the storage that a home was last started with; its own folders, where none is noted."""
    try:
        return str(json.loads(storage_file(home).read_text(encoding="utf-8"))["url"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return folder_url(home)


def storage_before(home: Path, url: str) -> Storage:
    """The storage at an address that was noted."""
    return FolderStorage(home) if url == folder_url(home) else storage_at(url)


def _ensure_copied(home: Path, storage: Storage, known: str) -> None:
    if next(storage.list(ARTIFACTS), None) is not None:
        return
    before = storage_before(home, known)
    if next(before.list(ARTIFACTS), None) is not None:
        origin = "" if known == folder_url(home) else f" --from {known}"
        target = "" if storage.is_shared else f" --to {storage.url}"
        raise StorageBehind(storage.url, before.url, f"ratchet storage copy{origin}{target}")


def _note(home: Path, storage: Storage) -> None:
    file = storage_file(home)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(json.dumps({"url": storage.url}) + "\n", encoding="utf-8")
    draft.replace(file)
