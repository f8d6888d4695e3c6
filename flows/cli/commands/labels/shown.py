"""What commands on labelled rows share: a use case with its database, and reasons as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flows.cli.terminal.global_options import named_use_case, settings_here
from flows.cli.terminal.output import result_console

if TYPE_CHECKING:
    import psycopg

    from configs.schema import UseCase
    from store.quarantine.reasons import RefusedReason


def print_reasons(reasons: Sequence[RefusedReason], most: int = 20) -> None:
    """Each reason with its count and example, a line each."""
    console = result_console()
    for one in reasons[:most]:
        console.print(f"  {one.sentence}")
    if len(reasons) > most:
        console.print(f"  and {len(reasons) - most} more reasons")


@contextmanager
def opened(use_case: str) -> Iterator[tuple[psycopg.Connection[Any], UseCase]]:
    """The database and the configuration of a use case."""
    from store.database.connection import connect, database_url

    settings = settings_here()
    config = named_use_case(settings, use_case)
    with connect(database_url(settings)) as conn:
        yield conn, config
