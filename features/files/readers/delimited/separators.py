"""What stands between values of a line, and how files and people name it; servers use it without pyarrow."""

from __future__ import annotations

import re

SEPARATORS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
"""Those that are found out, and what messages call them."""
_DECLARATION = re.compile(r'^"?sep=(.)"?[\r\n]*$', re.IGNORECASE)


def declared_separator(line: str) -> str | None:
    """The separator that a first line such as `sep=;` declares; None if it is none."""
    declaration = _DECLARATION.match(line)
    return None if declaration is None else declaration[1]


def name_of(separator: str) -> str:
    """A separator, for people."""
    return SEPARATORS.get(separator, f"'{separator}'")
