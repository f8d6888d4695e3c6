"""Arguments and options that many commands share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from configs.spelling.near_names import meant

Name = Annotated[str, typer.Argument(metavar="USE_CASE", help="Name of a use case.")]
OptionalName = Annotated[
    str | None,
    typer.Argument(metavar="[USE_CASE]", help="Name of a use case; default: all.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
MOST_VERSION = 2**31 - 1
"""What the registry numbers versions up to."""
MOST_ROWS = 1_000_000
"""Rows that a list shows, at most."""
MOST_DAYS = 36_500
"""Days back from now that a command may be asked about."""
Version = Annotated[
    int | None,
    typer.Option("--version", min=1, max=MOST_VERSION, help="A version number; default: production."),
]


def not_one_of(came: str, allowed: Sequence[str], option: str) -> typer.BadParameter:
    """The complaint about a value that is none of those allowed."""
    return typer.BadParameter(
        f"got '{came:.80}'; allowed: {', '.join(allowed)}{meant(came, allowed)}", param_hint=option
    )
