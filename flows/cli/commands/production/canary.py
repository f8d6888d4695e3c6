"""Commands about what is tried on a share of the requests: canary show, start, end and promote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from configs.errors import ConfigError
from flows.cli.terminal.arguments import MOST_VERSION, Json, Name
from flows.cli.terminal.global_options import connected_settings, named_use_case, recalled_settings
from flows.cli.terminal.output import print_json, result_console
from flows.cli.terminal.person import person

if TYPE_CHECKING:
    import psycopg

    from configs.schema import UseCase
    from models.production.contract import RegistryClient

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the ledger.")]
ASKED = "asked for by a person"

group = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="A version that answers a share of the requests before it becomes production.\n\n"
    "Example: [bold]ratchet canary show loans[/bold]",
)


def show(use_case: Name, as_json: Json = False) -> None:
    """Tell what is tried, for whose requests, and what its labels say so far.

    Example: [bold]ratchet canary show loans[/bold]
    """
    from models.canary.standing import canary_facts

    with _opened(use_case) as (conn, _registry, _config):
        facts = canary_facts(conn, use_case)
    if as_json:
        print_json(None if facts is None else facts.as_dict())
    else:
        nothing = f"no version of '{use_case}' is tried as a canary now"
        result_console().print(nothing if facts is None else facts.sentence, highlight=False)


def start(
    use_case: Name,
    version: Annotated[int, typer.Argument(min=1, max=MOST_VERSION, help="Number of a version.")],
    share: Annotated[
        float | None, typer.Option("--share", metavar="SHARE", help="Of the keys: above 0, at most 0.5.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Field whose value says who answers.")] = None,
    labels: Annotated[
        int | None, typer.Option("--labels", min=1, help="Labels after which it becomes production.")
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option("--hours", metavar="HOURS", help="Hours, above 0, after which it becomes production."),
    ] = None,
    reason: Reason = ASKED,
    as_json: Json = False,
) -> None:
    """Try a version on a share of the requests; options not given are those of `serving.canary`.

    Example: [bold]ratchet canary start loans 7 --share 0.05 --key customer[/bold]
    """
    from models.canary.configured import configured
    from models.canary.moves import begin_canary
    from models.canary.standing import canary_facts

    given = {"share": share, "key": key, "labels": labels, "hours": hours}
    asked = {name: value for name, value in given.items() if value is not None}
    try:
        tried = configured(named_use_case(recalled_settings(), use_case), asked)
    except ConfigError as error:
        name, _, problem = str(error).partition(": ")
        if name not in asked:
            raise
        raise typer.BadParameter(problem, param_hint=f"'--{name}'") from error
    with _opened(use_case) as (conn, registry, _config):
        begin_canary(
            conn, registry, use_case,
            version=version, against=None, config=tried, actor=person(), reason=reason, evidence={},
        )  # fmt: skip
        facts = canary_facts(conn, use_case)
    assert facts is not None
    print_json(facts.as_dict()) if as_json else result_console().print(facts.sentence, highlight=False)


def end(use_case: Name, reason: Reason = ASKED, as_json: Json = False) -> None:
    """Have production answer every request again; the version stays registered.

    Example: [bold]ratchet canary end loans[/bold]
    """
    from models.canary.moves import end_canary

    with _opened(use_case) as (conn, registry, _config):
        tried = end_canary(conn, registry, use_case, actor=person(), reason=reason)
    _say(as_json, use_case, "ended", tried.version, f"version {tried.version} is tried no more")


def promote(use_case: Name, reason: Reason = ASKED, as_json: Json = False) -> None:
    """Make what is tried production now.

    Example: [bold]ratchet canary promote loans[/bold]
    """
    from models.canary.moves import promote_canary

    with _opened(use_case) as (conn, registry, _config):
        tried = promote_canary(conn, registry, use_case, actor=person(), reason=reason)
    _say(as_json, use_case, "promoted", tried.version, f"version {tried.version} is production")


@contextmanager
def _opened(use_case: str) -> Iterator[tuple[psycopg.Connection[Any], RegistryClient, UseCase]]:
    """The database, the registry, and the configuration of a use case."""
    settings = connected_settings(use_case, prefect=False)
    config = named_use_case(settings, use_case)
    from models.production.registry_rest import open_registry
    from store.database.connection import connect, database_url

    with connect(database_url(settings)) as conn:
        yield conn, open_registry(settings.mlflow_uri), config


def _say(as_json: bool, use_case: str, status: str, version: int, sentence: str) -> None:
    if as_json:
        print_json({"use_case": use_case, "status": status, "version": version})
    else:
        result_console().print(f"'{use_case}': {sentence}")


for _command in (show, start, end, promote):
    group.command()(_command)
