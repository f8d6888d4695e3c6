"""What commands print: results on stdout, progress on stderr, so that a pipe sees results only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def result_console() -> Console:
    """Where results go."""
    return Console(highlight=False, soft_wrap=True)


def progress_console() -> Console:
    """Where progress goes."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table of values as text; None shows as a dash."""
    made = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(escape(_text(value)) for value in row))
    return made


def facts(pairs: Mapping[str, Any]) -> Table:
    """Two columns without a frame: what, and its value."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        made.add_row(escape(name), escape(_text(value)))
    return made


def plain(value: Any) -> Any:
    """A dataclass or a pydantic model as plain values."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return asdict(value)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
