"""Commands about rows that were refused: quarantine list, retry, export and drop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.commands.labels.shown import print_reasons
from flows.cli.terminal.arguments import MOST_DAYS, MOST_ROWS, Json, Name
from flows.cli.terminal.asking import confirm
from flows.cli.terminal.opening import GOES_ON, opened, repeatable
from flows.cli.terminal.output import facts, print_json, result_console, table
from flows.cli.terminal.words import many

if TYPE_CHECKING:
    from store.quarantine.rows import QuarantinedRow, Selection

Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Rows whose reason has this text in it.")
]
Source = Annotated[
    str | None, typer.Option("--source", metavar="NAME", help="Rows of this file; `http`: of requests.")
]

group = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Rows that were refused: why, and what to do with them.\n\n"
    "Example: [bold]ratchet quarantine list loans[/bold]",
)


def list_rows(
    use_case: Name,
    rows: Annotated[bool, typer.Option("--rows", help="Show the rows too.")] = False,
    reason: Reason = None,
    source: Source = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_ROWS, help="Rows that --rows shows.")] = 20,
    as_json: Json = False,
) -> None:
    """Say why rows are in quarantine: each reason, how many rows have it, and a few examples.

    Example: [bold]ratchet quarantine list loans --rows --source loans.csv[/bold]
    """
    from store.quarantine.rows import count_reasons, count_rows, read_rows

    with opened(use_case) as (conn, _):
        selection = _selection(reason, source)
        count, reasons = count_rows(conn, use_case, selection), count_reasons(conn, use_case, selection)
        shown = read_rows(conn, use_case, selection, limit=limit) if rows else []
    if as_json:
        document = {"use_case": use_case, "rows": count, "reasons": [one.as_dict() for one in reasons]}
        print_json(document | ({"shown": [_plain(row) for row in shown]} if rows else {}))
        return
    console = result_console()
    console.print(f"{many(count, 'row')} in quarantine" if count else "Nothing is in quarantine")
    print_reasons(reasons)
    if rows:
        cells = [(row.source, row.line, row.reason, _content(row)) for row in shown]
        console.print(table("", ["source", "line", "reason", "row"], cells))
    if count:
        console.print(f"When configuration or file is mended: ratchet quarantine retry {use_case}")


def retry(use_case: Name, reason: Reason = None, source: Source = None, as_json: Json = False) -> None:
    """Read the rows again under the configuration of today; what is valid becomes feedback.

    Rows that stay get their reason of today.

    Example: [bold]ratchet quarantine retry loans[/bold]
    """
    from store.ingest.retrying import retry_rows

    with opened(use_case) as (conn, config), repeatable(GOES_ON):
        report = retry_rows(conn, config, _selection(reason, source))
    if as_json:
        print_json(report.as_dict())
        return
    result_console().print(
        facts(
            {
                "tried": report.tried,
                "new": report.new,
                "corrected": report.corrected,
                "duplicates": report.duplicates,
                "stale": report.stale,
                **({"outvoted": report.outvoted} if report.outvoted else {}),
                "still refused": report.refused,
                "cannot be tried": report.unreadable,
            }
        )
    )
    print_reasons(report.reasons)
    if report.unreadable:
        result_console().print(
            f"Lines that are no rows, and second rows of an id, have to be mended in a file: "
            f"ratchet quarantine export {use_case} FILE"
        )


def export(
    use_case: Name,
    file: Annotated[Path, typer.Argument(dir_okay=False, help="A new file: JSONL or CSV, by its name.")],
    reason: Reason = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Write the rows to a file as they arrived, to be mended and ingested again.

    Example: [bold]ratchet quarantine export loans refused.csv[/bold]
    """
    from flows.batch.quarantine_export import export_rows

    with opened(use_case) as (conn, config):
        report = export_rows(conn, config, _selection(reason, source), file)
    if as_json:
        print_json(report.as_dict())
        return
    console = result_console()
    console.print(
        f"{many(report.rows, 'row')} written to {report.file}" if report.rows else "No row is to be written"
    )
    if report.lines_file is not None:
        console.print(f"{many(report.lines, 'line')} of no row written to {report.lines_file}")
    if report.left:
        console.print(f"{many(report.left, 'item')} of requests in no file: no record is in them")
    console.print(f"Once they are mended and ingested: ratchet quarantine drop {use_case}")


def drop(
    use_case: Name,
    reason: Reason = None,
    source: Source = None,
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", metavar="DAYS", min=0, max=MOST_DAYS, help="Rows refused before."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete rows of quarantine for good; without an option all of them.

    Example: [bold]ratchet quarantine drop loans --source loans.csv --yes[/bold]
    """
    from store.quarantine.rows import count_rows, drop_rows

    before = None if older_than is None else datetime.now(UTC) - timedelta(days=older_than)
    with opened(use_case) as (conn, _):
        selection = _selection(reason, source, before)
        count = count_rows(conn, use_case, selection)
        conn.commit()
        if count and not yes:
            confirm(f"Delete {many(count, 'row')} of '{use_case}' for good?")
        with repeatable(GOES_ON):
            dropped = drop_rows(conn, use_case, selection)
    if as_json:
        print_json({"use_case": use_case, "dropped": dropped})
    else:
        result_console().print(f"{many(dropped, 'row')} deleted")


def _selection(reason: str | None, source: str | None, before: datetime | None = None) -> Selection:
    from store.quarantine.rows import Selection

    return Selection(reason, source, before)


def _plain(row: QuarantinedRow) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(row)


def _content(row: QuarantinedRow) -> str:
    import json

    is_line = row.kind == "text" and "line" in row.row
    text = row.row["line"] if is_line else json.dumps(row.row, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "..."


for _name, _command in (("list", list_rows), ("retry", retry), ("export", export), ("drop", drop)):
    group.command(_name)(_command)
