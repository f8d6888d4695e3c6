"""Command that deletes what is old: prune."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.terminal.arguments import Json
from flows.cli.terminal.global_options import connected_settings, named_use_case
from flows.cli.terminal.opening import GOES_ON, repeatable
from flows.cli.terminal.output import print_json, result_console, table

if TYPE_CHECKING:
    from flows.retention.pruning import Removal


def prune(
    use_case: Annotated[
        str | None, typer.Argument(metavar="[USE_CASE]", help="Name of a use case; default: all.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete what `retention` does not keep, as happens by itself after each retrain and drift check.

    Example: [bold]ratchet prune mails --dry-run[/bold]
    """
    settings = connected_settings(use_case, prefect=False)
    from dataclasses import asdict
    from datetime import UTC, datetime

    from configs.loading import load_selected
    from flows.context import open_context
    from flows.retention.pruning import prune as prune_use_case

    if use_case is not None:
        named_use_case(settings, use_case)
    named = settings.use_cases if use_case is None else [use_case]
    names = load_selected(settings.config_dirs, named)
    with repeatable(GOES_ON):
        removed = {
            name: prune_use_case(open_context(name, settings), now=datetime.now(UTC), dry_run=dry_run)
            for name in sorted(names)
        }
    if as_json:
        plain = {
            name: None if one is None else [asdict(removal) for removal in one]
            for name, one in removed.items()
        }
        print_json(plain)
    else:
        _show(removed, dry_run=dry_run)


def _show(removed: Mapping[str, list[Removal] | None], *, dry_run: bool) -> None:
    """Tell what was deleted, by use case; None where another process is at it."""
    rows = [
        (
            name,
            removal.what,
            f"{removal.count:,}",
            "" if removal.size is None else f"{removal.size / 1e6:,.1f} MB",
        )
        for name, removals in removed.items()
        for removal in removals or ()
    ]
    console = result_console()
    for name in [name for name, removals in removed.items() if removals is None]:
        console.print(f"'{name}' is being pruned by another process")
    if rows:
        title = "would be deleted" if dry_run else "deleted"
        console.print(table(title, ["use case", "what", "how many", "size"], rows))
    else:
        console.print("nothing is old")


COMMANDS = (prune,)
