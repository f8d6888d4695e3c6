"""The storage that the settings name, and a look at whether it can be used."""

from __future__ import annotations

from uuid import uuid4

from configs.addresses.storage_url import folder_of
from configs.settings import Settings
from store.errors import StorageRefused
from store.objects.contract import Storage
from store.objects.folders import FolderStorage
from store.objects.s3 import S3Storage
from store.objects.s3_access import read_access

PROBE = "probe"


def open_storage(settings: Settings) -> Storage:
    """The storage of `RATCHET_STORAGE`, or the home; nothing is asked of it yet.

    Raises:
        SettingError: a variable about it holds what it may not.
        StorageRefused: what it needs is not installed.
    """
    if settings.storage_url is None:
        return FolderStorage(settings.home)
    return storage_at(settings.storage_url)


def storage_at(url: str) -> Storage:
    """The storage at an address that was read (`configs.addresses.storage_url`); raises as `open_storage`."""
    if url.startswith("s3://"):
        return S3Storage(url, read_access())
    return FolderStorage(folder_of(url), is_shared=True)


def probe_storage(storage: Storage) -> None:
    """Write, list, read and delete an object of its own.

    Raises:
        StorageError: one of it cannot be done; the message says which variable is at fault.
    """
    storage = storage.for_a_look()
    key, content = f"{PROBE}/{uuid4().hex}", uuid4().bytes
    storage.put(key, content)
    try:
        if storage.get(key) != content:
            raise StorageRefused(storage.url, "it gives back other bytes than were written")
        if key not in [one.key for one in storage.list(PROBE)]:
            raise StorageRefused(storage.url, "it does not list what was written")
    finally:
        storage.delete(key)
