"""What keeps a database from doing its work, told apart from a defect of ours by PostgreSQL's own codes."""

from __future__ import annotations

import psycopg
from psycopg import errors

from store.errors import DatabaseError

FAULTS: tuple[type[Exception], ...] = (
    DatabaseError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.InFailedSqlTransaction,
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.InsufficientPrivilege,
)
"""Errors that are due to the server, or to its tables; the same call may succeed later."""
REPEATED: tuple[type[Exception], ...] = (errors.SerializationFailure, errors.DeadlockDetected)
"""Of them, those after which the same work is done again at once."""
READ_ONLY = (
    "the database is read-only: nothing can be stored until it takes writes again (a replica after a "
    "failover, or default_transaction_read_only)"
)
_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (errors.ReadOnlySqlTransaction, READ_ONLY),
    (errors.AdminShutdown, "the database is restarting or was shut down"),
    (errors.CrashShutdown, "the database is recovering from a crash"),
    (errors.CannotConnectNow, "the database is starting or shutting down"),
    (errors.TooManyConnections, "the database has no connection left; raise its max_connections"),
    (errors.DiskFull, "the disk of the database is full"),
    (errors.OutOfMemory, "the database is out of memory"),
    (errors.LockNotAvailable, "a lock in the database was not free in time"),
    (errors.QueryCanceled, "the database took too long, or somebody cancelled the statement"),
    (errors.SerializationFailure, "others wrote the same rows of the database at the same time"),
    (errors.DeadlockDetected, "others wrote the same rows of the database at the same time"),
    (errors.IdleInTransactionSessionTimeout, "the database ended a session that waited too long"),
    (errors.UndefinedTable, "tables are missing, or of another release; `ratchet up` makes them"),
    (errors.UndefinedColumn, "the tables are of another release; `ratchet up` changes them"),
    (errors.InsufficientPrivilege, "the user of the database may not do this; grant it what it had"),
)


def is_read_only(error: BaseException) -> bool:
    """Whether a session refuses to write; a new session may be allowed to."""
    return isinstance(error, errors.ReadOnlySqlTransaction)


def sentence(error: BaseException) -> str:
    """What a fault means and, in brackets, what the server or the driver says, in one line."""
    said = " ".join(str(error).split())  # libpq writes lines, and indents them
    for kind, meaning in _SENTENCES:
        if isinstance(error, kind):
            return f"{meaning} ({said})"
    return said if isinstance(error, DatabaseError) else f"the database does not answer ({said})"
