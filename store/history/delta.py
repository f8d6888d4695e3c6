"""What Delta tables of ours have in common: how they are deleted, and how their faults are told."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from configs.schema import RecordConfig
from store.errors import HistoryDamaged, HistoryError
from store.history.faults import is_of_place
from store.objects.opening import storage_at


def delete_table(uri: str) -> None:
    """Delete a table with all its files."""
    if "://" not in uri:
        shutil.rmtree(uri, ignore_errors=True)
        return
    storage = storage_at(uri)
    for one in storage.list():
        storage.delete(one.key)


def open_table(uri: str, options: Mapping[str, str], what: str) -> DeltaTable | None:
    """The table at a place; None: there is none.

    Args:
        options: of the object store.
        what: the table, as people call it.

    Raises:
        HistoryError: it cannot be read.
    """
    with Told(uri, what):
        try:
            return DeltaTable(uri, storage_options=dict(options))
        except TableNotFoundError:
            return None


def described_record(uri: str, options: Mapping[str, str], what: str) -> RecordConfig:
    """The `record` section that a table was made for, as it says itself.

    Raises:
        HistoryError: there is no table, or it cannot be read.
    """
    table = open_table(uri, options, what)
    if table is None:
        raise HistoryError(f"there is no {what.removeprefix('the ')} at {uri}")
    with Told(uri, what):
        return RecordConfig.model_validate_json(table.metadata().description or "{}")


class Told:
    """What goes wrong with a table is told with its place; that there is none goes on as it is.

    Raises:
        HistoryError: it cannot be used; `HistoryDamaged` where it is not what it was.
    """

    def __init__(self, uri: str, what: str) -> None:
        """
        Args:
            what: the table, as people call it.
        """
        self._uri = uri
        self._what = what

    def __enter__(self) -> None:
        if "://" in self._uri:
            return
        try:
            Path(self._uri).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HistoryError(self._sentence(error)) from error

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TableNotFoundError) and kind is not None:
            return
        if isinstance(error, DeltaError | OSError | pa.ArrowInvalid):
            of_place = isinstance(error, OSError) or is_of_place(error)
            kind_of = HistoryError if of_place else HistoryDamaged
            raise kind_of(self._sentence(error)) from error

    def _sentence(self, error: BaseException) -> str:
        return f"{self._what} at {self._uri} cannot be used: {error}"
