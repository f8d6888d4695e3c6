"""Commands that turn the loop: ingest, drift, evaluate, export, ledger, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.application import connected_settings, named_use_case, settings_here
from flows.cli.output import facts, print_json, progress_console, result_console, table

Name = Annotated[str, typer.Argument(metavar="USE_CASE", help="Name of a use case.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def ingest(
    use_case: Name,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, JSONL or Parquet.")],
    as_json: Json = False,
) -> None:
    """Check the labelled rows of a file and store them; bad rows go to quarantine with line and reason.

    The same file again stores nothing twice; a corrected file corrects.

    Example: [bold]ratchet ingest plans customers.csv[/bold]
    """
    from features.database import connect, database_url
    from features.ingest import ingest_file
    from flows.cli.progress import bar

    settings = settings_here()
    config = named_use_case(settings, use_case)
    with connect(database_url(settings)) as conn, bar(file.name) as progress:
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
                "quarantined": quarantined if report.quarantined else 0,
                "seconds": report.seconds,
            }
        )
    )


def drift(use_case: Name, as_json: Json = False) -> None:
    """Compare recent records with what production learned from; retrain where that is due.

    Example: [bold]ratchet drift digits[/bold]
    """
    settings = connected_settings()
    named_use_case(settings, use_case)
    from flows.launch import drift_now

    with progress_console().status("comparing records..."):
        found = drift_now(settings, use_case)
    if as_json:
        print_json(found)
    elif found is None:
        result_console().print(f"'{use_case}' has no production yet to compare with")
    else:
        columns = found.pop("columns", {}) or {}
        result_console().print(facts(found))
        if columns:
            rows = [(name, *one.values()) for name, one in columns.items()]
            heads = ["column", *next(iter(columns.values()))]
            result_console().print(table("", heads, rows))


def evaluate(
    use_case: Name,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="A version number; default: production.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", exists=True, dir_okay=False, help="Labelled file; default: the version's held-out rows."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a version on rows that it has not learned from.

    Example: [bold]ratchet evaluate plans --data customers.csv[/bold]
    """
    settings = connected_settings(prefect=False)
    named_use_case(settings, use_case)
    from flows.evaluate import evaluate as evaluate_version

    with progress_console().status("evaluating..."):
        found = evaluate_version(settings, use_case, version=version, data=data)
    if as_json:
        print_json(found.as_dict())
        return
    console = result_console()
    console.print(f"'{use_case}' version {found.version} on {found.rows} rows of {found.source}")
    if found.refused_rows:
        console.print(f"{found.refused_rows} rows could not be used")
    console.print(facts(found.metrics))
    rows = [(name, *counts) for name, counts in zip(found.classes, found.confusion, strict=True)]
    console.print(table("Truth (rows) and answers (columns)", ["", *found.classes], rows))


def export(
    use_case: Name,
    directory: Annotated[Path, typer.Argument(help="A directory that does not exist yet.")],
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="A version number; default: production.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a version to a directory: model (ONNX where it can be), encoder, manifest, a probe.

    Example: [bold]ratchet export digits ./digits-model[/bold]
    """
    settings = connected_settings(prefect=False)
    named_use_case(settings, use_case)
    from flows.evaluate import export as export_version

    manifest = export_version(settings, use_case, directory, version=version)
    if as_json:
        print_json({"directory": str(directory.resolve()), "manifest": _plain(manifest)})
    else:
        result_console().print(f"'{use_case}' written to {directory}")


def ledger(
    use_case: Name,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most rows shown.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what moved production, or did not: from, to, when, who, and why; the newest first.

    Example: [bold]ratchet ledger plans[/bold]
    """
    from features.database import connect, database_url
    from models.ledger import history

    settings = settings_here()
    named_use_case(settings, use_case)
    with connect(database_url(settings)) as conn:
        entries = history(conn, use_case, limit)
    if as_json:
        print_json([_plain(entry) for entry in entries])
        return
    rows = [
        (f"{one.at:%Y-%m-%d %H:%M:%S}", one.event, one.from_version, one.to_version, one.actor, one.reason)
        for one in entries
    ]
    result_console().print(table("", ["at (UTC)", "event", "from", "to", "by", "reason"], rows))


def demo() -> None:
    """Play one turn of the loop on a stream that drifts, from nothing to a promotion; takes minutes.

    Everything is real and lives in a folder of its own; all is stopped at the end.

    Example: [bold]ratchet demo[/bold]
    """
    settings = settings_here()
    from flows.demo import DemoFailed, run_demo

    try:
        run_demo(settings, result_console())
    except DemoFailed as error:
        progress_console().print(f"ratchet: the demo failed: {error}", markup=False)
        raise typer.Exit(1) from error


def _plain(value: Any) -> Any:
    """A dataclass or a pydantic model as plain values."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    from dataclasses import asdict

    return asdict(value)


COMMANDS = (ingest, drift, evaluate, export, ledger, demo)
