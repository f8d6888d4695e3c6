"""A use case with its database while a command needs them, and what is said if a server goes away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flows.cli.terminal.global_options import named_use_case, settings_here

if TYPE_CHECKING:
    import psycopg

    from configs.schema import UseCase


STORED_ONCE = "what was stored is not stored twice: the same command goes on"
BEGINS_ANEW = "what was stored stays; the same command begins the run anew"
GOES_ON = "the same command goes on where it was cut off"
ALL_OR_NOTHING = "either all of it was done or nothing; the same command does what is left"


@contextmanager
def opened(use_case: str) -> Iterator[tuple[psycopg.Connection[Any], UseCase]]:
    """A connection to the database, and the configuration of a use case."""
    from store.database.connection import connect, database_url

    settings = settings_here()
    config = named_use_case(settings, use_case)
    with connect(database_url(settings)) as conn:
        yield conn, config


@contextmanager
def repeatable(again: str) -> Iterator[None]:
    """Tell what the same command does where a server that it needs goes away amid its work."""
    from flows.compute.errors import ComputeUnavailable, WorkLost
    from store.database.faults import FAULTS
    from store.errors import DatabaseUnavailable, StorageUnavailable

    away: tuple[type[Exception], ...] = (*FAULTS, StorageUnavailable, ComputeUnavailable, WorkLost)
    try:
        yield
    except DatabaseUnavailable:  # it says by itself what is to be done, and often before anything was
        raise
    except away as error:
        error.add_note(again)
        raise
