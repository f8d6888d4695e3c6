"""Starting and stopping with small processes in the place of the real servers."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from configs.settings import Settings, read_settings
from flows.stack import processes, starting, state, stopping, supervising
from flows.stack.errors import PortTaken, ServerFailed
from flows.stack.specs import Server, servers

READY = "from pathlib import Path; Path('{ready}').touch()"
SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Iterator[Settings]:
    home = tmp_path / "home"
    yield read_settings({"RATCHET_HOME": str(home), "RATCHET_DATABASE_URL": database_url})
    processes.stop(lambda: processes.marked_processes(home), grace=0)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(*fakes: Server) -> None:
        for module in (starting, stopping, supervising):
            monkeypatch.setattr(module, "servers", lambda _settings: fakes)

    return use


def fake(tmp_path: Path, name: str, code: str = "", **options: object) -> Server:
    """A server that is healthy once it has touched its file."""
    ready = tmp_path / f"{name}.ready"
    command = (sys.executable, "-c", f"{code}\n{READY.format(ready=ready)}\n{SLEEP}")
    return Server(name, command, healthy=lambda _pid: ready.exists(), **options)  # type: ignore[arg-type]


class Messages(list[tuple[str, str]]):
    def __call__(self, name: str, message: str) -> None:
        self.append((name, message))


def names(settings: Settings) -> set[str]:
    return set(state.running(settings.home))


def test_what_is_missing_is_started_and_all_of_it_stopped(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    use(
        fake(tmp_path, "one"),
        fake(tmp_path, "two", after="databases"),
        fake(tmp_path, "three", after="tables"),
    )
    messages = Messages()
    assert set(starting.bring_up(settings, messages)) == {"one", "two", "three"}
    assert {name for name, message in messages if message.startswith("ready after ")} == {
        "one",
        "two",
        "three",
    }
    assert starting.bring_up(settings, messages) == []
    killed = state.running(settings.home)["two"]
    killed.kill()
    killed.wait(5)
    assert starting.bring_up(settings, messages) == ["two"]
    assert stopping.bring_down(settings, messages) == ["one", "two", "three"]
    assert processes.marked_processes(settings.home) == []
    assert not state.state_file(settings.home).exists()
    assert stopping.bring_down(settings, messages) == []


def test_one_that_ends_is_named_with_its_log_and_the_others_are_stopped(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    use(fake(tmp_path, "good"), fake(tmp_path, "bad", "print('no such colour: mauve'); raise SystemExit(3)"))
    with pytest.raises(
        ServerFailed, match=r"bad did not start: its process ended; the end of .*bad\.log"
    ) as caught:
        starting.bring_up(settings, Messages())
    assert str(caught.value).endswith("no such colour: mauve")
    assert processes.marked_processes(settings.home) == []
    assert state.read_state(settings.home) == {}


def test_one_that_is_never_healthy_is_given_up(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    use(fake(tmp_path, "slow", SLEEP, start_seconds=0.5))
    with pytest.raises(ServerFailed, match="slow did not start: not healthy after"):
        starting.bring_up(settings, Messages())
    assert processes.marked_processes(settings.home) == []


def test_a_failure_leaves_what_ran_before(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    good = fake(tmp_path, "good")
    use(good)
    starting.bring_up(settings, Messages())
    use(good, fake(tmp_path, "bad", "raise SystemExit(3)"))
    with pytest.raises(ServerFailed):
        starting.bring_up(settings, Messages())
    assert names(settings) == {"good"}


def test_a_taken_port_is_told_before_anything_starts(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        use(fake(tmp_path, "one"), fake(tmp_path, "two", port=port, variable="RATCHET_TWO"))
        with pytest.raises(PortTaken, match=rf"port {port}, which two needs.*pid {os.getpid()}.*RATCHET_TWO"):
            starting.bring_up(settings, Messages())
    assert processes.marked_processes(settings.home) == []


def test_what_a_lost_record_leaves_is_stopped_before_the_next_start(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    use(fake(tmp_path, "one"))
    starting.bring_up(settings, Messages())
    first = state.running(settings.home)["one"]
    state.state_file(settings.home).unlink()
    assert starting.bring_up(settings, Messages()) == ["one"]
    assert not processes.is_running(first)
    assert len(processes.marked_processes(settings.home)) == 1


def test_a_server_that_dies_is_started_again_until_another_command_stops_all(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    use(fake(tmp_path, "one"))
    starting.bring_up(settings, Messages())
    first = state.running(settings.home)["one"]
    messages = Messages()
    watching = threading.Thread(
        target=supervising.supervise, args=(settings, messages), kwargs={"sleep": lambda _: time.sleep(0.02)}
    )
    watching.start()
    first.kill()
    deadline = time.monotonic() + 20
    while names(settings) != {"one"} or state.running(settings.home)["one"] == first:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stopping.bring_down(settings, messages)
    watching.join(timeout=10)
    assert not watching.is_alive()
    assert any(message.startswith("ended; starting it again") for name, message in messages if name == "one")


def test_a_server_that_dies_again_and_again_is_given_up(
    settings: Settings, use: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "MOST_RESTARTS", 2)
    use(fake(tmp_path, "one"))
    starting.bring_up(settings, Messages())

    def kill_meanwhile(_seconds: float) -> None:
        for process in state.running(settings.home).values():
            process.kill()
            process.wait(5)

    with pytest.raises(ServerFailed, match="one did not start: it ended again and again"):
        supervising.supervise(settings, Messages(), sleep=kill_meanwhile)


def test_servers_that_are_yours_are_not_started(tmp_path: Path) -> None:
    def started(**environ: str) -> list[str]:
        return [server.name for server in servers(read_settings({"RATCHET_HOME": str(tmp_path), **environ}))]

    assert started() == ["service", "worker", "prefect", "mlflow"]
    assert started(PREFECT_API_URL="http://elsewhere/api") == ["service", "worker", "mlflow"]
    assert started(MLFLOW_TRACKING_URI="http://elsewhere") == ["service", "worker", "prefect"]
