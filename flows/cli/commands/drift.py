"""Command that compares records of today with those of training: drift."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flows.cli.terminal.arguments import Json, Name
from flows.cli.terminal.global_options import connected_settings, named_use_case
from flows.cli.terminal.output import print_json, progress_console, result_console, styled, table
from flows.cli.terminal.words import plain_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from store.runs.rows import Run

SURE = 0.0001
"""A smaller probability is not spelt out."""


def drift(use_case: Name, as_json: Json = False) -> None:
    """Compare recent records with what production learned from; retrain where that is due.

    Example: [bold]ratchet drift mails[/bold]
    """
    settings = connected_settings(use_case)
    config = named_use_case(settings, use_case)
    from flows.drift.repeating import repeat_drift

    report = repeat_drift(settings, config)
    console = progress_console()
    if report is not None:
        console.print("nothing has come since the last check, which holds still")
    else:
        with console.status(f"comparing recent records of '{use_case}'...") as status:
            from flows.launch import drift_now  # takes seconds

            report = drift_now(settings, use_case, on_retrain=_Telling(console, status).tell)
    if as_json:
        print_json(report)
    elif report is None:
        result_console().print(f"'{use_case}' has no production yet to compare with")
    else:
        print_drift(use_case, report)


class _Telling:
    """Says once which run retrains, and on a terminal how far it is."""

    def __init__(self, console: Console, status: Status) -> None:
        self._console = console
        self._status = status
        self._told: str | None = None

    def tell(self, run: Run) -> None:
        """Take how a retrain stands."""
        from flows.cli.terminal.progress import run_sentence

        if self._told != run.id:
            self._told = run.id
            self._console.print(f"a retrain is due: run {run.id}")
        self._status.update(f"retraining: {run_sentence(run.progress or {})}")


def print_drift(use_case: str, report: Mapping[str, Any]) -> None:
    """What moved, first in a sentence, then by part and by column.

    Args:
        report: as `models.drift.findings.DriftFindings.as_dict` has it.
    """
    from store.drift.told import parts_of, tell_check

    console = result_console()
    verdict = str(report["verdict"])
    parts = parts_of(report, verdict)
    console.print(styled(plain_words(verdict)), f" of '{use_case}': {tell_check(report, verdict)}", sep="")
    rows = [
        (name, plain_words(one), *_rows(_part(report, name)), _why(_part(report, name)))
        for name, one in parts.items()
    ]
    if any(name != "data" for name in parts):
        rows[0] = (*rows[0][:-1], _why_data(report))
    console.print(table("", ["part", "verdict", "recent rows", "learned from", "why"], rows))
    if moved := list(_columns(report, parts, drifted=True)):
        console.print(table("Moved", ["part", "column", "how far", "by chance", "what moved"], moved))
    if stayed := list(_columns(report, parts, drifted=False)):
        console.print(table("Not moved", ["part", "column", "how far", "by chance", "measured by"], stayed))
    for title, key in (("Certain as well", "remarks"), ("Not compared", "left_out")):
        told = [(name, *one) for name in parts for one in (_part(report, name).get(key) or {}).items()]
        if told:
            console.print(table(title, ["part", "column", "what" if key == "remarks" else "why"], told))
    if verdict == "drift" and not report.get("retrain", True):
        console.print("No retrain is started for that alone (drift.retrain_on)")


def _part(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return report if name == "data" else report.get(name) or {}


def _rows(part: Mapping[str, Any]) -> tuple[int | None, int | None]:
    return part.get("current_rows"), part.get("reference_rows")


def _why(part: Mapping[str, Any]) -> str:
    return str(part.get("reason") or "")


def _why_data(report: Mapping[str, Any]) -> str:
    """What was said of the data, which the reason of the whole tells beside the other parts."""
    told = _why(report).split("; answers: ")[0]
    return told.partition("data: ")[2] or told


def _columns(
    report: Mapping[str, Any], parts: Mapping[str, str], *, drifted: bool
) -> Iterator[tuple[str, str, str, str, str]]:
    """Columns that moved, or those that did not, as cells."""
    from store.drift.told import columns_of

    for name in parts:
        for column, one in sorted(columns_of(report, name).items()):
            if bool(one["drifted"]) == drifted:
                last = str(one.get("moved") or "") if drifted else plain_words(one["method"])
                yield name, column, f"{one['value']:.3f}", _chance(one.get("p_value")), last


def _chance(p_value: float | None) -> str:
    if p_value is None:
        return "–"
    return f"< {SURE}" if p_value < SURE else f"{p_value:.4f}"


COMMANDS = (drift,)
