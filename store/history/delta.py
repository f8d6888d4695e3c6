"""What Delta tables of ours have in common: how they are opened, who may change them, and their faults."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from configs.schema import RecordConfig
from store.database.locks import lock_transaction
from store.errors import HistoryBusy, HistoryDamaged, HistoryError
from store.history.faults import is_of_place
from store.history.properties import set_properties
from store.objects.contract import StoredObject
from store.objects.opening import storage_at

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

log = logging.getLogger("ratchet.history")
LOG = "_delta_log"
OFTEN_SUMMED_UP = {"delta.checkpointInterval": "10"}
"""So many commits are summed up in one file; who opens the table reads those after it one by one."""
_WRITER = "ratchet"
"""Under which name a table says which batch it got last."""
_DECIDED = "ratchet decided at"
"""Under which name it says when that was decided, in microseconds since 1970."""
_JOINING = "ratchet.joining"
"""The property of a table that says who makes its small files one, or did so last."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def last_batch(table: DeltaTable | None, what: str) -> int:
    """The batch that a table got last; 0: none.

    Args:
        what: the table, as people call it.

    Raises:
        HistoryError: its log cannot be read, of which this asks anew.
    """
    return _told_of(table, _WRITER, what) or 0


def last_decided_at(table: DeltaTable | None, what: str) -> datetime | None:
    """When the last batch was decided that it got from a release that says so; None: it got none.

    Raises:
        HistoryError: as `last_batch`.
    """
    told = _told_of(table, _DECIDED, what)
    return None if told is None else _EPOCH + timedelta(microseconds=told)


def _told_of(table: DeltaTable | None, writer: str, what: str) -> int | None:
    if table is None:
        return None
    with Told(table.table_uri, what):
        return table.transaction_version(writer)


def append_batch(
    uri: str,
    options: Mapping[str, str],
    what: str,
    lines: pa.RecordBatchReader,
    *,
    batch: int,
    after: int,
    decided_at: datetime | None = None,
    **how: Any,
) -> None:
    """Write a batch whole or not at all; the table then says that it got it last.

    Args:
        options: of the object store.
        what: the table, as people call it.
        after: the batch that it got last, as the caller knows.
        decided_at: when the batch was, where that tells it from others of its number.
        how: the table is made, and files are written (`write_deltalake`).

    Raises:
        HistoryBusy: it got another batch meanwhile, or was deleted. Who loses the lock that keeps others
            away (its session ended) does not know, and must not write what another has written.
        HistoryError: it cannot be written.
    """
    table = open_table(uri, options, what) or _made(uri, options, what, lines.schema, how)
    if (held := last_batch(table, what)) != after:
        raise HistoryBusy(
            f"{what} at {uri} holds batch {held}, not {after}: another process has written to it"
        )
    says = [Transaction(_WRITER, batch)]
    if decided_at is not None:
        says.append(Transaction(_DECIDED, (decided_at - _EPOCH) // timedelta(microseconds=1)))
    try:
        with Told(uri, what):
            write_deltalake(
                table,  # against what came since it was opened Delta checks
                lines,
                mode="append",
                storage_options=dict(options),
                commit_properties=CommitProperties(app_transactions=says),
                **how,
            )
    except HistoryBusy:
        # Where the answer to the commit was lost on its way, what was asked for again met its own commit.
        if last_batch(open_table(uri, options, what), what) != batch:
            raise


def _made(
    uri: str, options: Mapping[str, str], what: str, schema: pa.Schema, how: Mapping[str, Any]
) -> DeltaTable:
    """A new table without lines, or the one that another process has made meanwhile.

    Of two that would begin it with a batch both would be committed: Delta checks nothing against a table that
    was not there.
    """
    try:
        with Told(uri, what):
            write_deltalake(uri, schema.empty_table(), mode="append", storage_options=dict(options), **how)
            # Not by `open_table`, which may know one that was there a moment ago by the same log.
            return DeltaTable(uri, storage_options=dict(options))
    except TableNotFoundError as error:
        raise HistoryBusy(f"{what} at {uri} was deleted by another process") from error


@contextmanager
def changing_alone(conn: psycopg.Connection[Any], name: str) -> Iterator[None]:
    """Nobody else appends to a table, makes its small files one or deletes it meanwhile.

    Who loses the lock, as its session ended, does not know: what it writes then has to be refused by Delta.
    Ends the caller's transaction.

    Args:
        name: of the table, which machines that share it agree on.
    """
    conn.commit()
    with conn.transaction():
        lock_transaction(conn, "history", name)
        yield


def join_files(table: DeltaTable, uri: str, options: Mapping[str, str], what: str, **how: Any) -> None:
    """Make small files one; where others change the table meanwhile, that is left to the next time.

    Of two that do so at once both would be committed, and each row be there twice: Delta as we have it sees
    no conflict in that, as no row changes. But it refuses who has not seen the table's properties as they
    are, so each writes itself down there first.

    Args:
        options: of the object store.
        what: the table, as people call it.
        how: which files, and how they are written (`TableOptimizer.compact`).

    Raises:
        HistoryError: it cannot be written.
    """
    own = uuid4().hex
    try:
        with Told(uri, what):
            set_properties(table, uri, options, {_JOINING: own})
            if table.metadata().configuration.get(_JOINING) == own:  # else another has begun behind us
                table.optimize.compact(**how)
    except HistoryBusy as busy:
        log.info("%s", busy)


def delete_table(uri: str) -> None:
    """Delete a table with all its files."""
    if "://" not in uri:
        shutil.rmtree(uri, ignore_errors=True)
        return
    storage = storage_at(uri)
    for one in storage.list():
        storage.delete(one.key)
    _opened.cache_clear()  # one that is made there within the same second has a log that looks the same


def open_table(uri: str, options: Mapping[str, str], what: str) -> DeltaTable | None:
    """The table at a place; None: there is none.

    Args:
        options: of the object store.
        what: the table, as people call it.

    Raises:
        HistoryError: it cannot be read.
        StorageError: the object store cannot be asked.
    """
    found = _open(uri, options, what)
    return None if found is None else found.table


def open_dataset(uri: str, options: Mapping[str, str], what: str) -> Dataset | None:
    """Its rows, for whoever reads Arrow's datasets; None: there is no such table. Raises as `open_table`."""
    found = _open(uri, options, what)
    with Told(uri, what):
        return None if found is None else found.dataset


@dataclass(frozen=True, eq=False)
class _Opened:
    table: DeltaTable

    @cached_property
    def dataset(self) -> Dataset:
        """Kept, so that what its files have is looked up once."""
        return self.table.to_pyarrow_dataset()


def _open(uri: str, options: Mapping[str, str], what: str) -> _Opened | None:
    try:
        with Told(uri, what):
            if "://" not in uri:
                return _Opened(DeltaTable(uri))
            # Who works with a table asks for its log first: a server that is silent is given up soon.
            commits = tuple(storage_at(uri).for_a_look().list(LOG))
            return _opened(uri, tuple(sorted(options.items())), commits)
    except TableNotFoundError:
        return None


@lru_cache(maxsize=8)
def _opened(uri: str, options: tuple[tuple[str, str], ...], _commits: tuple[StoredObject, ...]) -> _Opened:
    """A table in an object store is read again only when its log is not as it was (names, lengths, times)."""
    return _Opened(DeltaTable(uri, storage_options=dict(options)))


def is_summed_up_often(table: DeltaTable | None) -> bool:
    """Whether it was made with `OFTEN_SUMMED_UP`; one that is not there will be."""
    return table is None or OFTEN_SUMMED_UP.items() <= table.metadata().configuration.items()


def sum_up_often(table: DeltaTable | None, uri: str, options: Mapping[str, str]) -> None:
    """Have the log of a table of an earlier release summed up as often; nobody else changes it meanwhile."""
    if table is not None and not is_summed_up_often(table):
        set_properties(table, uri, options, OFTEN_SUMMED_UP)


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
        HistoryError: it cannot be used; `HistoryDamaged` where it is not what it was, `HistoryBusy` where
            another process has changed what was to be.
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
            raise _kind_of(error)(self._sentence(error)) from error

    def _sentence(self, error: BaseException) -> str:
        return f"{self._what} at {self._uri} cannot be used: {error}"


def _kind_of(error: BaseException) -> type[HistoryError]:
    if isinstance(error, OSError) or is_of_place(error):
        return HistoryError
    return HistoryBusy if isinstance(error, CommitFailedError) else HistoryDamaged
