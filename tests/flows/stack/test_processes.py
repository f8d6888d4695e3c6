"""Processes of a stack: found by their mark, stopped with everything that they started."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from flows.servers.environment import MARK_HOME, MARK_SERVER
from flows.stack import processes

FAMILY = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("started", flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("started", flush=True)
time.sleep(600)
"""


def wait_until(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for process in processes.marked_processes(tmp_path):
        process.kill()


def spawn(home: Path, code: str, server: str = "one") -> psutil.Process:
    log = home / f"{server}.log"
    environment = {**os.environ, MARK_HOME: str(home), MARK_SERVER: server}
    process = processes.spawn([sys.executable, "-c", code], environment, log, home)
    wait_until(lambda: "started" in log.read_text() or not processes.is_running(process))
    return process


def test_what_a_process_writes_is_its_users_alone(home: Path) -> None:
    spawn(home, "print('started', flush=True); open('made', 'w').close()")
    wait_until((home / "made").exists)
    assert (home / "made").stat().st_mode & 0o777 == 0o600


CHATTY = """
import time
print("started", flush=True)
while True:
    print("x" * 60, flush=True)
    time.sleep(0.001)
"""


def test_a_long_log_is_put_aside_while_its_process_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOG_BYTES", 5_000)
    log, aside = home / "one.log", home / "one.log.1"
    process = spawn(home, CHATTY)
    wait_until(lambda: log.stat().st_size > 6_000)
    processes.put_aside_if_long(log)
    assert log.stat().st_size < 5_000
    assert len(aside.read_bytes()) >= 5_000
    assert set(aside.read_text()[100:]) == {"x", "\n"}
    assert aside.stat().st_mode & 0o777 == 0o600
    size = log.stat().st_size
    wait_until(lambda: log.stat().st_size > size)
    assert set(log.read_text().splitlines()[0]) == {"x"}
    assert processes.is_running(process)
    processes.put_aside_if_long(home / "none.log")


def test_a_log_is_cut_though_its_end_cannot_be_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_BYTES", 1_000)
    log = home / "one.log"
    log.write_text("x" * 5_000)
    (home / ".one.log.1").mkdir()  # in the way of what is put aside
    processes.put_aside_if_long(log)
    assert log.stat().st_size == 0
    (home / ".one.log.1").rmdir()
    log.write_text("x" * 4_000 + "y" * 1_000)
    processes.put_aside_if_long(log)
    assert (home / "one.log.1").read_text() == "y" * 1_000


def test_a_stop_reaches_children_in_sessions_of_their_own(home: Path) -> None:
    spawn(home, FAMILY)
    wait_until(lambda: len(processes.marked_processes(home, "one")) == 2)
    processes.stop(lambda: processes.marked_processes(home, "one"), grace=5)
    assert processes.marked_processes(home) == []


def test_a_child_is_found_after_its_parent_was_killed(home: Path) -> None:
    parent = spawn(home, FAMILY)
    wait_until(lambda: len(processes.marked_processes(home)) == 2)
    os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not processes.is_running(parent))
    assert len(processes.marked_processes(home)) == 1


def test_one_that_does_not_listen_is_killed_after_the_grace(home: Path) -> None:
    spawn(home, STUBBORN)
    began = time.monotonic()
    processes.stop(lambda: processes.marked_processes(home), grace=0.5)
    assert processes.marked_processes(home) == []
    assert time.monotonic() - began >= 0.5


def test_servers_and_homes_are_told_apart(home: Path) -> None:
    mine = spawn(home, STUBBORN, "one")
    spawn(home, STUBBORN, "two")
    assert [process.pid for process in processes.marked_processes(home, "one")] == [mine.pid]
    assert processes.marked_processes(home / "elsewhere") == []


def test_an_ended_child_does_not_run(home: Path) -> None:
    process = spawn(home, "raise SystemExit(3)")
    wait_until(lambda: not processes.is_running(process))
    assert not psutil.pid_exists(process.pid)


def test_a_long_log_is_put_aside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_BYTES", 10)
    (home / "one.log").write_text("much too long a log")
    spawn(home, "print('started')")
    assert (home / "one.log.1").read_text() == "long a log"
    assert (home / "one.log").read_text() == "started\n"


def test_the_end_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert processes.log_end(log) == f"(no log at {log})"
    log.write_text("")
    assert processes.log_end(log) == "(the log is empty)"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert processes.log_end(log, lines=2) == "line 98\nline 99"
    log.write_text("before\nafter\n")
    assert processes.log_end(log, since=len("before\n")) == "after"


def test_a_taken_port_is_told_with_who_holds_it() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        server.listen()
        assert not processes.port_is_free(port)
        assert f"pid {os.getpid()} " in (processes.port_holder(port) or "")
    assert processes.port_is_free(port)
