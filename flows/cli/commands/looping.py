"""Commands that turn the loop by hand, or tell of its turns: drift, ledger, runs, demo."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.application import connected_settings, named_use_case, settings_here
from flows.cli.arguments import Json, Name
from flows.cli.output import facts, plain, print_json, progress_console, result_console, table


def drift(use_case: Name, as_json: Json = False) -> None:
    """Compare recent records with what production learned from; retrain where that is due.

    Example: [bold]ratchet drift mails[/bold]
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


def ledger(
    use_case: Name,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most rows shown.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what moved production, or did not: from, to, when, who, and why; the newest first.

    Example: [bold]ratchet ledger mails[/bold]
    """
    from models.production.ledger import history
    from store.database.connection import connect, database_url

    settings = settings_here()
    named_use_case(settings, use_case)
    with connect(database_url(settings)) as conn:
        entries = history(conn, use_case, limit)
    if as_json:
        print_json([plain(entry) for entry in entries])
        return
    rows = [
        (f"{one.at:%Y-%m-%d %H:%M:%S}", one.event, one.from_version, one.to_version, one.actor, one.reason)
        for one in entries
    ]
    result_console().print(table("", ["at (UTC)", "event", "from", "to", "by", "reason"], rows))


def runs(
    use_case: Name,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most runs shown.")] = 20,
    as_json: Json = False,
) -> None:
    """Show past retrains: when, what asked for it, how long, and what it came to; the newest first.

    Example: [bold]ratchet runs mails[/bold]
    """
    from store.database.connection import connect, database_url
    from store.runs.rows import recent_runs

    settings = settings_here()
    named_use_case(settings, use_case)
    with connect(database_url(settings)) as conn:
        found = recent_runs(conn, use_case, limit)
    if as_json:
        print_json([plain(run) for run in found])
        return
    rows = []
    for run in found:
        result = run.result or {}
        ended = result.get("outcome") or run.status
        seconds = None if run.seconds is None else f"{run.seconds:.1f}"
        version, why = result.get("version"), run.error or result.get("reason")
        rows.append((f"{run.requested_at:%Y-%m-%d %H:%M:%S}", run.trigger, seconds, ended, version, why))
    result_console().print(
        table("", ["asked for at (UTC)", "by", "seconds", "end", "version", "reason"], rows)
    )


def demo() -> None:
    """Play one turn of the loop on a stream that drifts, from nothing to a promotion; takes minutes.

    Everything is real and lives in a folder of its own; all is stopped at the end.

    Example: [bold]ratchet demo[/bold]
    """
    settings = settings_here()
    from flows.demo.scenario import DemoFailed, run_demo

    try:
        run_demo(settings, result_console())
    except DemoFailed as error:
        progress_console().print(f"ratchet: the demo failed: {error}")
        raise typer.Exit(1) from error


COMMANDS = (drift, ledger, runs, demo)
