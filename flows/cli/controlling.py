"""Commands by which a person steers: rollback."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.application import connected_settings, named_use_case
from flows.cli.output import print_json, result_console

Name = Annotated[str, typer.Argument(metavar="USE_CASE", help="Name of a use case.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the ledger.")]


def rollback(
    use_case: Name,
    to: Annotated[
        int | None,
        typer.Option("--to", min=1, metavar="V", help="A version; default: the one before."),
    ] = None,
    reason: Reason = "asked for by a person",
    as_json: Json = False,
) -> None:
    """Make an earlier version production again; every server swaps at once.

    Example: [bold]ratchet rollback plans --reason "wrong prices since noon"[/bold]
    """
    settings = connected_settings(prefect=False)
    named_use_case(settings, use_case)
    from dataclasses import asdict

    from features.database import connect, database_url
    from models.mlflow_rest import open_reader
    from models.rollback import roll_back

    with connect(database_url(settings)) as conn:
        registry = open_reader(settings.mlflow_uri)
        done = roll_back(conn, registry, use_case, to=to, actor=_person(), reason=reason)
    if as_json:
        print_json(asdict(done))
    else:
        result_console().print(
            f"'{use_case}' went back from version {done.from_version} to {done.to_version}"
        )


def _person() -> str:
    """Who is at the keyboard, for the ledger."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "person"


COMMANDS = (rollback,)
