"""Forks run as processes of their own would, and of client, fork and server none ends what is not its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from configs.settings import CHECKOUT
from flows.mirroring.priority import RUNS_NICENESS
from flows.warm.freshness import is_fresh, stamps, told_apart
from flows.warm.server import CALLED, STALE, remembering
from flows.warm.wire import SOCKET
from tests.flows.warm.task import ENDED_BY_TERM, REFUSED

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux only"),
    pytest.mark.timeout(120),
]
MARK = "json.tool"
"""What the server of these tests has imported, and nothing else would."""
SERVE = "from flows.warm.server import main; main({imports}, [])"
TASK = "tests.flows.warm.task"


class Warm:
    """A server and its socket."""

    def __init__(self, folder: Path, *more: Path, imports: tuple[str, ...] = (MARK,)) -> None:
        self.folder = folder
        self.errors = folder / "errors"
        self.imports = imports
        path = os.pathsep.join(map(str, (CHECKOUT, *more)))
        self.environment = {**os.environ, "PYTHONPATH": path, SOCKET: str(folder / "warm")}
        self.process = self.start()
        self.clients: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", SERVE.format(imports=self.imports)]
        return subprocess.Popen(command, env=self.environment, stdin=subprocess.PIPE, cwd=CHECKOUT)

    def client(self, task: str, **variables: str) -> subprocess.Popen[str]:
        deadline = time.monotonic() + 60
        while not (self.folder / "warm").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with self.errors.open("a") as errors:
            child = subprocess.Popen(
                [sys.executable, "-m", "flows.warm.client", TASK],
                env={**self.environment, "PREFECT__TASK": task, **variables}, cwd=self.folder, text=True,
                stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        self.clients.append(child)
        return child

    def end(self) -> None:
        for child in self.clients:
            child.kill()
            child.communicate()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


@pytest.fixture
def warm(tmp_path: Path) -> Iterator[Warm]:
    started = Warm(tmp_path)
    yield started
    started.end()


def first_line(child: subprocess.Popen[str]) -> list[str]:
    assert child.stdout is not None
    return child.stdout.readline().split()


def wait_until_idle(warm: Warm) -> None:
    server, deadline = psutil.Process(warm.process.pid), time.monotonic() + 30
    while server.status() != psutil.STATUS_SLEEPING:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ends(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_a_fork_has_what_was_imported_and_all_else_of_its_client(warm: Warm, tmp_path: Path) -> None:
    child = warm.client("say", RATCHET_COLOUR="green")
    pid, folder, colour, imported = first_line(child)
    assert (folder, colour, imported) == (str(tmp_path), "green", "True")
    assert int(pid) not in (child.pid, warm.process.pid)
    assert child.wait(30) == 0


@pytest.mark.parametrize(("task", "code"), [("fail", 3), ("die", -signal.SIGKILL)])
def test_a_client_ends_as_its_fork_does_and_the_server_goes_on(warm: Warm, task: str, code: int) -> None:
    assert warm.client(task).wait(30) == code
    again = warm.client("say")
    assert first_line(again)[-1] == "True"
    assert again.wait(30) == 0
    assert warm.process.poll() is None


def test_a_fork_ends_as_the_interpreter_does_when_nothing_is_left_to_do(warm: Warm) -> None:
    child = warm.client("leave work")
    assert child.stdout is not None
    assert child.stdout.read().splitlines()[1:] == ["not flushed, in a thread", "at exit"]
    assert child.wait(30) == 0


@pytest.mark.parametrize(
    ("task", "code", "said"),
    [("refuse", 1, f"{REFUSED}\n"), ("raise", 1, f"LookupError: {REFUSED}\n"),
     ("interrupt", -signal.SIGINT, "KeyboardInterrupt\n")],
)  # fmt: skip
def test_a_fork_says_why_it_ends(warm: Warm, task: str, code: int, said: str) -> None:
    child = warm.client(task)
    first_line(child)
    assert child.wait(30) == code
    assert warm.errors.read_text("utf-8").endswith(said)


def test_each_fork_is_a_process_of_its_own_session(warm: Warm) -> None:
    children = [warm.client("wait"), warm.client("wait")]
    pids = [int(first_line(child)[0]) for child in children]
    assert len({*pids, warm.process.pid}) == 3
    assert [os.getsid(pid) for pid in pids] == pids
    for pid in pids:  # each behind the service, as a session's place among others is its own
        assert psutil.Process(pid).nice() == RUNS_NICENESS
        if (autogroup := Path(f"/proc/{pid}/autogroup")).exists():
            assert autogroup.read_text(encoding="ascii").split()[-1] == str(RUNS_NICENESS)
    for child in children:
        child.kill()
        child.wait(30)
    assert all(ends(pid) for pid in pids)


def test_a_signal_to_the_client_reaches_the_fork_which_ends_as_it_will(warm: Warm) -> None:
    child = warm.client("wait")
    first_line(child)
    assert first_line(child) == ["waits"]
    child.terminate()
    assert child.wait(30) == ENDED_BY_TERM


def test_a_fork_ends_with_its_client(warm: Warm) -> None:
    child = warm.client("wait")
    pid = int(first_line(child)[0])
    child.kill()
    child.wait(30)
    assert ends(pid)
    assert warm.client("say").wait(30) == 0


def test_client_and_fork_end_with_a_server_that_is_killed(warm: Warm) -> None:
    child = warm.client("wait")
    pid = int(first_line(child)[0])
    wait_until_idle(warm)  # before, it may not have told the client of its fork
    warm.process.kill()
    assert child.wait(30) == -signal.SIGKILL
    assert ends(pid)


def test_with_the_server_gone_a_run_begins_by_itself(warm: Warm) -> None:
    first_line(warm.client("say"))
    warm.process.kill()
    warm.process.wait(30)
    child = warm.client("say")
    assert int(first_line(child)[0]) == child.pid
    assert child.wait(30) == 0


def test_the_server_ends_with_the_worker_after_its_last_fork(warm: Warm) -> None:
    child = warm.client("wait")
    first_line(child)
    assert first_line(child) == ["waits"]
    assert warm.process.stdin is not None
    warm.process.stdin.close()
    late = warm.client("say")
    assert int(first_line(late)[0]) == late.pid
    assert warm.process.poll() is None
    child.terminate()
    assert child.wait(30) == ENDED_BY_TERM
    assert warm.process.wait(30) == 0


def test_a_run_with_other_variables_begins_by_itself(warm: Warm) -> None:
    child = warm.client("say", OMP_NUM_THREADS="7")
    assert int(first_line(child)[0]) == child.pid
    assert child.wait(30) == 0
    assert warm.process.poll() is None


def test_with_other_code_on_disk_a_run_begins_by_itself_and_the_server_ends(tmp_path: Path) -> None:
    package = tmp_path / "site-packages"
    package.mkdir()
    server = Warm(tmp_path, package)
    child = server.client("say")
    assert int(first_line(child)[0]) != child.pid
    child.wait(30)
    (package / "new-1.0.dist-info").mkdir()  # as an installer leaves it
    child = server.client("say")
    assert int(first_line(child)[0]) == child.pid
    assert child.wait(30) == 0
    assert server.process.wait(30) == STALE
    server.end()


def test_what_has_changed_of_our_files_is_seen(tmp_path: Path) -> None:
    here = stamps()
    assert str(CHECKOUT / "flows" / "warm" / "freshness.py") in here
    assert any(path.endswith("site-packages") for path in here)
    assert not [path for path in here if "site-packages" in path and path.endswith(".py")]
    assert is_fresh(here)
    path = tmp_path / "module.py"
    path.write_text("one = 1")
    assert not is_fresh({**here, str(path): (0, 0)})


def test_variables_that_libraries_read_at_import_are_told_apart() -> None:
    here = {"PATH": "/bin", "RATCHET_HOME": "/a", "PREFECT__FLOW_RUN_ID": "1"}
    assert told_apart(here, here, {"PATH": "/bin", "RATCHET_HOME": "/b", "PREFECT_API_URL": "x"}) == []
    there = {"PATH": "/usr/bin", "OMP_NUM_THREADS": "1"}
    assert told_apart(here, here, there) == ["OMP_NUM_THREADS", "PATH"]
    now = here | {"OMP_NUM_THREADS": "1"}
    assert told_apart(here, now, here | {"OMP_NUM_THREADS": "1"}) == []
    assert told_apart(here, now, here) == []
    assert told_apart(here, now, here | {"OMP_NUM_THREADS": "2"}) == ["OMP_NUM_THREADS"]


SETS_ITS_OWN = "from os import environ; environ['_LIBRARY_CONF'] = 'quick:true'"


def test_a_variable_that_a_library_sets_in_the_worker_and_here_is_no_other(tmp_path: Path) -> None:
    (tmp_path / "sets_its_own.py").write_text(SETS_ITS_OWN, encoding="utf-8")
    started = Warm(tmp_path, tmp_path, imports=(MARK, "sets_its_own"))
    try:
        for variables, forked in (
            ({}, "True"),
            ({"_LIBRARY_CONF": "quick:true"}, "True"),
            ({"_LIBRARY_CONF": "quick:false"}, "False"),
        ):
            assert first_line(started.client("say", RATCHET_COLOUR="green", **variables))[-1] == forked
    finally:
        started.end()


def run_python(code: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_client_imports_nothing_but_the_standard_library() -> None:
    run_python(
        "import sys, flows.warm.client\n"
        "heavy = {'prefect', 'mlflow', 'numpy', 'pydantic', 'psycopg', 'configs'}\n"
        "assert not heavy & {name.split('.')[0] for name in sys.modules}"
    )


def test_what_is_called_before_the_first_fork_is_there() -> None:
    assert [pair for pair in CALLED if remembering(*pair) is remembering("os", "no_such_function")] == []


def test_what_flow_runs_are_forked_from_has_one_thread_and_no_network() -> None:
    """A thread of Python would be gone in a fork, with whatever lock it held."""
    run_python(
        "import importlib, sys, threading\n"
        "from flows.warm.server import CALLED, PRELOADED, remembering\n"
        "for name in PRELOADED: importlib.import_module(name)\n"
        "for pair in CALLED: remembering(*pair)()\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "unwanted = {'tensorflow', 'keras', 'torch', 'catboost', 'matplotlib', 'evidently', 'bentoml'}\n"
        "found = unwanted & sys.modules.keys()\n"
        "assert not found, found"
    )
