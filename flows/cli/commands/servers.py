"""Commands about the servers: up, down, status, doctor."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from types import FrameType
from typing import Annotated, Any

import typer

from flows.cli.terminal.arguments import Json
from flows.cli.terminal.global_options import settings_here
from flows.cli.terminal.output import facts, print_json, progress_console, result_console, styled

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything is up.")] = False,
    as_json: Json = False,
) -> None:
    """Start PostgreSQL, MLflow, Prefect and its worker, and the service; train what has no model yet.

    Stays until Ctrl-C and then stops everything; with --detach it returns, and `ratchet down` stops it.
    What is up already is left alone.

    Example: [bold]ratchet up --detach[/bold]
    """
    from flows.stack.addresses import access_hints, addresses
    from flows.stack.starting import bring_up
    from flows.stack.stopping import bring_down
    from flows.stack.supervising import supervise

    settings = settings_here()
    _end_like_ctrl_c()
    progress = progress_console()

    def say(name: str, what: str) -> None:
        progress.print(styled(f"  {name:<9}"), what)

    began = time.monotonic()
    started = bring_up(settings, say)
    try:
        _train_first_models(settings)
        shown = addresses(settings)
        if as_json:
            print_json({"started": started, "seconds": round(time.monotonic() - began, 1), **shown})
        else:
            state = f"up after {time.monotonic() - began:.1f} s" if started else "up already"
            console = result_console()
            console.print(f"Ratchet is {state}", facts(shown), sep="\n")
            for hint in access_hints(settings):  # whole lines, to be copied
                console.print(hint)
        if detach or not started:
            return
        progress.print("Ctrl-C stops everything.")
        supervise(settings, say)
        progress.print("Stopped by another command.")
    except KeyboardInterrupt:
        if started:
            progress.print("Stopping...")
            _ignore_signals()
            bring_down(settings, say)
    except BaseException:
        if started and not detach:
            _ignore_signals()
            bring_down(settings, say)
        raise


def down(as_json: Json = False) -> None:
    """Stop everything that `ratchet up` started, with all it left behind.

    Example: [bold]ratchet down[/bold]
    """
    from flows.stack.stopping import bring_down

    progress = progress_console()
    stopped = bring_down(settings_here(), lambda name, what: progress.print(styled(f"  {name:<9}"), what))
    if as_json:
        print_json({"stopped": stopped})
    else:
        result_console().print("Ratchet is down" if stopped else "Nothing was running")


def status(as_json: Json = False) -> None:
    """Show each server, and where each use case stands: versions, labels, runs, drift, schedules.

    Exit code 1 when a server is down.

    Example: [bold]ratchet status --json[/bold]
    """
    from flows.cli.terminal.status_lines import status_parts
    from flows.status import read_status

    standing = read_status(settings_here())
    if as_json:
        print_json(standing.as_dict())
    else:
        console = result_console()
        console.print(*status_parts(standing), sep="\n")
        for problem in standing.problems:
            console.print(problem, style="yellow")
    if any(server.state != "up" for server in standing.servers):
        raise typer.Exit(1)


def doctor(as_json: Json = False) -> None:
    """Look over this machine: Python, packages, use cases, home, disk, database, ports, servers.

    Exit code 1 when something is wrong; each finding says what to do.

    Example: [bold]ratchet doctor[/bold]
    """
    from dataclasses import asdict

    from flows.doctor import examine

    findings = []
    console = result_console()
    for finding in examine(settings_here()):
        findings.append(finding)
        if not as_json:
            mark = styled("ok  ", "green") if finding.ok else styled("bad ", "red")
            console.print(mark, styled(f"{finding.what:<13}"), finding.found)
            if not finding.ok and finding.advice:
                console.print(f"{'':<18}{finding.advice}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _train_first_models(settings: Any) -> None:
    """A first model that fails leaves the servers up: they are what is needed to see why."""
    from flows.stack.first_models import FirstModelsFailed, train_first_models

    progress = progress_console()
    last: dict[str, str] = {}

    def follow(use_case: str, progress_now: Mapping[str, Any]) -> None:
        step = str(progress_now.get("step"))
        if last.get(use_case) != step:
            last[use_case] = step
            progress.print(styled(f"  {use_case:<9}"), f"first model: {step}")

    try:
        results = train_first_models(settings, follow)
    except FirstModelsFailed as error:
        progress.print(styled(str(error), "red"))
        return
    for use_case, result in results.items():
        progress.print(styled(f"  {use_case:<9}"), f"{result.get('outcome')}: {result.get('reason')}")


def _end_like_ctrl_c() -> None:
    """A terminal that closes and a `kill` stop the servers as Ctrl-C does."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in SIGNALS:  # SIGINT too: the background jobs of a shell ignore it
        signal.signal(number, end)


def _ignore_signals() -> None:
    """Stopping takes seconds and must not be left half done."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


COMMANDS = (up, down, status, doctor)
