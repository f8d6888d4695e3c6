"""Command that compares records of today with those of training: drift."""

from __future__ import annotations

from flows.cli.terminal.arguments import Json, Name
from flows.cli.terminal.global_options import connected_settings, named_use_case
from flows.cli.terminal.output import facts, print_json, progress_console, result_console, table


def drift(use_case: Name, as_json: Json = False) -> None:
    """Compare recent records with what production learned from; retrain where that is due.

    Example: [bold]ratchet drift mails[/bold]
    """
    settings = connected_settings(use_case)
    named_use_case(settings, use_case)
    from flows.launch import drift_now

    with progress_console().status("comparing records..."):
        report = drift_now(settings, use_case)
    if as_json:
        print_json(report)
    elif report is None:
        result_console().print(f"'{use_case}' has no production yet to compare with")
    else:
        beside = {name: report.pop(name, None) or {} for name in ("answers", "labels")}
        columns = dict(report.pop("columns", None) or {})
        for name, part in beside.items():
            columns |= {f"{name}: {column}": one for column, one in part.get("columns", {}).items()}
        left_out, remarks = report.pop("left_out", {}), report.pop("remarks", {})
        result_console().print(facts(report))
        if columns:
            rows = [(name, *one.values()) for name, one in columns.items()]
            heads = ["column", *next(iter(columns.values()))]
            result_console().print(table("", heads, rows))
        if remarks:
            result_console().print(table("", ["column", "certain beside"], list(remarks.items())))
        if left_out:
            result_console().print(table("", ["not compared", "why"], list(left_out.items())))


COMMANDS = (drift,)
