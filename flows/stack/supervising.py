"""Keep the servers of a home running: each is watched by itself, and none waits for another.

A server that ends is started again at once. One that does not come to serve is tried again and again, after
waits that double up to half a minute; nobody gives up, and what serves goes on. How each fares is
written down (`store.supervision`) for `ratchet status`, `/health` and notices.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psutil

from configs.security.printable import one_line
from configs.served import with_served
from configs.settings import Settings, read_settings
from flows.servers.environment import MARK_HOME, MARK_SERVER
from flows.stack import probes, state
from flows.stack.processes import put_aside_if_long
from flows.stack.specs import LONGEST_START_SECONDS, POSTGRES, SUPERVISOR, OnStatus, log_file, servers
from flows.stack.state import RecordedProcess
from flows.stack.stopping import bring_down
from flows.stack.watched import Watched, WatchedPostgres, WatchedServer
from store.supervision import (
    MOST_EVENTS,
    ServerEvent,
    ServerStanding,
    State,
    Supervision,
    read_supervision,
    write_supervision,
)

WATCH_SECONDS = 0.2
FIRST_WAIT_SECONDS = 0.25
"""Before the second attempt; each later wait is twice as long, up to `LONGEST_WAIT_SECONDS`."""
LONGEST_WAIT_SECONDS = 30.0
ASK_SECONDS = 5.0
"""Between two times that a running server is asked whether it answers."""
LOG_SECONDS = 10.0
"""Between two looks at how long a log has become."""
SILENT_SECONDS = 60.0
"""A server that has answered nothing for so long hangs, and is started again."""
MOST_COUNTED_SECONDS = ASK_SECONDS + WATCH_SECONDS + probes.TIMEOUT
"""That one question without an answer counts for: it takes longer only where who asks was held up."""
WINDOW_SECONDS = 300.0
MOST_REASON = 400
"""Characters: a reason may end with a whole log."""
MOST_DEATHS = 3
"""Within the window; from then on, and after as many failed attempts, people are told."""


@dataclass
class Watch:
    """One server under watch."""

    watched: Watched
    state: State = "running"
    since: float = field(default_factory=time.time)
    failures: int = 0
    deaths: deque[float] = field(default_factory=deque)
    reason: str = ""
    began: float = field(default_factory=time.monotonic)
    """When it came into its state, and `due` when it is tried again: a clock that is set moves neither."""
    due: float = 0.0
    log_at: float = 0.0
    """When its log was looked at."""
    asked_at: float = field(default_factory=time.monotonic)
    silent_seconds: float = 0.0
    """For how long it has left unanswered what it was asked."""
    is_told: bool = False
    """Whether people have been told that it fails."""

    def standing(self) -> ServerStanding:
        """As it is written down."""
        retry_at = time.time() + self.due - time.monotonic() if self.state == "waiting" else None
        return ServerStanding(
            self.state,
            self.since,
            self.failures,
            len(self.deaths),
            self.reason,
            retry_at,
        )


class Supervisor:
    """Watches until another command stops the servers, or another supervisor takes over."""

    def __init__(self, settings: Settings, on_status: OnStatus) -> None:
        self.settings = settings
        self.me = RecordedProcess.of(psutil.Process())
        self._on_status = on_status
        self._ended = threading.Event()
        self._writing, self._logs = threading.Lock(), threading.Lock()
        kept = read_supervision(settings.home)
        self._events = deque(() if kept is None else kept.events, maxlen=MOST_EVENTS)
        watched: list[Watched] = [
            WatchedServer(settings, server.name, self.is_mine) for server in servers(settings)
        ]
        if settings.database_url is None:
            watched.insert(0, WatchedPostgres(settings, self.is_mine))
        self._watches = {one.name: Watch(one) for one in watched}
        self._threads = [
            threading.Thread(target=self._keep, args=(watch,), name=f"watch-{name}", daemon=True)
            for name, watch in self._watches.items()
        ]

    def start(self) -> None:
        """Begin to watch."""
        for watch in self._watches.values():
            watch.asked_at = time.monotonic()  # what bringing them up took was nobody's silence
        self._write()
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Return when there is nothing to watch any more: another command has stopped it or taken it over."""
        while self.is_mine():
            self._ended.wait(WATCH_SECONDS)
        self.stop()

    def stop(self) -> None:
        """Watch no longer, and see that nothing is being started."""
        self._ended.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def retry_now(self) -> None:
        """Try what waits for its next attempt at once."""
        for watch in self._watches.values():
            watch.due = 0.0

    def is_mine(self) -> bool:
        """Whether this process still is who watches."""
        return not self._ended.is_set() and state.read_supervisor(self.settings.home) == self.me

    def _keep(self, watch: Watch) -> None:
        while self.is_mine():
            try:
                self._look(watch)
                self._bound_logs(watch)
            # Nothing that goes wrong with one, whatever it is, may end the watch.
            except Exception as error:  # noqa: BLE001
                self._has_failed(watch, str(error) or type(error).__name__)
            if watch.state == "waiting":
                self._ended.wait(max(0.0, min(WATCH_SECONDS, watch.due - time.monotonic())))
            else:
                watch.watched.wait(WATCH_SECONDS)

    def _look(self, watch: Watch) -> None:
        """Do the one thing that is to be done next."""
        now, watched = time.monotonic(), watch.watched
        self._forget_deaths(watch, now)
        if watched.is_there():
            if watch.state != "running" and watched.is_healthy():
                self._is_back(watch)
            elif watch.state == "starting" and _is_late(watch, now):
                watched.end()
                self._has_failed(watch, f"not healthy after {now - watch.began:.0f} s")
            elif watch.state == "running" and self._is_silent(watch):
                watched.end()
                self._has_ended(watch, f"it answered nothing for {SILENT_SECONDS:.0f} s, so it was ended")
        elif watch.state == "running":
            self._has_ended(watch, "its process ended")
        elif watch.state == "starting":
            self._has_failed(watch, "its process ended before it served")
        elif now >= watch.due:
            self._change(watch, "starting")
            watched.start(with_served(self.settings))

    def _bound_logs(self, watch: Watch) -> None:
        """See that neither the log of the server nor that of who watches grows without end."""
        if time.monotonic() - watch.log_at >= LOG_SECONDS:
            watch.log_at = time.monotonic()
            with self._logs:
                for name in (watch.watched.name, SUPERVISOR):
                    put_aside_if_long(log_file(self.settings, name))

    def _is_silent(self, watch: Watch) -> bool:
        """By the questions that it left unanswered: a machine that stood still has asked none of them."""
        if time.monotonic() - watch.asked_at < ASK_SECONDS:
            return False
        is_alive, asked_before = watch.watched.is_alive(), watch.asked_at
        watch.asked_at = time.monotonic()
        counted = min(watch.asked_at - asked_before, MOST_COUNTED_SECONDS)
        watch.silent_seconds = 0.0 if is_alive else watch.silent_seconds + counted
        return watch.silent_seconds > SILENT_SECONDS

    def _has_ended(self, watch: Watch, reason: str) -> None:
        log = log_file(self.settings, watch.watched.name)
        watch.deaths.append(time.monotonic())
        watch.reason = f"{reason}; its log: {log}"
        watch.due = 0.0
        self._on_status(watch.watched.name, f"{reason}; starting it again (its log: {log})")
        self._change(watch, "waiting")

    def _has_failed(self, watch: Watch, reason: str) -> None:
        watch.failures += 1
        watch.reason = one_line(reason)[:MOST_REASON]
        wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(watch.failures - 1, 16))
        watch.due = time.monotonic() + wait
        self._on_status(watch.watched.name, f"did not start: {watch.reason}; again in {wait:.2g} s")
        self._change(watch, "waiting")

    def _is_back(self, watch: Watch) -> None:
        seconds = time.monotonic() - (watch.deaths[-1] if watch.deaths else watch.began)
        self._on_status(watch.watched.name, f"ready again after {seconds:.1f} s")
        watch.failures = 0
        watch.asked_at, watch.silent_seconds = time.monotonic(), 0.0
        if watch.watched.name == POSTGRES:  # what failed without it need not wait for its turn
            self.retry_now()
        self._change(watch, "running")

    def _forget_deaths(self, watch: Watch, now: float) -> None:
        had = len(watch.deaths)
        while watch.deaths and watch.deaths[0] < now - WINDOW_SECONDS:
            watch.deaths.popleft()
        if len(watch.deaths) != had:
            self._change(watch, watch.state)

    def _change(self, watch: Watch, to: State) -> None:
        if to != watch.state:
            watch.state, watch.since, watch.began = to, time.time(), time.monotonic()
        is_bad = watch.failures >= MOST_DEATHS or len(watch.deaths) >= MOST_DEATHS
        if is_bad and not watch.is_told:
            watch.is_told = True
            self._events.append(
                ServerEvent(time.time(), watch.watched.name, "down", watch.standing().describe())
            )
        elif watch.is_told and to == "running" and not is_bad:
            watch.is_told = False
            self._events.append(ServerEvent(time.time(), watch.watched.name, "back", "it serves again"))
        self._write()

    def _write(self) -> None:
        with self._writing:
            if not self.is_mine():
                return
            standings = {name: watch.standing() for name, watch in self._watches.items()}
            write_supervision(
                self.settings.home,
                Supervision(self.me.pid, self.me.began, standings, tuple(self._events), self.me.birth),
            )


def _is_late(watch: Watch, now: float) -> bool:
    """Whether a start is given up: what gets on is not, because the machine is slow."""
    seconds, gets_on = now - watch.began, watch.watched.gets_on()
    if seconds <= watch.watched.start_seconds:
        return False
    return not gets_on or seconds > LONGEST_START_SECONDS


def main() -> None:
    """Watch the servers of the settings of the environment, apart from any terminal.

    A kill that is not that of `ratchet down` stops the servers, as Ctrl-C does in the foreground.
    """
    settings = read_settings()
    # Others get marks of their own; PostgreSQL, which has none, must not be taken for a part of this process.
    for mark in (MARK_HOME, MARK_SERVER):
        os.environ.pop(mark, None)
    supervisor = Supervisor(settings, _log)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda _number, _frame: supervisor.retry_now())
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: told_to_end.set())
    supervisor.start()
    while supervisor.is_mine() and not told_to_end.is_set():
        told_to_end.wait(WATCH_SECONDS)
    was_mine = supervisor.is_mine()
    supervisor.stop()
    if was_mine:
        bring_down(settings, _log)


def _log(name: str, what: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z {name}: {what}\n")


if __name__ == "__main__":
    main()
