"""What commands print: results on stdout, progress on stderr, so that a pipe sees results only."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from configs.security.printable import printable

_ID = re.compile(r"(h:)?[0-9a-f-]{32,64}")
SIGNIFICANT, MOST_SIGNIFICANT = 4, 9
"""Digits of a float, and those of floats beside each other that would look the same."""
_BLANKS = re.compile(r" +(?=\n)")


class PlainConsole(Console):
    """Shows texts as they are: brackets are no markup, and nothing in a text steers the terminal."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def render_str(self, text: str, **options: Any) -> Text:
        """A text as lines on the screen."""
        return super().render_str(printable(text), **options)


class _ResultConsole(PlainConsole):
    """Leaves out the blanks that tables fill their lines with."""

    def print(self, *objects: Any, **options: Any) -> None:
        with self.capture() as shown:
            super().print(*objects, **options)
        self.file.write(_BLANKS.sub("", shown.get()))
        self.file.flush()


def result_console() -> Console:
    """Where results go."""
    return _ResultConsole()


def progress_console() -> Console:
    """Where progress goes."""
    return PlainConsole(stderr=True)


def styled(text: str, style: str = "bold") -> Text:
    """A text in a style such as `bold` or `red`."""
    return Text(printable(text), style=style)


def print_json(value: Any) -> None:
    """One JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table of values as text; None shows as a dash, and ids stay on one line, to be copied."""
    made = Table(title=title or None, title_justify="left", header_style="bold")
    cells = [[_text(value) for value in row] for row in rows]
    for place, column in enumerate(columns):
        ids = [len(row[place]) for row in cells if _ID.fullmatch(row[place])]
        made.add_column(column, overflow="fold", min_width=max(ids, default=None))
    for row in cells:
        made.add_row(*row)
    return made


def facts(pairs: Mapping[str, Any]) -> Table:
    """Two columns without a frame: what, and its value."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        made.add_row(name, _text(value))
    return made


def passages(pairs: Iterable[tuple[str, str | None]]) -> Table:
    """Heads, each with its text below it, which is as wide as the terminal is."""
    made = Table.grid()
    made.add_column(overflow="fold")
    for head, text in pairs:
        made.add_row(styled(head))
        if text:
            made.add_row(Padding(printable(text), (0, 0, 0, 2)))
    return made


def plain(value: Any) -> Any:
    """A dataclass or a pydantic model as plain values."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return asdict(value)


def apart(values: Sequence[Any]) -> list[str]:
    """Texts of values beside each other; of floats that differ as many digits as it takes to see it.

    >>> apart([0.76421, 0.76424, None]), apart([0.5, 0.25])
    (['0.76421', '0.76424', '–'], ['0.5', '0.25'])
    """
    different = {value for value in values if isinstance(value, float)}
    digits = next(
        (
            digits
            for digits in range(SIGNIFICANT, MOST_SIGNIFICANT + 1)
            if len({f"{value:.{digits}g}" for value in different}) == len(different)
        ),
        SIGNIFICANT,
    )
    return [_text(value, digits) for value in values]


def _text(value: Any, digits: int = SIGNIFICANT) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return str(value)
