"""Arguments and options that many commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="USE_CASE", help="Name of a use case.")]
OptionalName = Annotated[
    str | None,
    typer.Argument(metavar="[USE_CASE]", help="Name of a use case; default: all.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Version = Annotated[
    int | None, typer.Option("--version", min=1, help="A version number; default: production.")
]
