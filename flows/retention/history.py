"""What goes of the history tables: rows that no snapshot holds, tables of no use, files left over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from configs.schema import UseCase
from flows.context import LoopContext
from store.history.batches import Numbers, has_gone
from store.history.kinds import IS_ANY_ROW
from store.history.places import table_named, table_of, tables_of
from store.history.table import HistoryTable
from store.snapshots.index import kept_rules

KEPT = timedelta(days=7)
"""How long a table stays after rows came to it last: a worker with another `record` section of the use case
may be about to read it, though no snapshot says so yet."""


@dataclass(frozen=True)
class Unneeded:
    """What nothing refers to any more."""

    tables: tuple[HistoryTable, ...]
    """Those of `record` sections that neither the configuration nor a snapshot has, and that nobody fills."""
    lines: tuple[tuple[HistoryTable, dict[int, Numbers]], ...]
    """Rows that are gone, of tables that stay: by batch, their numbers."""

    @property
    def rows(self) -> int:
        """How many rows of tables that stay."""
        return sum(len(numbers) for _, batches in self.lines for numbers in batches.values())


def find_unneeded(conn: psycopg.Connection[Any], context: LoopContext, now: datetime) -> Unneeded:
    """Look for what no snapshot that is kept holds.

    Args:
        now: the time by which tables are old.

    Raises:
        HistoryError: a table cannot be read.
    """
    use_case, home = context.use_case, context.settings.home
    kept: dict[str, set[int]] = {_current(use_case, context).layout.name: set()}
    for rule in kept_rules(conn, use_case.name):
        kept.setdefault(rule.table, set()).add(rule.batch)
    tables, lines = [], []
    may_have_gone = has_gone(conn, use_case.name)  # mostly none has, and no table need be read
    for name in tables_of(home, use_case.name):
        table = table_named(home, use_case.name, name)
        if name not in kept:
            if now - table.filled_at() > KEPT:
                tables.append(table)
        elif may_have_gone and (gone := _gone(table, kept[name], context)):
            lines.append((table, gone))
    return Unneeded(tuple(tables), tuple(lines))


def forget(unneeded: Unneeded, context: LoopContext) -> None:
    """Delete it for good.

    Raises:
        HistoryError: a table cannot be written.
    """
    for table in unneeded.tables:
        table.delete()
    if not unneeded.lines:
        return
    from store.history.forgetting import forget_rows  # of DuckDB, which takes a while to import

    for table, batches in unneeded.lines:
        forget_rows(table, batches, folder=context.settings.home / "work")


def clean(conn: psycopg.Connection[Any], context: LoopContext) -> int:
    """Make many small files one, and delete those that tables have not had for a while; returns how many.

    Ends the caller's transaction.

    Raises:
        HistoryError: a table cannot be written.
    """
    home, name = context.settings.home, context.use_case.name
    return sum(table_named(home, name, one).clean(conn) for one in tables_of(home, name))


def _current(use_case: UseCase, context: LoopContext) -> HistoryTable:
    return table_of(context.settings.home, use_case.name, use_case.record)


def _gone(table: HistoryTable, batches: set[int], context: LoopContext) -> dict[int, Numbers]:
    """Rows that stood in none of these batches, and do not stand now, by the batch that they came with."""
    from store.history.reading import HistoryReader  # of DuckDB, which takes a while to import

    with HistoryReader(table, folder=context.settings.home / "work") as reader:
        kept = reader.given({"n": np.array(sorted(batches), dtype=np.int64)})
        found = reader.arrow(
            f"SELECT batch, seq FROM lines l WHERE {IS_ANY_ROW} AND gone_in IS NOT NULL"
            f" AND NOT EXISTS (SELECT 1 FROM {kept} k WHERE k.n >= l.batch AND k.n < l.gone_in)"
        )
    found = found.sort_by([("batch", "ascending"), ("seq", "ascending")])
    numbers, begins = np.unique(found["batch"].to_numpy(), return_index=True)
    parts = np.split(found["seq"].to_numpy(), begins[1:])
    return dict(zip(numbers.tolist(), parts, strict=True)) if len(numbers) else {}
