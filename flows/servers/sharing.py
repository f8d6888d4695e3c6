"""The storage of a home: whether it can be used, and whether what was kept elsewhere before came along."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from configs.addresses.storage_url import folder_url, note_storage, noted_storage
from configs.settings import Settings
from models.production.ledger import use_cases_with_models
from store.database.connection import connect
from store.errors import ModelsElsewhere, StorageBehind, StorageUnavailable
from store.objects.contract import Storage
from store.objects.folders import FolderStorage
from store.objects.opening import open_storage, probe_storage, storage_at

ARTIFACTS = "mlflow"


def ensure_storage(settings: Settings, on_status: Callable[[str, str], None]) -> None:
    """See that the storage can be used, and note which it is; asked before anything is started.

    One that was used before and does not answer now is told, and no more: copies of versions go on serving.

    Raises:
        StorageError: it cannot be used; the message names the variable.
        StorageBehind: it has no artifacts, and where they were before has.
    """
    storage = open_storage(settings)
    known = noted_storage(settings.home) or folder_url(settings.home)
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
        note_storage(settings.home, settings.storage_url)


def ensure_models_here(settings: Settings) -> None:
    """See that models which a database of the user's own knows are not all where only another home has them.

    Raises:
        ModelsElsewhere: they are.
        DatabaseUnavailable: the database does not answer.
    """
    if settings.database_url is None or not settings.starts_mlflow:
        return
    with connect(settings.database_url) as conn:
        use_cases = use_cases_with_models(conn)
    if not use_cases:
        return
    storage = open_storage(settings).for_a_look()
    with suppress(StorageUnavailable):  # said already, and what is cached here serves
        if next(storage.list(ARTIFACTS), None) is None:
            raise ModelsElsewhere(storage.url, use_cases)


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
