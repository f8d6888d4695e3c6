"""Commands that tell what became of versions and runs: ledger, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.terminal.arguments import MOST_ROWS, Json, Name
from flows.cli.terminal.opening import opened
from flows.cli.terminal.output import passages, plain, print_json, result_console
from flows.cli.terminal.words import asked_by

if TYPE_CHECKING:
    from models.production.ledger import Entry
    from store.runs.rows import Run


def ledger(
    use_case: Name,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_ROWS, help="Most rows shown.")] = 20,
    as_json: Json = False,
) -> None:
    """Show what moved production, or did not: from, to, when, who, and why; the newest first.

    Example: [bold]ratchet ledger mails[/bold]
    """
    from models.production.ledger import history

    with opened(use_case) as (conn, _):
        entries = history(conn, use_case, limit)
    if as_json:
        print_json([plain(entry) for entry in entries])
        return
    result_console().print(passages((_ledger_head(one), one.reason) for one in entries))


def runs(
    use_case: Name,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_ROWS, help="Most runs shown.")] = 20,
    as_json: Json = False,
) -> None:
    """Show past retrains: when, what asked for it, how long, and what it came to; the newest first.

    Example: [bold]ratchet runs mails[/bold]
    """
    from store.runs.rows import recent_runs

    with opened(use_case) as (conn, _):
        recent = recent_runs(conn, use_case, limit)
    if as_json:
        print_json([plain(run) for run in recent])
        return
    result_console().print(
        passages((_run_head(run), run.error or (run.result or {}).get("reason")) for run in recent)
    )


def _ledger_head(one: Entry) -> str:
    """When, what, and which versions; as `rejected, 3 against 2` or `promoted, 2 to 3`."""
    old, new = one.from_version, one.to_version
    if one.event in ("promoted", "rolled_back", "external", "intent", "linked"):
        versions = f"{old} to {new}"
    elif one.event == "canary_ended":  # from what was tried to what answers all
        versions = f"{old} against {new}"
    else:
        versions = f"{new} against {old}"
    if old is None or new is None:
        versions = "" if old is None and new is None else f"{old if new is None else new}"
    told = f"{one.event}{versions and f', version {versions}'}, by {asked_by(one.actor)}"
    return f"{one.at:%Y-%m-%d %H:%M:%S} UTC  {told}"


def _run_head(run: Run) -> str:
    """When, what it came to, how long it took, and what asked for it."""
    result = run.result or {}
    version = result.get("version")
    told = [
        result.get("outcome") or run.status,
        *([] if version is None else [f"version {version}"]),
        *([] if run.seconds is None else [f"{run.seconds:.1f} s"]),
        f"asked for by {asked_by(run.trigger)}",
        *([f"made by {result['compute']}"] if result.get("compute") else []),
    ]
    return f"{run.requested_at:%Y-%m-%d %H:%M:%S} UTC  {', '.join(map(str, told))}"


COMMANDS = (ledger, runs)
