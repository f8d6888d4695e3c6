"""Start what is not running, and wait until each server does its work.

`bring_up` may be called at any time: what runs and is healthy is left alone, what is missing is started, and
what a kill left behind is cleared first. When one server fails, those started by this call are stopped.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import psutil

from configs.api_keys import require_keys
from configs.security.home import make_home_private
from configs.security.umask import set_private_umask
from configs.served import write_served
from configs.settings import CHECKOUT, Settings, ensure_different_ports
from flows.beforehand.configured import ensure_configured
from flows.beforehand.tool_variables import ensure_readable
from flows.servers.environment import child_environment
from flows.servers.prefect_access import ensure_password
from flows.servers.sharing import ensure_models_here, ensure_storage
from flows.stack import processes, state
from flows.stack.errors import NotAlone, PortTaken, ServerFailed
from flows.stack.probes import ensure_prefect_address
from flows.stack.reloading import digests
from flows.stack.room import ensure_room, make_inboxes
from flows.stack.specs import (
    LONGEST_START_SECONDS,
    POSTGRES,
    SUPERVISOR,
    OnStatus,
    Server,
    log_file,
    servers,
)
from flows.stack.stopping import stop_server
from store.database.connection import connect, ensure_databases, migrate
from store.database.embedded import EmbeddedPostgres
from store.database.faults import FAULTS
from store.database.sessions import ensure_sessions, keep_lock_within, session_url
from store.database.tls_files import ensure_tls_files
from store.runs.workers import WorkerMark, starting

POLL_SECONDS = 0.05
LEAVING_SECONDS = 5.0
"""How long a port may stay taken by nobody who can be seen."""
WatchedBy = Literal["nobody", "this", "background"]


@dataclass
class _Start:
    """A server that this call has started, until it is healthy."""

    server: Server
    process: psutil.Process
    log_began: int
    progress: processes.Progress
    started: float = field(default_factory=time.monotonic)
    is_told: bool = False
    """Whether it was said that it takes long."""


def bring_up(
    settings: Settings,
    on_status: OnStatus,
    *,
    watched_by: WatchedBy = "nobody",
    models_lost: bool = False,
) -> list[str]:
    """Start what is missing and return the names of what was started; nothing of a stack that is watched.

    Args:
        watched_by: who keeps it running from now on: `this` process, which then has to run a `Supervisor`, a
            process of its own in the `background`, or `nobody`.
        models_lost: no file is left of the models that a database of the user's own knows.

    Raises:
        ConfigError: the service would be open to others without keys, or Prefect or MLflow cannot read a
            variable of theirs; nothing is started.
        NotConfigurable: an estimator or encoder is not to be had here, or cannot learn what its use case
            says; nothing is started.
        NoRoom: the home cannot be written, or has no space left; nothing is started.
        StorageError: what machines share cannot be kept where `RATCHET_STORAGE` says, or only another home
            has the models that the database knows; nothing is started.
        NotPrefect: the address of a Prefect of the user's leads to something else; nothing is started.
        NotAlone: another installation works on the database, and has its own models; nothing is started.
        PortTaken: before anything is started.
        ServerFailed: a server ended or did not become healthy; the message ends with its log.
        DatabaseError: the database does not come up or cannot be reached.
    """
    set_private_umask()
    ensure_room(settings)
    require_keys(settings)
    ensure_different_ports(settings)
    ensure_readable(settings, os.environ)
    ensure_configured(settings)
    ensure_storage(settings, on_status)
    ensure_prefect_address(settings)
    if settings.database_url is not None:
        ensure_tls_files(settings)
        ensure_sessions(settings)
        if not models_lost and not state.running(settings.home):
            ensure_models_here(settings)
    with state.locked(settings.home):
        if state.read_supervisor(settings.home) is not None:  # it starts what is missing
            return []
        make_home_private(settings.home)
        make_inboxes(settings)
        if not state.running(settings.home):  # what runs already has taken up what is written
            write_served(settings, digests(settings))
        started = _bring_up(settings, on_status)
        _begin_watch(settings, watched_by)
        return started


def _begin_watch(settings: Settings, watched_by: WatchedBy) -> None:
    """Write down who watches."""
    if watched_by == "this":
        state.write_supervisor(settings.home, state.RecordedProcess.of(psutil.Process()))
    elif watched_by == "background":
        command = (sys.executable, "-m", "flows.stack.supervising")
        # To whom these are given, they are somebody else's servers, and not to be watched.
        ours = {"MLFLOW_TRACKING_URI": settings.starts_mlflow, "PREFECT_API_URL": settings.starts_prefect}
        whole = child_environment(settings, SUPERVISOR)
        environment = {name: value for name, value in whole.items() if not ours.get(name)}
        supervisor = processes.spawn(command, environment, log_file(settings, SUPERVISOR), CHECKOUT)
        state.write_supervisor(settings.home, state.RecordedProcess.of(supervisor))


def _bring_up(settings: Settings, on_status: OnStatus) -> list[str]:
    runs = state.running(settings.home)
    missing = [server for server in servers(settings) if server.name not in runs]
    _clear_remains(settings, missing)
    _check_ports(missing)
    is_joining = settings.database_url is not None and settings.starts_mlflow and "worker" not in runs
    with _seen(settings, on_status) if is_joining else nullcontext():
        return _start_missing(settings, runs, missing, on_status)


@contextmanager
def _in_turn(settings: Settings, on_status: OnStatus) -> Iterator[None]:
    """Have another stack that starts on the same database be up first.

    MLflow and Prefect make their tables as they start, and of two at once one fails.
    """
    told = partial(on_status, "database", "another stack starts on it; waiting until that is up")
    with ExitStack() as stack:
        try:
            conn = stack.enter_context(closing(connect(session_url(settings), autocommit=True)))
            keeper = keep_lock_within(conn, "migration", "tools", LONGEST_START_SECONDS, told)
            if keeper is not None:
                stack.enter_context(closing(keeper))
        except FAULTS:  # a database that does not answer is told as it is made ready
            pass
        yield


def _start_missing(
    settings: Settings, runs: Mapping[str, psutil.Process], missing: list[Server], on_status: OnStatus
) -> list[str]:
    """All or nothing of it."""
    if settings.starts_prefect:
        ensure_password(settings)  # before its clients are started, which may be sooner than its server
    started: list[str] = []
    try:
        with nullcontext() if settings.database_url is None else _in_turn(settings, on_status):
            _start_all(settings, missing, on_status, started)
        _wait_until_healthy(settings, _adopted(settings, runs), on_status=lambda _name, _what: None)
    except BaseException:
        for server in missing:
            stop_server(settings, server)
        if POSTGRES in started:
            EmbeddedPostgres(settings.home / "postgres").stop()
        state.write_state(settings.home, _recorded(state.running(settings.home)))
        raise
    return started


@contextmanager
def _seen(settings: Settings, on_status: OnStatus) -> Iterator[None]:
    """Refuse to work beside another installation if what either promotes the other could not load.

    Of two such that start at once one is refused, as it sees that the other starts.
    """
    mark = WorkerMark.of(settings, keeps_models=True)
    with ExitStack() as stack:
        try:
            conn = stack.enter_context(closing(connect(session_url(settings), autocommit=True)))
            address = stack.enter_context(starting(conn, mark, partial(_tell_of_another, on_status)))
        except FAULTS:  # a database that does not answer, or is not there yet, is told as it is made ready
            address = None
        if address is not None:
            raise NotAlone(address, settings.storage_url)
        yield


def _tell_of_another(on_status: OnStatus, address: str) -> None:
    told = f"another, whose models are elsewhere, is connected from {address}; waiting whether it stays"
    on_status("worker", told)


def _start_all(settings: Settings, missing: list[Server], on_status: OnStatus, started: list[str]) -> None:
    """Servers start side by side, each as soon as what it needs is there."""
    starts = [_start(settings, server) for server in missing if server.after is None]
    _record(settings, starts)
    if _start_postgres(settings, on_status):
        started.append(POSTGRES)
    url = session_url(settings)
    ensure_databases(url)
    with ThreadPoolExecutor(max_workers=1) as pool:
        migrating = pool.submit(migrate, url)
        starts += [_start(settings, server) for server in missing if server.after == "databases"]
        _record(settings, starts)
        _until_done(settings, migrating, starts)
    starts += [_start(settings, server) for server in missing if server.after == "tables"]
    _record(settings, starts)
    started += [start.server.name for start in starts]
    _wait_until_healthy(settings, starts, on_status)


def _start_postgres(settings: Settings, on_status: OnStatus) -> bool:
    """Start the embedded server unless there is one already; True when this call did."""
    if settings.database_url is not None:
        return False
    began = time.monotonic()
    postgres = EmbeddedPostgres(settings.home / "postgres")
    ran_before = postgres.pid() is not None
    postgres.start()
    if not ran_before:
        on_status(POSTGRES, f"ready after {time.monotonic() - began:.1f} s")
    return not ran_before


def _start(settings: Settings, server: Server) -> _Start:
    log = log_file(settings, server.name)
    environment = child_environment(settings, server.name)
    process = processes.spawn(server.command, environment, log, CHECKOUT)
    return _followed(settings, server, process, log_began=log.stat().st_size)


def _adopted(settings: Settings, runs: Mapping[str, psutil.Process]) -> list[_Start]:
    """Those that run already, and may still be on their way."""
    return [
        _followed(settings, server, runs[server.name], log_began=0)
        for server in servers(settings)
        if server.name in runs
    ]


def _followed(settings: Settings, server: Server, process: psutil.Process, *, log_began: int) -> _Start:
    still = min(processes.STILL_SECONDS, server.start_seconds)
    progress = processes.Progress(process, log_file(settings, server.name), still)
    return _Start(server, process, log_began, progress)


def _until_done(settings: Settings, work: Future[None], starts: list[_Start]) -> None:
    """Wait for work of this process, but no longer than the servers live."""
    while not work.done():
        _ensure_alive(settings, starts)
        time.sleep(POLL_SECONDS)
    work.result()


def _wait_until_healthy(settings: Settings, starts: list[_Start], on_status: OnStatus) -> None:
    waiting = list(starts)
    while waiting:
        _ensure_alive(settings, waiting)
        for start in list(waiting):
            seconds = time.monotonic() - start.started
            if start.server.healthy(start.process.pid):
                waiting.remove(start)
                on_status(start.server.name, f"ready after {seconds:.1f} s")
            else:
                _ensure_not_late(settings, start, seconds, on_status)
        time.sleep(POLL_SECONDS)


def _ensure_not_late(settings: Settings, start: _Start, seconds: float, on_status: OnStatus) -> None:
    """What gets on is not given up because the machine is slow; that it is waited for is said once."""
    gets_on = start.progress.gets_on()
    if seconds <= start.server.start_seconds:
        return
    longest = max(LONGEST_START_SECONDS, start.server.start_seconds)
    if not gets_on or seconds > longest:
        raise _failure(settings, start, f"not healthy after {seconds:.0f} s")
    if not start.is_told:
        start.is_told = True
        told = (
            f"not healthy after {seconds:.0f} s, but it gets on; waiting for it for {longest:.0f} s at most"
        )
        on_status(start.server.name, told)


def _ensure_alive(settings: Settings, starts: Iterable[_Start]) -> None:
    for start in starts:
        if not processes.is_running(start.process):
            raise _failure(settings, start, "its process ended")


def _failure(settings: Settings, start: _Start, why: str) -> ServerFailed:
    log = log_file(settings, start.server.name)
    return ServerFailed(start.server.name, why, str(log), processes.log_end(log, since=start.log_began))


def _clear_remains(settings: Settings, missing: Iterable[Server]) -> None:
    """What is left of servers whose main process was killed, or whose record was lost."""
    for server in missing:
        stop_server(settings, server)


def _check_ports(missing: Iterable[Server]) -> None:
    for server in missing:
        if server.port is not None:
            _check_port(server, server.port)


def _check_port(server: Server, port: int) -> None:
    """Processes that were killed a moment ago have no files any more, and their ports are not free yet."""
    until = time.monotonic() + LEAVING_SECONDS
    while not processes.port_is_free(port, server.host):
        holder = processes.port_holder(port)
        if holder is not None or time.monotonic() > until:
            raise PortTaken(server.name, port, holder, server.variable)
        time.sleep(0.05)


def _record(settings: Settings, starts: Iterable[_Start]) -> None:
    recorded = _recorded(state.running(settings.home))
    state.write_state(
        settings.home,
        recorded | {start.server.name: state.RecordedProcess.of(start.process) for start in starts},
    )


def _recorded(running: Mapping[str, psutil.Process]) -> dict[str, state.RecordedProcess]:
    return {name: state.RecordedProcess.of(process) for name, process in running.items()}
