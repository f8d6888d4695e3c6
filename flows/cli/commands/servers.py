"""Commands about the servers: up, down, status, doctor."""

from __future__ import annotations

import errno
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer

from flows.cli.terminal.arguments import Json, OptionalName
from flows.cli.terminal.global_options import settings_here
from flows.cli.terminal.output import facts, print_json, progress_console, result_console, styled

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)


def up(
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything is up.")] = False,
    as_json: Json = False,
) -> None:
    """Start PostgreSQL, MLflow, Prefect and its worker, and the service; train what has no model yet.

    Stays until Ctrl-C and then stops everything; with --detach it leaves a process behind that watches, and
    `ratchet down` stops it. What ends is started again. What is up already is left alone, and takes up use
    cases that are new or changed.

    Example: [bold]ratchet up --detach[/bold]
    """
    from flows.stack.starting import bring_up
    from flows.stack.stopping import bring_down
    from flows.stack.supervising import Supervisor

    settings = settings_here()
    _end_like_ctrl_c()
    progress = progress_console()
    supervisor = Supervisor(settings, _say)
    signal.signal(signal.SIGUSR1, lambda _number, _frame: supervisor.retry_now())
    began = time.monotonic()
    with _naming_full_disks(settings):
        started = bring_up(settings, _say, watched_by="background" if detach else "this")
    watches = supervisor.is_mine()
    try:
        if watches:
            supervisor.start()
        started += _take_up(settings)
        _train_first_models(settings)
        _tell_addresses(settings, started, time.monotonic() - began, as_json=as_json)
        if not watches:
            return
        progress.print("Ctrl-C stops everything.")
        supervisor.wait()
        progress.print("Stopped by another command.")
    except KeyboardInterrupt:
        if watches or started:
            progress.print("Stopping...")
            _ignore_signals()
            supervisor.stop()
            bring_down(settings, _say)
    except BaseException:
        if watches:
            _ignore_signals()
            supervisor.stop()
            bring_down(settings, _say)
        raise


def reload(as_json: Json = False) -> None:
    """Take up use cases that are new, changed or gone, in servers that run; train what has no model yet.

    The service's workers are replaced one after the other, so no request fails. Where a file is wrong that is
    said, and everything goes on as it was.

    Example: [bold]ratchet reload[/bold]
    """
    from dataclasses import asdict

    from flows.stack import state
    from flows.stack.errors import NotUp
    from flows.stack.reloading import take_up

    settings = settings_here()
    if not state.running(settings.home):
        raise NotUp("the service", settings.service_url)
    changes = take_up(settings, _say, always=True)
    _train_first_models(settings)
    if as_json:
        print_json(asdict(changes))
    else:
        result_console().print(f"Reloaded: {changes.describe()}")


def down(as_json: Json = False) -> None:
    """Stop everything that `ratchet up` started, with all it left behind.

    Example: [bold]ratchet down[/bold]
    """
    from flows.stack.stopping import bring_down

    stopped = bring_down(settings_here(), _say)
    if as_json:
        print_json({"stopped": stopped})
    else:
        result_console().print("Ratchet is down" if stopped else "Nothing was running")


def status(use_case: OptionalName = None, as_json: Json = False) -> None:
    """Show each server, and where each use case stands, or one: versions, labels, runs, drift, schedules.

    Exit code 1 when a server is down.

    Example: [bold]ratchet status --json[/bold]
    """
    from flows.cli.terminal.status_lines import status_parts
    from flows.status import read_status

    standing = read_status(settings_here(), use_case)
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


def _take_up(settings: Any) -> list[str]:
    """Have what ran before serve the configuration of now; returns the servers that had to be waited for."""
    from flows.stack import state
    from flows.stack.reloading import take_up, wait_until_up

    waited_for = wait_until_up(settings, _say) if state.read_supervisor(settings.home) else []
    take_up(settings, _say)
    return waited_for


def _tell_addresses(settings: Any, started: list[str], seconds: float, *, as_json: bool) -> None:
    from flows.stack.addresses import access_hints, addresses

    shown = addresses(settings)
    if as_json:
        print_json({"started": started, "seconds": round(seconds, 1), **shown})
        return
    console = result_console()
    console.print(
        f"Ratchet is {f'up after {seconds:.1f} s' if started else 'up already'}", facts(shown), sep="\n"
    )
    for hint in access_hints(settings):  # whole lines, to be copied
        console.print(hint)


@contextmanager
def _naming_full_disks(settings: Any) -> Iterator[None]:
    """An error of the disk in one sentence, with the place and what is free there."""
    from flows.stack.errors import NoRoom
    from flows.stack.room import free_bytes

    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        what = f"cannot be written ({error.strerror}{f': {error.filename}' if error.filename else ''})"
        raise NoRoom(settings.home, what, free_bytes(settings.home)) from error


def _say(name: str, what: str) -> None:
    progress_console().print(styled(f"  {name:<9}"), what)


def _train_first_models(settings: Any) -> None:
    """A first model that fails leaves the servers up: they are what is needed to see why."""
    from flows.stack.first_models import FirstModelsFailed, train_first_models, wait_until_served

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
        for warning in result.get("warnings") or ():
            progress.print(styled(f"  {use_case:<9}"), styled(f"warning: {warning}", "yellow"))
    promoted = [name for name, result in results.items() if result.get("outcome") == "promoted"]
    for use_case in wait_until_served(settings, promoted):
        what = "its first model is not served yet; see `ratchet status` and the service's log"
        progress.print(styled(f"  {use_case:<9}"), styled(what, "yellow"))


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


COMMANDS = (up, down, reload, status, doctor)
