"""Commands about stored rows that do not fit the configuration of today: recheck, relabel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from flows.cli.commands.labels.shown import print_reasons
from flows.cli.terminal.arguments import Json, Name
from flows.cli.terminal.opening import ALL_OR_NOTHING, GOES_ON, opened, repeatable
from flows.cli.terminal.output import facts, print_json, result_console

LOOK_FIRST = (
    "either all of it was done or nothing: look which labels there are before the same command, as it would "
    "change once more what it has made"
)
"""Of a chain (a=b, b=c) or an exchange."""


def recheck(
    use_case: Name,
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Move rows that do not fit to quarantine.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look over the stored rows: which do not fit the configuration of today, and why.

    Retrains leave them out in any case. In quarantine they can be tried again, exported or deleted.

    Example: [bold]ratchet recheck loans --set-aside[/bold]
    """
    from store.feedback.revisions.setting_aside import recheck_rows

    with opened(use_case) as (conn, config), repeatable(GOES_ON):
        report = recheck_rows(conn, config, move=set_aside)
    if as_json:
        print_json(report.as_dict())
        return
    console = result_console()
    console.print(
        facts({"rows": report.rows, "do not fit": report.misfits, "moved to quarantine": report.set_aside})
    )
    print_reasons(report.reasons)
    if report.set_aside:
        console.print(
            f"Values of retyped fields are converted where they can be: ratchet quarantine retry {use_case}"
        )
    elif report.misfits:
        console.print(f"To move them to quarantine: ratchet recheck {use_case} --set-aside")


def relabel(
    use_case: Name,
    renames: Annotated[
        list[str] | None, typer.Option("--map", metavar="OLD=NEW", help="Give rows another label.")
    ] = None,
    dropped: Annotated[
        list[str] | None, typer.Option("--drop", metavar="LABEL", help="Delete rows with this label.")
    ] = None,
    set_aside: Annotated[
        list[str] | None,
        typer.Option("--set-aside", metavar="LABEL", help="Move rows with this label to quarantine."),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option("--separator", metavar="TEXT", help="What stood between labels before, if another."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Change the labels of stored rows after classes were renamed, joined or removed.

    Options may be repeated. What rows were is kept: versions that learned from them can be reproduced.

    Example: [bold]ratchet relabel loans --map bad=default --drop unknown[/bold]
    """
    from store.feedback.revisions.relabelling import LabelChanges, relabel_rows

    changes = LabelChanges(_mapping(renames or []), dropped or [], set_aside or [], separator)
    if not (changes.renamed or dropped or set_aside or separator):
        raise typer.BadParameter("say what to change: --map, --drop, --set-aside or --separator")
    is_repeatable = changes.renamed.keys().isdisjoint(changes.renamed.values())
    with opened(use_case) as (conn, config), repeatable(ALL_OR_NOTHING if is_repeatable else LOOK_FIRST):
        report = relabel_rows(conn, config, changes)
    if as_json:
        print_json(report.as_dict())
        return
    console = result_console()
    console.print(
        facts(
            {
                "relabelled": report.relabelled,
                "deleted": report.dropped,
                "moved to quarantine": report.set_aside,
                "relabelled in quarantine": report.in_quarantine,
            }
        )
    )
    for label in report.unused:
        console.print(f"No stored row has the label '{label}'")
    if report.in_quarantine:
        console.print(f"To take up those in quarantine: ratchet quarantine retry {use_case}")


def _mapping(renames: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in renames:
        old, divider, new = text.partition("=")
        if not (old and divider and new):
            raise typer.BadParameter(f"got '{text}'; allowed: OLD=NEW", param_hint="--map")
        if pairs.setdefault(old, new) != new:
            raise typer.BadParameter(f"'{old}' is to become both '{pairs[old]}' and '{new}'; say one")
    return pairs


COMMANDS = (recheck, relabel)
