"""Where the tables of labelled rows are: in the home, or in the storage that machines share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from configs.schema import RecordConfig
from configs.settings import storage_url_of
from store.history.layout import Layout
from store.history.table import HistoryTable, layout_of
from store.objects.folders import FolderStorage
from store.objects.opening import storage_at

FOLDER = "history"


def table_of(home: Path, use_case: str, record: RecordConfig) -> HistoryTable:
    """The table of a use case by one `record` section, whether it is there or not."""
    layout = Layout(record)
    root, options = root_of(home, FOLDER)
    return HistoryTable(use_case, layout, f"{root}/{use_case}/{layout.name}", options)


def table_named(home: Path, use_case: str, name: str) -> HistoryTable:
    """The table that is called so, of whatever `record` section.

    Raises:
        HistoryError: it is not there.
    """
    root, options = root_of(home, FOLDER)
    uri = f"{root}/{use_case}/{name}"
    return HistoryTable(use_case, layout_of(uri, options), uri, options)


def tables_of(home: Path, use_case: str, kind: str = FOLDER) -> list[str]:
    """Names of the tables of a kind that a use case has, of all `record` sections that it has had.

    Raises:
        StorageError: the storage cannot be asked.
    """
    url = storage_url_of(home)
    if url is not None:
        found = storage_at(url).for_a_look().list(f"{kind}/{use_case}")
        return sorted({one.key.split("/")[2] for one in found if "/_delta_log/" in one.key})
    folder = home / kind / use_case
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(one.name for one in inside if (one / "_delta_log").is_dir())


def root_of(home: Path, folder: str) -> tuple[str, Mapping[str, str]]:
    """Where tables of a kind lie, and the options of their object store."""
    url = storage_url_of(home)
    if url is None:
        return str(home / folder), {}
    storage = storage_at(url)
    if isinstance(storage, FolderStorage):
        storage.ensure_folder()  # a mount that failed would be written on this machine
        return str(storage.folder / folder), {}
    return f"{storage.url}/{folder}", storage.delta_options()
