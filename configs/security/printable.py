"""Foreign text made safe for a terminal and a log: characters that steer a terminal are escaped."""

from __future__ import annotations

import re
from typing import Final

# Control characters but tab and line feed, marks that turn the direction of writing, halves of characters.
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""The text with what would move a cursor, colour a terminal or turn the writing around written out.

    >>> printable("\x1b[31mred\x1b[0m, 10 €")
    '\\x1b[31mred\\x1b[0m, 10 €'
    """
    return _CONTROL.sub(_escape, text)


def one_line(text: str) -> str:
    r"""The same, with line feeds written out too.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return printable(text).replace("\n", "\\n")


def _escape(match: re.Match[str]) -> str:
    return ascii(match.group())[1:-1]
