"""The processes of a replay: what is urgent goes first, and none is left when their parent is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from configs.schema import POOL, ChallengerConfig
from configs.settings import CHECKOUT
from flows.compute.errors import WorkLost
from flows.replay.fits import Wanted
from flows.replay.history import cut
from flows.replay.plan import Plan
from flows.replay.policies import FULL
from flows.replay.workers import LAST, SOON, Workers, idle_first, stage_of, started
from models.errors import TrainingError
from tests.flows.replay.worlds import PERIOD, USE_CASE, world

WINDOW = ChallengerConfig(name="window", window=50)
CONFIG = """
name: tides
title: Tides
kind: tabular
record:
  fields: [{name: moon, type: number}, {name: wind, type: number}]
target: {column: tide, task: binary, classes: [low, high], positive: high}
model: {estimator: logistic}
gate: {min_rows: 20, resamples: 300}
training: {min_rows: 20, holdout: {min_rows: 30, max_rows: 200}}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    history = world(6)
    return Plan(USE_CASE, history, cut(history, PERIOD, 2), tmp_path, jobs=2)


def test_what_is_urgent_goes_first() -> None:
    begun: list[str] = []

    def note(name: str, _: Future[Any]) -> None:
        begun.append(name)

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        workers = Workers(pool, [None])
        first = workers.submit(LAST, time.sleep, 0.2)
        waiting = [workers.submit(urgency, abs, -1) for urgency in (LAST, LAST, SOON)]
        for name, one in zip(("last", "later", "soon"), waiting, strict=True):
            one.add_done_callback(partial(note, name))
        assert [one.result(60) for one in waiting] == [1, 1, 1]
        assert first.done()
    assert begun == ["soon", "last", "later"]


def test_a_fit_that_two_want_is_made_once_and_what_fails_is_told(plan: Plan) -> None:
    wanted = Wanted(FULL, np.arange(200))
    windowed, blend = (Wanted(one, wanted.train) for one in (WINDOW, POOL))
    assert windowed.size < wanted.size < blend.size
    key = stage_of(plan).fits.key(wanted)
    with started(plan) as workers:
        one, other = (workers.fit("default", key, wanted) for _ in range(2))
        workers.make("default", [(key, wanted)])
        assert one is other
        with pytest.raises(ZeroDivisionError):
            workers.submit(SOON, divmod, 1, 0).result(60)
    assert [file.name for file in plan.fits.iterdir()] == [f"{key}.npz"]


def test_who_leaves_early_leaves_no_process_behind(plan: Plan) -> None:
    before = set(psutil.Process().children())
    with pytest.raises(KeyboardInterrupt), started(plan) as workers:
        assert workers.submit(SOON, abs, -1).result(60) == 1
        asleep = workers.submit(SOON, time.sleep, 600)
        later = [workers.submit(LAST, time.sleep, 600) for _ in range(3)]
        raise KeyboardInterrupt
    assert all(one.done() for one in (asleep, *later))
    left = [
        one for one in psutil.Process().children() if one not in before and "tracker" not in _command(one)
    ]
    assert left == []


def _command(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    history = world(20, turns_at=12)
    lines = [
        f"{moon},{wind},{tide}"
        for moon, wind, tide in zip(*history.rows.columns.values(), history.rows.labels, strict=True)
    ]
    (tmp_path / "tides.csv").write_text("\n".join(["moon,wind,tide", *lines]) + "\n")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tides.yaml").write_text(CONFIG)
    return {**os.environ, "RATCHET_CONFIGS": str(tmp_path / "configs")}


def begin(environ: Mapping[str, str], folder: Path, home: str) -> subprocess.Popen[bytes]:
    options = ["--data", str(folder / "tides.csv"), "--periods", str(PERIOD), "--jobs", "2", "--json"]
    command = [sys.executable, "-m", "flows.cli", "replay", "tides", *options]
    return subprocess.Popen(
        command, env={**environ, "RATCHET_HOME": str(folder / home)}, cwd=CHECKOUT, stdout=subprocess.PIPE
    )


def finish(process: subprocess.Popen[bytes]) -> Any:
    told, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    return json.loads(told)


def fits_in(folder: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in folder.glob("*/replay/tides/*/fits/[!.]*.npz")}


def decided(document: Any) -> Any:
    """What a replay says without what clocks say."""
    clocks = {"seconds", "fit_seconds"}
    policies = document.pop("policies")
    document.pop("at")
    return document, {
        name: {key: value for key, value in one.items() if key not in clocks}
        for name, one in policies.items()
    }


def spawned(since: list[psutil.Process]) -> list[psutil.Process]:
    """Processes of a pool of this process; `since` are those of other pools, which tests before this left."""
    children = [one for one in psutil.Process().children() if one not in since]
    alive = [one for one in children if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in alive if any("spawn_main" in word for word in one.cmdline())]


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.0, 0.5, 3.0])
def test_nobody_waits_for_a_process_that_was_ended_from_outside(plan: Plan, after: float) -> None:
    told, others = r"ended from outside.*the same command goes on", spawned([])
    with pytest.raises(TrainingError, match=told), started(plan) as workers:
        pieces = [workers.submit(SOON, time.sleep, 20) for _ in range(4)]
        until = time.monotonic() + 20
        while len(spawned(others)) < 2:
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(after)
        spawned(others)[-1].kill()
        for one in pieces:
            one.result(60)


@pytest.mark.faults
def test_one_that_is_killed_goes_on_and_ends_as_if_nothing_had_been(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    undisturbed = finish(begin(environ, tmp_path, "calm"))
    made = len(fits_in(tmp_path))
    for part in (4, 2):  # killed twice, the second time further on
        process = begin(environ, tmp_path, "killed")
        until = time.monotonic() + 120
        while len(fits_in(tmp_path)) < made + made // part:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 2
        process.send_signal(signal.SIGKILL)
        process.communicate()
        _, alive = psutil.wait_procs(family, timeout=15)
        assert alive == []
    kept = {file: at for file, at in fits_in(tmp_path).items() if "killed" in file.parts}
    assert made // 2 <= len(kept) < made
    resumed = finish(begin(environ, tmp_path, "killed"))
    now = fits_in(tmp_path)
    assert kept.items() <= now.items()
    assert len(now) == 2 * made
    assert decided(resumed) == decided(undisturbed)


def test_cores_with_the_least_to_do_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda **_: [90.0, 3.0, 40.0, 0.0])
    assert idle_first([0, 1, 2]) == [1, 2, 0]
    assert idle_first([]) == []


class Gone:
    """Processes that are gone: they take no work."""

    def submit(self, *_: Any) -> Future[Any]:
        raise RuntimeError("cannot schedule new futures after shutdown")


class Lost:
    """A cluster that was lost: whatever it is given fails at once."""

    def submit(self, *_: Any) -> Future[Any]:
        failed: Future[Any] = Future()
        failed.set_exception(WorkLost("it went away"))
        return failed


def test_whoever_comes_when_the_processes_are_gone_is_told_however_many_they_are() -> None:
    workers = Workers(Gone(), [None])
    for one in [workers.submit(SOON, abs, -1) for _ in range(3)]:
        with pytest.raises(RuntimeError, match="after shutdown"):
            one.result(1)


def test_nothing_waits_that_comes_after_all_was_given_up() -> None:
    holding: Future[Any] = Future()

    class Holding:
        def submit(self, *_: Any) -> Future[Any]:
            return holding

    workers = Workers(Holding(), [None])
    first = workers.submit(SOON, abs, -1)
    workers.give_up()
    with pytest.raises(CancelledError):
        workers.submit(SOON, abs, -1).result(1)
    holding.set_result(1)
    assert first.result(1) == 1


def test_all_that_waits_for_a_lost_cluster_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    holding: Future[Any] = Future()
    lost = Lost()
    workers = Workers(lost, [None])
    with monkeypatch.context() as patched:
        patched.setattr(lost, "submit", lambda *_: holding)
        first = workers.submit(SOON, abs, -1)
    waiting = [workers.submit(SOON, abs, -1) for _ in range(2_000)]
    holding.set_exception(WorkLost("it went away"))
    for one in (first, *waiting):
        with pytest.raises(WorkLost):
            one.result(1)


def test_what_waits_when_a_process_was_ended_is_told_that() -> None:
    holding: Future[Any] = Future()

    class Holding:
        def submit(self, *_: Any) -> Future[Any]:
            return holding

    workers = Workers(Holding(), [None])
    first, waits = (workers.submit(SOON, abs, -1) for _ in range(2))
    holding.set_exception(BrokenExecutor("a process ended"))
    for one in (first, waits, workers.submit(SOON, abs, -1)):
        with pytest.raises(BrokenExecutor):
            one.result(1)


def test_a_fit_that_two_loops_want_at_the_same_moment_is_ordered_once() -> None:
    orders: list[str] = []

    class Slow(Workers):
        def order_fit(self, loop: str, key: str, wanted: Wanted, urgency: float) -> Future[None]:
            orders.append(loop)
            time.sleep(0.2)  # as what it goes on from is packed
            return super().order_fit(loop, key, wanted, urgency)

    workers = Slow(Lost(), [None])
    wanted = Wanted(FULL, np.arange(20))
    with ThreadPoolExecutor(2) as threads:
        made = [threads.submit(workers.fit, loop, "key", wanted) for loop in ("default", "other")]
    assert made[0].result() is made[1].result()
    assert len(orders) == 1
