"""The command about labels that should not have been given: forget-label."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.terminal.arguments import Json, Name
from flows.cli.terminal.asking import confirm
from flows.cli.terminal.opening import ALL_OR_NOTHING, opened, repeatable
from flows.cli.terminal.output import print_json, result_console, table
from flows.cli.terminal.person import person
from flows.cli.terminal.words import many

if TYPE_CHECKING:
    from store.feedback.revisions.taking_back import GivenLabel, LabelSelection, TakeBackReport

SHOWN = 20
Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Of a prediction, of a record, or `h:...` of a row without one."),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--source", metavar="NAME", help="Labels of a source, or of a key or door with its sources."
    ),
]
File = Annotated[
    str | None, typer.Option("--file", metavar="NAME", help="Labels of this file; `http`: of requests.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Labels that came from then on, in UTC.")
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Labels that came before, in UTC.")
]


def forget_label(
    use_case: Name,
    ids: Ids = None,
    source: Source = None,
    file: File = None,
    since: Since = None,
    until: Until = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept on record.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be taken back, and take nothing back.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Take labels back: kept on record with who, when and why, and counted nowhere from then on.

    Options narrow down what is meant. A new label of the same record and source counts again.

    Example: [bold]ratchet forget-label loans 01a1fe1e-7758-754b-870d-78d48fef5ac1 --reason typo[/bold]
    """
    from store.feedback.revisions.taking_back import LabelSelection

    if not (ids or source or file or since or until):
        raise typer.BadParameter("say which labels: an ID, --source, --file, --since or --until")
    if not dry_run and not (reason or "").strip():
        raise typer.BadParameter("say why, it is kept on record", param_hint="--reason")
    selection = LabelSelection(
        tuple(ids or ()), source, file, _moment("--since", since), _moment("--until", until)
    )
    _refuse_nul([*selection.ids, source, file, reason])
    report = _take_back(use_case, selection, None if dry_run else str(reason).strip(), ask=not yes)
    if as_json:
        print_json({"dry_run": dry_run, **report.as_dict()})
    else:
        _show(report, dry_run=dry_run)


def _take_back(use_case: str, selection: LabelSelection, reason: str | None, *, ask: bool) -> TakeBackReport:
    """Take back, or without a reason only look."""
    from store.feedback.revisions.taking_back import find_labels, take_back

    with opened(use_case) as (conn, _):
        found = find_labels(conn, use_case, selection)
        conn.commit()
        if reason is None or not found.taken_back:
            return found
        if ask:
            labels, rows = many(found.taken_back, "label"), many(found.rows, "row")
            confirm(f"Take back {labels} of {rows} of '{use_case}'?")
        with repeatable(ALL_OR_NOTHING):
            return take_back(conn, use_case, selection, actor=person(), reason=reason)


def _show(report: TakeBackReport, *, dry_run: bool) -> None:
    console = result_console()
    if report.taken_back:
        done = "would be taken back" if dry_run else "taken back"
        console.print(f"{many(report.taken_back, 'label')} of {many(report.rows, 'row')} {done}")
        console.print(table("", ["row", "label", "source", "came (UTC)"], _cells(report.labels)))
        if report.left:
            have = "has" if report.left == 1 else "have"
            console.print(f"{report.left:,} of the rows {have} labels of other sources, which decide")
    else:
        console.print("No label is to be taken back")
    for one in report.earlier[:SHOWN]:
        console.print(
            f"  {one.id}: '{one.label}' of {one.said_by} was taken back before, on "
            f"{one.taken_back_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} by {one.actor}"
            f"{f': {one.reason}' if one.reason else ''}"
        )
    if report.taken_back and not dry_run:
        told = "Versions that have learned from them answer until a retrain"
        console.print(f"{told}: ratchet retrain {report.use_case}")


def _cells(labels: Sequence[GivenLabel]) -> list[tuple[Any, ...]]:
    return [
        (one.id, one.label, one.said_by, f"{one.received_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}")
        for one in labels[:SHOWN]
    ]


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        allowed = "a date or a time (ISO 8601), as 2026-11-21 or 2026-11-21T15:06:39Z"
        raise typer.BadParameter(f"got '{text[:40]}'; allowed: {allowed}", param_hint=option) from None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _refuse_nul(texts: Sequence[str | None]) -> None:
    if any(text is not None and "\0" in text for text in texts):
        raise typer.BadParameter("got a text with a NUL in it, which no id, name or reason has")


COMMANDS = (forget_label,)
