"""Take up a changed configuration in servers that run: new, changed and removed use cases.

The configuration is read and checked here first: what is wrong with it is said, and nothing is touched. Then
the service replaces its workers one after the other, so that no request fails, and the worker registers anew.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from configs.loading import load_selected
from configs.served import read_use_cases, write_served
from configs.settings import Settings
from flows.beforehand.configured import ensure_configured
from flows.stack import probes, state
from flows.stack.errors import NotTakenUp, ServerFailed
from flows.stack.processes import is_running, log_end
from flows.stack.room import make_inboxes
from flows.stack.specs import LONGEST_START_SECONDS, OnStatus, Server, log_file, servers
from store.supervision import read_supervision

SECONDS = 120.0
"""How long servers may take to come up, and to take up a configuration."""
GIVEN_UP_SECONDS = 2.0
"""New workers that have ended are not followed by others after this."""
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Changes:
    """Names of use cases, compared with what the servers have."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone)

    def describe(self) -> str:
        """In words, for people."""
        parts = {"new": self.new, "changed": self.changed, "gone": self.gone}
        return (
            "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names) or "no changes"
        )


def digests(settings: Settings) -> dict[str, str]:
    """Use case -> digest of its configuration.

    Raises:
        ConfigError: a file is wrong; the message says which and how.
    """
    use_cases = load_selected(settings.config_dirs, settings.use_cases)
    return {
        name: hashlib.sha256(one.model_dump_json().encode()).hexdigest()[:16]
        for name, one in use_cases.items()
    }


def dropped(settings: Settings) -> dict[str, str]:
    """Use cases that are served so far and that these settings leave out -> why, and what serves them again.

    Raises:
        ConfigError: a file is wrong.
    """
    gone = compare(read_use_cases(settings.home), digests(settings)).gone
    described = load_selected(settings.config_dirs, ())
    folders = ", ".join(str(folder) for folder in settings.config_dirs[1:]) or "none beside the shipped ones"
    unread = (
        f"no file describes it in the folders read ({folders}); --configs DIR or RATCHET_CONFIGS names more"
    )
    names = ",".join(settings.use_cases)
    return {
        name: f"RATCHET_USE_CASES is '{names}'; what it has learned stays" if name in described else unread
        for name in gone
    }


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
    """What has changed."""
    both = [name for name in after if name in before]
    return Changes(
        new=tuple(name for name in after if name not in before),
        changed=tuple(name for name in both if before[name] != after[name]),
        gone=tuple(name for name in before if name not in after),
    )


def take_up(settings: Settings, on_status: OnStatus, *, always: bool = False) -> Changes:
    """Have the running servers serve what the settings and files say now, and return what has changed.

    Args:
        always: also where nothing has changed.

    Raises:
        ConfigError: the configuration is wrong; nothing was changed.
        NotConfigurable: an estimator or encoder is not to be had here; nothing was changed.
        NotTakenUp: a server did not take it up; it goes on with what it has.
    """
    now = digests(settings)
    changes = compare(read_use_cases(settings.home), now)
    if not changes and not always:
        return changes
    ensure_configured(settings)
    make_inboxes(settings)
    write_served(settings, now)
    running = state.running(settings.home)
    reloads: dict[str, Callable[[Settings, Server, psutil.Process], None]] = {
        "service": _replace_workers,
        "worker": _register_anew,
    }
    with ThreadPoolExecutor(len(reloads)) as pool:
        waits = {
            server.name: pool.submit(reloads[server.name], settings, server, running[server.name])
            for server in servers(settings)
            if server.name in reloads and server.name in running  # one that is down starts with the new one
        }
    for name, wait in waits.items():
        wait.result()
        on_status(name, f"has taken up the configuration ({changes.describe()})")
    return changes


def wait_until_up(settings: Settings, on_status: OnStatus) -> list[str]:
    """Wait until each server of a stack that is watched does its work; returns those that had not.

    Raises:
        ServerFailed: one does not come up; it is tried again and again all the same.
    """
    began, late = time.monotonic(), [server for server in servers(settings) if not _is_up(settings, server)]
    waiting = list(late)
    supervision = read_supervision(settings.home)
    # What waits for its next attempt is tried at once. Who has written nothing yet does not know the signal.
    if late and supervision is not None and supervision.is_alive():
        os.kill(supervision.pid, signal.SIGUSR1)
    while waiting:
        for server in [one for one in waiting if _is_up(settings, one)]:
            waiting.remove(server)
            on_status(server.name, f"ready after {time.monotonic() - began:.1f} s")
        seconds = time.monotonic() - began
        has_failed = any(_trouble(settings, server.name) for server in waiting)
        if waiting and seconds > (SECONDS if has_failed else LONGEST_START_SECONDS):
            raise _failure(settings, waiting[0].name, seconds)
        time.sleep(POLL_SECONDS)
    return [server.name for server in late]


def _failure(settings: Settings, name: str, seconds: float) -> ServerFailed:
    log = log_file(settings, name)
    why = _trouble(settings, name) or f"not healthy after {seconds:.0f} s"
    return ServerFailed(name, why, str(log), log_end(log))


def _trouble(settings: Settings, name: str) -> str:
    """Why who watches starts it again and again; empty: it starts for the first time, or nothing is known."""
    supervision = read_supervision(settings.home)
    return "" if supervision is None else supervision.troubles().get(name, "")


def _is_up(settings: Settings, server: Server) -> bool:
    process = state.running(settings.home).get(server.name)
    return process is not None and server.healthy(process.pid)


def _ask_to_reload(server: Server, process: psutil.Process) -> None:
    """SIGHUP, which a server that is still starting does not know yet."""
    deadline = time.monotonic() + SECONDS
    while not server.healthy(process.pid):
        if not is_running(process) or time.monotonic() > deadline:
            raise NotTakenUp(server.name, "it does not answer")
        time.sleep(POLL_SECONDS)
    process.send_signal(signal.SIGHUP)


def _replace_workers(settings: Settings, server: Server, process: psutil.Process) -> None:
    """Follow the service until none of its old workers is left."""
    old = set(_workers(process))
    _ask_to_reload(server, process)
    deadline, seen_new = time.monotonic() + SECONDS, 0.0
    while any(is_running(worker) for worker in old):
        now = time.monotonic()
        if set(_workers(process)) - old:
            seen_new = now
        if now > deadline or (seen_new and now - seen_new > GIVEN_UP_SECONDS):
            log = log_file(settings, server.name)
            raise NotTakenUp(server.name, f"its new workers did not start; the end of {log}:\n{log_end(log)}")
        time.sleep(POLL_SECONDS)


def _workers(process: psutil.Process) -> list[psutil.Process]:
    children: list[psutil.Process] = process.children()
    return [child for child in children if is_running(child)]


def _register_anew(settings: Settings, server: Server, process: psutil.Process) -> None:
    """Follow the worker until it says anew that it is ready."""
    ready = probes.ready_file(settings.home)
    before = ready.stat().st_mtime_ns if ready.exists() else 0
    _ask_to_reload(server, process)
    deadline = time.monotonic() + SECONDS
    while not ready.exists() or ready.stat().st_mtime_ns == before:
        if time.monotonic() > deadline or not is_running(process):
            log = log_file(settings, server.name)
            raise NotTakenUp(server.name, f"it did not answer; the end of {log}:\n{log_end(log)}")
        time.sleep(POLL_SECONDS)
