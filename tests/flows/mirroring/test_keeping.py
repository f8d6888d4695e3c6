"""The process that asks a shadow version: real versions that answer, break, hang and eat memory."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from configs.settings import CHECKOUT
from flows.mirroring.following import MODULE, Patience
from flows.mirroring.keeping import Keeper
from flows.servers.environment import tool_environment
from models.mirroring.shown import shadow_facts
from store.predictions.shadow_answers import ShadowStanding, ask_again
from tests.flows.mirroring.conftest import MARKED, Garden

pytestmark = pytest.mark.slow
SOON = 180.0
"""The process comes last for a core: where others take all, it waits long."""
PATIENCE = Patience(load=60.0, answer=0.5, look=0.3)
LONG = Patience(load=60.0, answer=300.0, look=0.3)


@pytest.fixture(autouse=True)
def environment(garden: Garden, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the worker, which the process inherits."""
    for name, value in tool_environment(garden.settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))


@contextmanager
def asking(garden: Garden, patience: Patience = PATIENCE) -> Iterator[None]:
    """What the worker does, in a thread; the process is gone afterwards."""
    ready: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []

    async def keep() -> None:
        task = asyncio.current_task()
        assert task is not None
        ready.append((asyncio.get_running_loop(), task))
        await Keeper(garden.settings, garden.orchard.context.use_case, patience).keep()

    def run() -> None:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(keep())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        wait_for(lambda: bool(ready))
        ready[0][0].call_soon_threadsafe(ready[0][1].cancel)
        thread.join(30)
        assert not thread.is_alive()
        assert processes(garden) == []


def processes(garden: Garden) -> list[psutil.Process]:
    """Processes that ask shadow versions of the use case."""
    found = []
    for process in psutil.process_iter():
        try:
            if MODULE in process.cmdline() and garden.name in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return [one for one in found if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def wait_for(condition: Callable[[], bool], seconds: float = SOON) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to that in time"
        time.sleep(0.05)


def standing(garden: Garden) -> ShadowStanding:
    found = garden.standing()
    assert found is not None
    return found


def wait_for_state(garden: Garden, version: int, *states: str) -> None:
    def is_so() -> bool:
        found = garden.standing()
        return found is not None and found.version == version and found.state in states

    wait_for(is_so)


def wait_until_loaded(garden: Garden, version: int) -> None:
    wait_for(
        lambda: (one := garden.standing()) is not None and one.version == version and one.alone_ms is not None
    )


def test_it_answers_what_was_served_once_also_after_a_kill(garden: Garden) -> None:
    version = garden.add_version(swapped=True)
    with asking(garden):
        wait_for_state(garden, version, "starting", "answers")
        first = garden.log([0.9, 0.1, 0.8])
        wait_for(lambda: len(garden.answers(version)) == 3)
        assert garden.answers(version) == dict(
            zip(first, [("poor", None), ("good", None), ("poor", None)], strict=True)
        )
        process = processes(garden)[0]
        assert process.nice() == 19
        process.kill()
        second = garden.log([0.7] * 300)
        wait_for(lambda: len(garden.answers(version)) == 303)
        assert set(garden.answers(version)) == {*first, *second}
        assert processes(garden)[0].pid != process.pid
    now = standing(garden)
    assert (now.state, now.answered, now.differing, now.failed, now.left_out) == ("answers", 303, 302, 0, 0)
    assert now.alone_ms is not None
    assert now.production_ms is not None
    with garden.orchard.context.connect() as conn:
        told = shadow_facts(conn, garden.orchard.context.use_case)
    assert told is not None
    assert told["pairs"] == [{"served": "good", "shadow": "poor", "count": 302}]
    assert told["sentence"].startswith(
        f"version {version} (challenger) is asked beside what serves; asked about 303 live records, answered "
        "99.7% otherwise (most often poor where good was served)"
    )


def test_when_the_alias_moves_the_new_version_is_asked(garden: Garden) -> None:
    old = garden.add_version()
    with asking(garden):
        wait_until_loaded(garden, old)
        new = garden.add_version(swapped=True)
        wait_until_loaded(garden, new)
        ids = garden.log([0.9])
        wait_for(lambda: bool(garden.answers(new)))
        assert garden.answers(new) == {ids[0]: ("poor", None)}
        assert garden.answers(old) == {}
        garden.name_it("challenger", 1)
        wait_for_state(garden, 1, "serves")
        wait_for(lambda: processes(garden) == [])


def test_records_that_break_it_are_counted_and_the_others_answered(garden: Garden) -> None:
    version = garden.add_version("breaks")
    with asking(garden):
        wait_until_loaded(garden, version)
        ids = garden.log([0.9, MARKED, 0.1, MARKED])
        wait_for(lambda: len(garden.answers(version)) == 4)
        answers = garden.answers(version)
        assert [answers[one][0] for one in ids] == ["good", None, "poor", None]
    now = standing(garden)
    assert (now.state, now.answered, now.failed) == ("answers", 4, 2)
    with garden.orchard.context.connect() as conn:
        told = shadow_facts(conn, garden.orchard.context.use_case)
    assert told is not None
    assert [failure["count"] for failure in told["failures"]] == [2]
    assert "could not answer 2" in told["sentence"]


def test_a_version_that_hangs_is_ended_and_not_tried_again_until_asked_for(garden: Garden) -> None:
    version = garden.add_version("hangs")
    with asking(garden):
        wait_until_loaded(garden, version)
        garden.log([MARKED])
        wait_for_state(garden, version, "hangs")
        wait_for(lambda: processes(garden) == [])
        assert standing(garden).why == "it took over 0.5 s for at most 64 records"
        time.sleep(4 * PATIENCE.look)
        assert processes(garden) == []
        with garden.orchard.context.connect() as conn:
            assert ask_again(conn, garden.name)
            conn.commit()
        wait_for(lambda: len(processes(garden)) == 1)
        ids: list[str] = []

        def is_answered() -> bool:
            ids.extend(garden.log([0.9]))  # until one is logged that the new process did not find there
            time.sleep(0.5)
            return bool(garden.answers(version))

        wait_for(is_answered)
        assert set(garden.answers(version)) <= set(ids), "what it hung at is left out"


def test_a_version_that_eats_memory_gets_no_more_than_its_share(garden: Garden) -> None:
    version = garden.add_version("eats")
    with asking(garden):
        wait_until_loaded(garden, version)
        before = psutil.virtual_memory().available
        garden.log([MARKED])
        wait_for(lambda: standing(garden).failed == 1 or standing(garden).state == "ends")
        assert before - psutil.virtual_memory().available < 7 * 1024**3
        ids = garden.log([0.9])
        wait_for(lambda: ids[0] in garden.answers(version))


def test_a_version_that_ends_the_process_again_and_again_is_given_up(garden: Garden) -> None:
    version = garden.add_version("hangs")
    with asking(garden, LONG):
        for _ in range(3):
            process = wait_until_it_hangs(garden, version)
            forget_costs(garden)
            process.send_signal(signal.SIGSEGV)
        wait_for_state(garden, version, "ends")
        assert standing(garden).why == "3 times; the last time killed by SIGSEGV"
        time.sleep(4 * LONG.look)
        assert processes(garden) == []


def wait_until_it_hangs(garden: Garden, version: int) -> psutil.Process:
    """The process, once it is loaded and at a record that it never comes back from."""
    wait_until_loaded(garden, version)
    process = processes(garden)[0]
    before = process.cpu_times().user

    def computes() -> bool:
        garden.log([MARKED])  # until one is taken up
        time.sleep(0.2)
        return bool(process.cpu_times().user - before > 0.4)

    wait_for(computes)
    return process


def forget_costs(garden: Garden) -> None:
    """So that it can be told when the next process is loaded."""
    with garden.orchard.context.connect() as conn:
        conn.execute("UPDATE shadow_standing SET alone_ms = NULL WHERE use_case = %s", (garden.name,))
        conn.commit()


def test_it_ends_with_a_parent_that_is_killed_also_while_it_hangs(garden: Garden, tmp_path: Path) -> None:
    version = garden.add_version("hangs")
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, sys\n"
        "from configs.loading import load_use_case\n"
        "from configs.settings import read_settings\n"
        "from flows.mirroring.following import Patience\n"
        "from flows.mirroring.keeping import mirror\n"
        "use_case = load_use_case(__import__('pathlib').Path(sys.argv[1]))\n"
        "asyncio.run(mirror(read_settings(), {use_case.name: use_case}, Patience(60.0, 300.0, 0.3)))\n",
        encoding="utf-8",
    )
    config = garden.settings.home / "configs" / f"{garden.name}.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(f"{text}serving: {{shadow: challenger}}\n", encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(script), str(config)], cwd=CHECKOUT)
    try:
        wait_until_it_hangs(garden, version)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        wait_for(lambda: processes(garden) == [], 5.0)
    finally:
        parent.kill()
        parent.wait()
        config.write_text(text, encoding="utf-8")


def test_of_a_flood_the_newest_are_answered_and_the_others_counted(garden: Garden) -> None:
    version = garden.add_version()
    with asking(garden):
        wait_until_loaded(garden, version)
    with garden.orchard.context.connect() as conn:
        conn.execute("UPDATE shadow_standing SET since = now() - interval '1 hour'")
        conn.execute(
            "INSERT INTO prediction (id, use_case, record, label, score, model_version, predicted_at)"
            " SELECT 'flood' || n, %s, jsonb_build_object('weight', 0.9, 'colour', 'red'), 'good', 0.9, 1,"
            " %s + make_interval(secs => n / 10.0) FROM generate_series(1, 1000) AS n",
            (garden.name, datetime.now(UTC) - timedelta(seconds=100)),
        )
        conn.commit()
    with asking(garden):
        wait_for(lambda: standing(garden).left_out >= 799)
        wait_for(lambda: standing(garden).answered >= 200)
    answered = {int(name.removeprefix("flood")) for name in garden.answers(version) if "flood" in name}
    assert min(answered) in (799, 800), "20 s before the newest"
    assert max(answered) == 1000


def test_two_workers_ask_once(garden: Garden) -> None:
    version = garden.add_version()
    with asking(garden):
        wait_until_loaded(garden, version)
        with asking_too(garden):
            ids = garden.log([0.9])
            wait_for(lambda: ids[0] in garden.answers(version))
    assert standing(garden).answered == 1


@contextmanager
def asking_too(garden: Garden) -> Iterator[None]:
    """A second process, which finds that another is at it and ends."""
    version = standing(garden).version
    words = [garden.name, str(version), "1", str(os.getpid())]
    second = subprocess.run(
        [sys.executable, "-m", MODULE, *words], cwd=CHECKOUT, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert second.returncode in (0, 1), second.stderr
    yield
