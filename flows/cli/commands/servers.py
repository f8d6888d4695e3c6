"""Commands about the servers: up, down, status, doctor."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer

from configs.served import NAMES
from configs.settings import CHECKOUT
from flows.cli.terminal.arguments import Json, OptionalName
from flows.cli.terminal.global_options import settings_here
from flows.cli.terminal.output import facts, print_json, progress_console, result_console, styled
from flows.cli.terminal.taking_up import (
    bring_in,
    make_first_models,
    say,
    tell_dropped,
    tell_labels_left,
    tell_serving,
    to_take_up,
)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)


def up(
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything is up.")] = False,
    models_lost: Annotated[
        bool,
        typer.Option(
            "--models-lost", help="Start although no file is left of the models that your database knows."
        ),
    ] = False,
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

    goes_on = NAMES not in os.environ
    settings = settings_here()
    tell_dropped(settings)
    changed = to_take_up(settings)
    _end_like_ctrl_c()
    progress = progress_console()
    supervisor = Supervisor(settings, say)
    signal.signal(signal.SIGUSR1, lambda _number, _frame: supervisor.retry_now())
    began = time.monotonic()
    with _naming_full_disks(settings), _interrupted_once():
        started = bring_up(
            settings, say, watched_by="background" if detach else "this", models_lost=models_lost
        )
    watches = supervisor.is_mine()
    try:
        if watches:
            supervisor.start()
        started += bring_in(settings)
        tell_labels_left(settings, changed)
        made = make_first_models(settings)
        _tell_addresses(settings, started, time.monotonic() - began, as_json=as_json)
        if not as_json:
            tell_serving(settings, made, goes_on=goes_on)
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
            bring_down(settings, say)
    except BaseException:
        if watches:
            _ignore_signals()
            supervisor.stop()
            bring_down(settings, say)
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

    goes_on = NAMES not in os.environ
    settings = settings_here()
    if not state.running(settings.home):
        raise NotUp("the service", settings.service_url)
    tell_dropped(settings)
    changes = take_up(settings, say, always=True)
    warnings = tell_labels_left(settings, (*changes.new, *changes.changed))
    made = make_first_models(settings)
    if as_json:
        print_json({**asdict(changes), "warnings": warnings})
    else:
        result_console().print(f"Reloaded: {changes.describe()}")
        tell_serving(settings, made, goes_on=goes_on)


def down(as_json: Json = False) -> None:
    """Stop everything that `ratchet up` started, with all it left behind.

    Example: [bold]ratchet down[/bold]
    """
    from flows.stack.stopping import bring_down

    stopped = bring_down(settings_here(), say)
    if as_json:
        print_json({"stopped": stopped})
    else:
        result_console().print("Ratchet is down" if stopped else "Nothing was running")


def status(use_case: OptionalName = None, as_json: Json = False) -> None:
    """Show each server, and where each use case stands, or one: versions, labels, runs, drift, schedules.

    Exit code 1 when a server is down, nothing can be stored, or a use case does not serve what it should.

    Example: [bold]ratchet status --json[/bold]
    """
    from flows.cli.terminal.status_lines import status_parts
    from flows.status.reading import read_status

    standing = read_status(settings_here(), use_case)
    if as_json:
        print_json(standing.as_dict())
    else:
        console = result_console()
        console.print(*status_parts(standing), sep="\n")
        for problem in standing.problems:
            console.print(problem, style="yellow")
    if not standing.is_well:
        raise typer.Exit(1)


def doctor(as_json: Json = False) -> None:
    """Look over this machine: Python, packages, variables, use cases, home, disk, database, Dask, servers.

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
            console.print(mark, styled(f"{finding.what:<15}"), finding.found)
            if not finding.ok and finding.advice:
                console.print(f"{'':<21}{finding.advice}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _tell_addresses(settings: Any, started: list[str], seconds: float, *, as_json: bool) -> None:
    from flows.stack.addresses import access_hints, addresses

    shown = {**addresses(settings), "home": str(settings.home)}
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


def _end_like_ctrl_c() -> None:
    """A terminal that closes and a `kill` stop the servers as Ctrl-C does."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in SIGNALS:  # SIGINT too: the background jobs of a shell ignore it
        signal.signal(number, end)


@contextmanager
def _interrupted_once() -> Iterator[None]:
    """Another Ctrl-C while what was begun is stopped does not interrupt that."""

    def end(_number: int, _frame: FrameType | None) -> None:
        _ignore_signals()
        raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, end)
    try:
        yield
    finally:
        _end_like_ctrl_c()


def _ignore_signals() -> None:
    """Stopping takes seconds and must not be left half done."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def worker(
    runs: Annotated[int, typer.Option("--runs", min=1, max=64, help="Flow runs at a time, at most.")] = 4,
) -> None:
    """Start flow runs of an installation elsewhere: one more worker of its pool, until Ctrl-C.

    With RATCHET_DATABASE_URL, MLFLOW_TRACKING_URI and PREFECT_API_URL set to its database, MLflow and
    Prefect, and a home of its own.

    Example: [bold]ratchet worker --runs 2[/bold]
    """
    from flows.scheduling.joining import NAME, ensure_joinable
    from flows.servers.environment import child_environment

    ensure_joinable(os.environ)
    settings = settings_here()
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = child_environment(settings, NAME)
    os.chdir(CHECKOUT)
    os.execve(sys.executable, [sys.executable, "-m", "flows.scheduling.joining", str(runs)], environment)


COMMANDS = (up, down, reload, status, doctor, worker)
