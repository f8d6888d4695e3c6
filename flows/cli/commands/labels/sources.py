"""Commands about who says what label rows have: sources list, hold and release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.terminal.arguments import Json, Name
from flows.cli.terminal.opening import opened
from flows.cli.terminal.output import print_json, result_console, table
from flows.cli.terminal.person import person

if TYPE_CHECKING:
    from store.sources.standings import SourceStanding, Told

Source = Annotated[
    str, typer.Argument(metavar="NAME", help="A source, or a key or door with all that it names.")
]
NOBODY = "No label has come yet"

group = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Who labels came from, how often they contradict each other, and which are held back.\n\n"
    "Example: [bold]ratchet sources list loans[/bold]",
)


def list_sources(use_case: Name, as_json: Json = False) -> None:
    """Count what each source says and how often it contradicts the others, and show which are held back.

    Example: [bold]ratchet sources list loans[/bold]
    """
    from store.sources.holding import settle_sources

    with opened(use_case) as (conn, config):
        sources = settle_sources(conn, config)
    _show(use_case, sources, as_json)


def hold(use_case: Name, name: Source, as_json: Json = False) -> None:
    """Hold a source back: its labels are kept, and neither decide nor are learned from or judged on.

    Example: [bold]ratchet sources hold loans shop[/bold]
    """
    _tell(use_case, name, "hold", as_json)


def release(use_case: Name, name: Source, as_json: Json = False) -> None:
    """Let a source count again, whatever the rules say; its labels are new labels for the next retrain.

    Example: [bold]ratchet sources release loans shop[/bold]
    """
    _tell(use_case, name, "release", as_json)


def _tell(use_case: str, name: str, told: Told, as_json: bool) -> None:
    from store.sources.holding import tell_source

    with opened(use_case) as (conn, config):
        sources = tell_source(conn, config, name, told, person())
    _show(use_case, sources, as_json)


def _show(use_case: str, sources: list[SourceStanding], as_json: bool) -> None:
    if as_json:
        print_json({"use_case": use_case, "sources": [one.as_dict() for one in sources]})
        return
    console = result_console()
    if not sources:
        console.print(NOBODY)
        return
    rows = [
        (one.name, one.labels, one.compared, one.contradicts, _share(one), _state(one)) for one in sources
    ]
    console.print(table("", ["source", "labels", "compared", "contradicts", "share", "counts"], rows))
    for one in sources:
        if one.held_since is not None:
            console.print(f"  {one.name}: {one.reason}; ratchet sources release {use_case} {one.name}")


def _share(one: SourceStanding) -> str:
    return "" if one.share is None else f"{one.share:.0%}"


def _state(one: SourceStanding) -> str:
    if one.held_since is not None:
        return f"held back since {one.held_since:%Y-%m-%d %H:%M}"
    return f"yes, {one.actor} said so" if one.told == "release" else "yes"


for _name, _command in (("list", list_sources), ("hold", hold), ("release", release)):
    group.command(_name)(_command)
