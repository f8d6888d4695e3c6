"""Starting and stopping with small processes in the place of the real servers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from configs.settings import Settings, read_settings
from flows.stack import processes, starting, state, stopping
from flows.stack.errors import PortTaken, ServerFailed
from flows.stack.specs import servers
from tests.flows.stack.fakes import SLEEP, Messages, fake


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


def test_one_that_gets_on_is_waited_for_longer(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    """It says something now and then, and serves in the end, later than it may take without."""
    busy = "import time\nfor n in range(12): print(n, flush=True); time.sleep(0.1)"
    use(fake(tmp_path, "slow", busy, start_seconds=0.6))
    messages = Messages()
    assert starting.bring_up(settings, messages) == ["slow"]
    told = [message for _name, message in messages]
    assert len(told) == 2
    assert "but it gets on; waiting for it for 300 s at most" in told[0]
    assert told[1].startswith("ready after ")


def test_one_that_gets_on_for_ever_is_given_up(
    settings: Settings, use: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "LONGEST_START_SECONDS", 1.5)
    use(fake(tmp_path, "slow", "while True: pass", start_seconds=1.0))
    with pytest.raises(ServerFailed, match="slow did not start: not healthy after 2 s"):
        starting.bring_up(settings, Messages())


def test_a_failure_leaves_what_ran_before(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    good = fake(tmp_path, "good")
    use(good)
    starting.bring_up(settings, Messages())
    use(good, fake(tmp_path, "bad", "raise SystemExit(3)"))
    with pytest.raises(ServerFailed):
        starting.bring_up(settings, Messages())
    assert set(state.running(settings.home)) == {"good"}


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


def test_servers_that_are_yours_are_not_started(tmp_path: Path) -> None:
    def started(**environ: str) -> list[str]:
        return [server.name for server in servers(read_settings({"RATCHET_HOME": str(tmp_path), **environ}))]

    assert started() == ["service", "worker", "prefect", "mlflow"]
    assert started(PREFECT_API_URL="http://elsewhere/api") == ["service", "worker", "mlflow"]
    assert started(MLFLOW_TRACKING_URI="http://elsewhere") == ["service", "worker", "prefect"]
