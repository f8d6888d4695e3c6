"""A use case with its database, for as long as a command needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flows.cli.terminal.global_options import named_use_case, settings_here

if TYPE_CHECKING:
    import psycopg

    from configs.schema import UseCase


@contextmanager
def opened(use_case: str) -> Iterator[tuple[psycopg.Connection[Any], UseCase]]:
    """A connection to the database, and the configuration of a use case."""
    from store.database.connection import connect, database_url

    settings = settings_here()
    config = named_use_case(settings, use_case)
    with connect(database_url(settings)) as conn:
        yield conn, config
