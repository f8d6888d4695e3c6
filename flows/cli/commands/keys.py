"""Commands about API keys: keys add, keys list, keys remove."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from configs.settings import read_settings
from flows.cli.terminal.arguments import Json, not_one_of
from flows.cli.terminal.output import print_json, progress_console, result_console, table

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")]

group = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="API keys of the service: who may do what. Servers notice changes within seconds.\n\n"
    "Example: [bold]ratchet keys add shop --scope predict[/bold]",
)


def add(
    name: KeyName,
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="read, predict, feedback, train or admin; may be repeated. Every key may read.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Make a key, print it once, and keep its hash.

    To rotate, add a key of another name, move the callers to it, and remove the old one.

    Example: [bold]ratchet keys add shop --scope predict --scope feedback[/bold]
    """
    from configs.api_keys import ALLOWED_NAME, NAME_FORM, SCOPES, add_key

    if re.match(NAME_FORM, name) is None:
        raise typer.BadParameter(f"got '{name[:80]}'; allowed: {ALLOWED_NAME}", param_hint="NAME")
    if unknown := [one for one in scope if one not in SCOPES]:
        raise not_one_of(unknown[0], SCOPES, "--scope")
    path = read_settings().api_keys
    token = add_key(path, name, scope)  # type: ignore[arg-type]  # they are among SCOPES
    if as_json:
        print_json({"name": name, "scopes": scope, "key": token, "file": str(path)})
    else:
        progress_console().print(f"Key '{name}' is in {path}; it is shown only now:")
        result_console().print(token)


def list_all(as_json: Json = False) -> None:
    """List the keys: names, scopes and when they were made.

    Example: [bold]ratchet keys list[/bold]
    """
    from configs.api_keys import read_keys

    path = read_settings().api_keys
    keys = read_keys(path)
    if as_json:
        print_json([key.model_dump(mode="json", exclude={"sha256"}) for key in keys])
    elif keys:
        rows = [(key.name, ", ".join(key.scopes), key.created_at) for key in keys]
        result_console().print(table(str(path), ("key", "scopes", "made"), rows))
    else:
        result_console().print(f"There are no keys in {path}")


def remove(name: KeyName, as_json: Json = False) -> None:
    """Forget a key: servers refuse it within seconds.

    Example: [bold]ratchet keys remove shop[/bold]
    """
    from configs.api_keys import remove_key

    path = read_settings().api_keys
    remove_key(path, name)
    if as_json:
        print_json({"removed": name, "file": str(path)})
    else:
        result_console().print(f"Key '{name}' is gone from {path}")


for _name, _command in (("add", add), ("list", list_all), ("remove", remove)):
    group.command(_name)(_command)
