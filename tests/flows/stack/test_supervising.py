"""Servers are watched each by itself: one that fails neither stops nor delays another."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from configs.settings import Settings
from flows.stack import processes, starting, state, stopping, supervising
from flows.stack.specs import SUPERVISOR, log_file
from flows.stack.supervising import Supervisor
from store.supervision import Supervision, read_supervision, supervision_problem
from tests.flows.stack.fakes import SLEEP, Messages, fake


@contextmanager
def watching(settings: Settings, messages: Messages) -> Iterator[Supervisor]:
    """The servers of `settings`, up, and watched by this process."""
    supervisor = Supervisor(settings, messages)
    starting.bring_up(settings, messages, watched_by="this")
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def wait_for(true: Callable[[], bool], seconds: float = 15.0) -> float:
    """Seconds until that is so."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + seconds, "it did not come true"
        time.sleep(0.02)
    return time.monotonic() - began


def kill(settings: Settings, name: str) -> psutil.Process:
    process = state.running(settings.home)[name]
    process.kill()
    process.wait(5)
    return process


def wait_for_children(process: psutil.Process) -> list[psutil.Process]:
    wait_for(lambda: bool(process.children()))
    children: list[psutil.Process] = process.children()
    return children


def told(settings: Settings) -> Supervision:
    supervision = read_supervision(settings.home)
    assert supervision is not None
    return supervision


def test_a_server_that_dies_is_started_again_until_another_command_stops_all(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    use(fake(tmp_path, "one"))
    messages = Messages()
    with watching(settings, messages) as supervisor:
        waiting = threading.Thread(target=supervisor.wait)
        waiting.start()
        first = kill(settings, "one")
        wait_for(lambda: state.running(settings.home).get("one") not in (None, first))
        wait_for(lambda: told(settings).servers["one"].state == "running")
        assert told(settings).is_alive()
        stopping.bring_down(settings, messages)
        waiting.join(timeout=10)
        assert not waiting.is_alive()
    assert any(
        message.startswith("its process ended; starting it again")
        for name, message in messages
        if name == "one"
    )
    assert read_supervision(settings.home) is None


def test_no_log_grows_without_end(
    settings: Settings, use: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "LOG_SECONDS", 0.05)
    monkeypatch.setattr(processes, "LOG_BYTES", 2_000)
    use(fake(tmp_path, "one"))
    logs = [log_file(settings, name) for name in ("one", SUPERVISOR)]
    with watching(settings, Messages()):
        for log in logs:
            log.write_text("x" * 3_000)
        wait_for(lambda: all(log.stat().st_size == 0 for log in logs))
    assert all(log.with_name(f"{log.name}.1").stat().st_size == 2_000 for log in logs)


def test_a_death_is_seen_when_it_happens_and_not_by_the_next_look(
    settings: Settings, use: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake(tmp_path, "one"))
    with watching(settings, Messages()):
        monkeypatch.setattr(supervising, "WATCH_SECONDS", 4.0)
        time.sleep(0.5)  # the look that has begun ends, and the next takes long
        first = kill(settings, "one")
        assert wait_for(lambda: state.running(settings.home).get("one") not in (None, first)) < 2
        monkeypatch.undo()


def test_one_that_answers_nothing_is_started_again_but_not_for_a_moment(
    settings: Settings, use: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(supervising, "MOST_COUNTED_SECONDS", 0.5)
    monkeypatch.setattr(supervising, "SILENT_SECONDS", 5.0)
    silent = tmp_path / "silent"
    use(fake(tmp_path, "one", is_alive=lambda: not silent.exists()))
    with watching(settings, Messages()):
        first = state.running(settings.home)["one"]
        first.suspend()
        silent.touch()
        time.sleep(0.7)
        silent.unlink()
        time.sleep(1.2)
        assert told(settings).servers["one"].deaths == 0, told(settings).servers["one"].reason
        assert state.running(settings.home)["one"] == first
        silent.touch()
        wait_for(lambda: not psutil.pid_exists(first.pid))
        silent.unlink()
        wait_for(lambda: told(settings).servers["one"].deaths == 1)
        wait_for(lambda: told(settings).servers["one"].state == "running")
        assert told(settings).servers["one"].reason.startswith("it answered nothing for ")


def test_a_pause_of_who_asks_is_no_silence_of_who_is_asked(
    settings: Settings, use: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(supervising, "MOST_COUNTED_SECONDS", 0.2)
    monkeypatch.setattr(supervising, "SILENT_SECONDS", 0.5)
    questions: list[float] = []

    def is_alive() -> bool:
        questions.append(time.monotonic())
        if len(questions) == 2:  # as a machine that is stopped amid a question, and goes on
            time.sleep(1.0)
        return len(questions) != 2

    use(fake(tmp_path, "one", is_alive=is_alive))
    with watching(settings, Messages()):
        first = state.running(settings.home)["one"]
        wait_for(lambda: len(questions) >= 4)
        assert told(settings).servers["one"].deaths == 0, told(settings).servers["one"].reason
        assert state.running(settings.home)["one"] == first


def test_what_bringing_up_took_is_no_silence(
    settings: Settings, use: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(supervising, "SILENT_SECONDS", 1.0)
    questions: list[float] = []

    def is_alive() -> bool:
        questions.append(time.monotonic())
        return len(questions) > 1

    use(fake(tmp_path, "one", is_alive=is_alive))
    supervisor = Supervisor(settings, Messages())
    starting.bring_up(settings, Messages(), watched_by="this")
    time.sleep(1.5)
    supervisor.start()
    wait_for(lambda: len(questions) >= 3)
    assert told(settings).servers["one"].deaths == 0, told(settings).servers["one"].reason
    supervisor.stop()


def test_one_that_waits_for_its_port_starts_while_what_was_left_still_answers(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    slow_child = (
        "import signal, socket, time; s = socket.create_server(('127.0.0.1', "
        f"{port})); signal.signal(signal.SIGTERM, lambda *_: (time.sleep(3), exit())); time.sleep(600)"
    )
    code = f'import subprocess, sys; subprocess.Popen([sys.executable, "-c", """{slow_child}"""])'
    use(fake(tmp_path, "one", code, port=port, waits_for_port=True))
    with watching(settings, Messages()):
        (child,) = wait_for_children(state.running(settings.home)["one"])
        wait_for(lambda: not processes.port_is_free(port))
        first = kill(settings, "one")
        assert wait_for(lambda: state.running(settings.home).get("one") not in (None, first)) < 2
        assert child.is_running()
        wait_for(lambda: not child.is_running())


def test_deaths_again_and_again_stop_nothing_and_are_told_once(
    settings: Settings, use: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(fake(tmp_path, "one"), fake(tmp_path, "other"))
    with watching(settings, Messages()):
        other = state.running(settings.home)["other"]
        for _ in range(8):
            kill(settings, "one")
            wait_for(lambda: told(settings).servers["one"].state != "running", 5)
            wait_for(lambda: told(settings).servers["one"].state == "running", 5)
        assert state.running(settings.home)["other"] == other
        assert [(event.server, event.kind) for event in told(settings).events] == [("one", "down")]
        assert "one: it ended 8 times within minutes" in str(supervision_problem(settings.home))
        monkeypatch.setattr(supervising, "WINDOW_SECONDS", 0.1)
        wait_for(lambda: [event.kind for event in told(settings).events] == ["down", "back"])
    assert supervision_problem(settings.home) is None


def test_one_that_cannot_start_is_tried_again_and_delays_no_other(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    repaired = tmp_path / "repaired"
    check = f"from pathlib import Path\nif Path('{tmp_path}/broken').exists(): raise SystemExit(3)"
    use(fake(tmp_path, "bad", check), fake(tmp_path, "good"))
    with watching(settings, Messages()):
        (tmp_path / "broken").touch()
        kill(settings, "bad")
        wait_for(lambda: told(settings).servers["bad"].failures >= 3)
        bad = told(settings).servers["bad"]
        assert bad.state in ("waiting", "starting")
        assert bad.reason == "its process ended before it served"
        dead = kill(settings, "good")
        assert wait_for(lambda: state.running(settings.home).get("good") not in (None, dead)) < 3
        (tmp_path / "broken").unlink()
        wait_for(lambda: told(settings).servers["bad"].state == "running")
        assert [event.kind for event in told(settings).events] == ["down", "back"]
    assert not repaired.exists()


def test_a_slow_start_delays_no_other(settings: Settings, use: Callable[..., None], tmp_path: Path) -> None:
    use(fake(tmp_path, "slow"), fake(tmp_path, "good"))
    with watching(settings, Messages()):
        slow = fake(tmp_path, "slow", SLEEP)
        use(slow, fake(tmp_path, "good"))
        (tmp_path / "slow.ready").unlink()
        kill(settings, "slow")
        wait_for(lambda: told(settings).servers["slow"].state == "starting")
        dead = kill(settings, "good")
        assert wait_for(lambda: state.running(settings.home).get("good") not in (None, dead)) < 3


def test_a_port_that_another_holds_is_named_and_waited_for(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        use(fake(tmp_path, "one", port=port, variable="RATCHET_ONE"))
        with watching(settings, Messages()):
            other.listen()
            kill(settings, "one")
            wait_for(lambda: told(settings).servers["one"].failures >= 2)
            assert f"port {port}, which one needs, is taken by pid" in told(settings).servers["one"].reason
            other.close()
            wait_for(lambda: "one" in state.running(settings.home))


def test_a_supervisor_that_was_killed_is_followed_by_the_next_up(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    use(fake(tmp_path, "one"))
    starting.bring_up(settings, Messages(), watched_by="this")
    before = state.running(settings.home)
    state.write_supervisor(settings.home, state.RecordedProcess(2**22 + 1, 7.0))
    assert state.read_supervisor(settings.home) is None
    with watching(settings, Messages()) as second:
        assert second.is_mine()
        assert state.running(settings.home) == before


def test_a_second_up_leaves_a_watched_stack_to_who_watches(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    use(fake(tmp_path, "one"))
    with watching(settings, Messages()) as supervisor:
        assert starting.bring_up(settings, Messages(), watched_by="background") == []
        assert supervisor.is_mine()


def test_who_is_followed_by_another_starts_nothing_any_more(
    settings: Settings, use: Callable[..., None], tmp_path: Path
) -> None:
    use(fake(tmp_path, "one"))
    with watching(settings, Messages()) as first:
        state.write_supervisor(settings.home, state.RecordedProcess.of(psutil.Process(1)))
        wait_for(lambda: not first.is_mine())
        kill(settings, "one")
        first.stop()
        assert state.running(settings.home) == {}
    state.write_supervisor(settings.home, None)
