"""Commands that read labelled files: ingest, undersample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.commands.labels.shown import print_reasons
from flows.cli.terminal.arguments import Json, Name
from flows.cli.terminal.global_options import named_use_case, settings_here
from flows.cli.terminal.opening import STORED_ONCE, opened, repeatable
from flows.cli.terminal.output import facts, print_json, result_console, table

if TYPE_CHECKING:
    from store.ingest.report import IngestReport

SHOWN_LABELS = 20


def ingest(
    use_case: Name,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, JSONL or Parquet.")],
    as_json: Json = False,
) -> None:
    """Check the labelled rows of a file and store them; bad rows go to quarantine with line and reason.

    The same file again stores nothing twice; a corrected file corrects.

    Example: [bold]ratchet ingest mails mails.csv[/bold]
    """
    from flows.cli.terminal.progress import bar
    from store.ingest.files import ingest_file

    with opened(use_case) as (conn, config), repeatable(STORED_ONCE), bar(file.name) as progress:
        report = ingest_file(
            conn, config, file, progress=lambda now: progress.show(now.fraction, f"{now.rows:,} rows")
        )
    if as_json:
        print_json(report.as_dict())
        return
    quarantined = f"{report.quarantined} ({report.newly_quarantined} of them for the first time)"
    result_console().print(
        facts(
            {
                "rows": report.rows,
                "new": report.new,
                "corrected": report.corrected,
                "duplicates": report.duplicates,
                "stale": report.stale,
                **({"outvoted": report.outvoted} if report.outvoted else {}),
                "quarantined": quarantined if report.quarantined else 0,
                "out of quarantine": report.released,
                "seconds": report.seconds,
                **_readings(report),
                **({"beyond the fence": "; ".join(report.beyond_fence)} if report.beyond_fence else {}),
                **({"found": "; ".join(report.notes)} if report.notes else {}),
            }
        )
    )
    if report.quarantined:
        print_reasons(report.reasons)
        result_console().print(f"To see and mend them: ratchet quarantine list {use_case}")


def _readings(report: IngestReport) -> dict[str, str]:
    """How odd cells were read, where there were any."""
    missing = ", ".join(f"{cells} {marker or 'empty'!r}" for marker, cells in report.taken_as_missing.items())
    odd = (
        f"{report.trimmed} trimmed, {report.respelled} re-spelled"
        if report.trimmed + report.respelled
        else ""
    )
    lines = {"taken as missing": missing, "cells": odd}
    return {name: line for name, line in lines.items() if line}


def undersample(
    use_case: Name,
    source: Annotated[
        Path, typer.Argument(metavar="SRC", exists=True, dir_okay=False, help="CSV, JSONL, JSON or Parquet.")
    ],
    target: Annotated[Path, typer.Argument(metavar="DST", dir_okay=False, help="CSV, JSONL or Parquet.")],
    threshold: Annotated[
        int | None,
        typer.Option(
            "--threshold", min=1, help="Rows that a frequent label keeps; default: the median of all labels."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Leave out rows whose labels are all frequent; a row with a rare label always stays.

    Example: [bold]ratchet undersample mails mails.csv fewer.csv --threshold 200[/bold]
    """
    from features.files.undersample import undersample_file
    from flows.cli.terminal.progress import bar

    config = named_use_case(settings_here(), use_case)
    with bar(source.name) as progress:
        report = undersample_file(
            config,
            source,
            target,
            threshold,
            progress=lambda share, rows: progress.show(share, f"{rows:,} rows"),
        )
    if as_json:
        print_json(report.as_dict())
        return
    console = result_console()
    console.print(
        facts(
            {
                "rows": report.rows,
                "kept": report.kept,
                "without a valid label": report.refused,
                "threshold": report.threshold,
                "labels": len(report.before),
            }
        )
    )
    rows = [(name, count, report.after.get(name, 0)) for name, count in report.before.items()]
    console.print(table("", ["label", "before", "after"], rows[:SHOWN_LABELS]))
    if len(rows) > SHOWN_LABELS:
        console.print(f"and {len(rows) - SHOWN_LABELS} labels with fewer rows")


COMMANDS = (ingest, undersample)
