"""Where the tables of labelled rows are."""

from __future__ import annotations

from pathlib import Path

from configs.schema import RecordConfig
from store.history.layout import Layout
from store.history.table import HistoryTable, layout_of


def table_of(home: Path, use_case: str, record: RecordConfig) -> HistoryTable:
    """The table of a use case by one `record` section, whether it is there or not."""
    layout = Layout(record)
    return HistoryTable(use_case, layout, _uri(home, use_case, layout.name))


def table_named(home: Path, use_case: str, name: str) -> HistoryTable:
    """The table that is called so, of whatever `record` section.

    Raises:
        HistoryError: it is not there.
    """
    uri = _uri(home, use_case, name)
    return HistoryTable(use_case, layout_of(uri, {}), uri)


def tables_of(home: Path, use_case: str) -> list[str]:
    """Names of the tables that a use case has, of all `record` sections that it has had."""
    folder = home / "history" / use_case
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(one.name for one in found if (one / "_delta_log").is_dir())


def _uri(home: Path, use_case: str, name: str) -> str:
    return str(home / "history" / use_case / name)
