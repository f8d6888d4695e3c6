"""A retrain cut off by `ratchet down`, or by a kill of everything: the next `up` asks for it again, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import psycopg
import pytest

from configs.settings import Settings
from flows.stack.processes import marked_processes
from flows.stack.starting import bring_up
from flows.stack.stopping import bring_down
from store.database.connection import connect, database_url
from store.database.processes import processes_in
from store.runs.lifecycle import request_run
from store.runs.rows import Run, recent_runs
from tests.e2e.cut_off.test_resumed import CONFIG, EPOCHS, command, epochs_told, write_moods
from tests.e2e.stacks import PATIENCE, running_stack

pytestmark = pytest.mark.faults
USE_CASE = "moods"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("cut-off")
    configs = folder / "configs"
    configs.mkdir()
    (configs / "moods.yaml").write_text(CONFIG, encoding="utf-8")
    with running_stack(folder / "home", configs=configs, use_cases=(USE_CASE,)) as settings:
        data = write_moods(folder / "moods.csv", 20_000)
        assert command(settings, "ingest", USE_CASE, str(data)).wait() == 0
        yield settings


def say_nothing(_server: str, _what: str) -> None:
    """Nobody reads it."""


def kill_everything(settings: Settings) -> None:
    """As when the power fails."""
    pids = {process.pid for process in marked_processes(settings.home)}
    for pid in pids | set(processes_in(settings.home / "postgres" / "data")):
        with suppress(psutil.NoSuchProcess):  # it ended with one of those before it
            psutil.Process(pid).kill()


def newest_runs(conn: psycopg.Connection, count: int) -> list[Run]:
    return recent_runs(conn, USE_CASE, count)[::-1]


@pytest.mark.parametrize(
    "end",
    [lambda settings: bring_down(settings, say_nothing), kill_everything],
    ids=["down", "kill"],
)
def test_it_is_asked_for_again_and_goes_on(stack: Settings, end: Callable[[Settings], object]) -> None:
    with connect(database_url(stack), autocommit=True) as conn:
        before = len(recent_runs(conn, USE_CASE, 100))
        cut_off = request_run(
            conn, USE_CASE, "retrain", "person", runner="worker", options={"epochs": EPOCHS}
        )
        while max([0, *epochs_told(conn).get(cut_off, [])]) < 3:
            (run,) = newest_runs(conn, 1)
            assert run.status in ("queued", "running"), run
            time.sleep(0.05)
    end(stack)
    bring_up(stack, say_nothing)
    with connect(database_url(stack), autocommit=True) as conn:
        deadline = time.monotonic() + PATIENCE
        while (runs := newest_runs(conn, before + 2))[-1].status != "succeeded":
            assert time.monotonic() < deadline, runs[-1]
            time.sleep(0.2)
        lost, again = newest_runs(conn, before + 2)[before:]
        assert (lost.id, lost.status) == (cut_off, "lost")
        assert (again.trigger, again.options, again.kind) == ("person", {"epochs": EPOCHS}, "retrain")
        assert min(epochs_told(conn)[again.id]) >= 3
