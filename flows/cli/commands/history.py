"""Commands that tell what became of versions and runs: ledger, runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.terminal.arguments import Json, Name
from flows.cli.terminal.global_options import named_use_case, settings_here
from flows.cli.terminal.output import plain, print_json, result_console, table

if TYPE_CHECKING:
    from store.runs.rows import Run


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
        recent = recent_runs(conn, use_case, limit)
    if as_json:
        print_json([plain(run) for run in recent])
        return
    heads = ["asked for at (UTC)", "by", "seconds", "end", "version", "reason"]
    result_console().print(table("", heads, [_run_cells(run) for run in recent]))


def _run_cells(run: Run) -> Sequence[Any]:
    result = run.result or {}
    end = result.get("outcome") or run.status
    seconds = None if run.seconds is None else f"{run.seconds:.1f}"
    version, reason = result.get("version"), run.error or result.get("reason")
    return f"{run.requested_at:%Y-%m-%d %H:%M:%S}", run.trigger, seconds, end, version, reason


COMMANDS = (ledger, runs)
