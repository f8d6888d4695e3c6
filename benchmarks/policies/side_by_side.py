"""A replay and its fits without the replay, timed in the same run."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from benchmarks.policies.streams import Stream, elec2
from configs.loading import check_use_case
from configs.schema import UseCase
from configs.settings import read_settings
from features.records.contract import take
from flows.replay.fits import FitStore, Wanted
from flows.replay.history import cut, read_file
from flows.replay.incremental import LEARNERS, play_incremental
from flows.replay.plan import Plan
from flows.replay.playing import play
from flows.replay.policies import Loop
from flows.replay.runner import always_fits, play_loop
from flows.replay.starting import FIRST_PERIODS, ReplayRequest, run_replay
from flows.replay.workers import stage_of, started
from models.estimators.fit_watch import SilentWatch
from models.versions.fitting import fit_challenger

PERIOD = 672
CHALLENGERS = [
    {"name": "full"},
    {"name": "window", "window": 8 * PERIOD},
    {
        "name": "blend",
        "members": [{"name": "full"}, *({"name": f"newest_{n}", "window": n} for n in (8, 3, 1))],
    },
]


@dataclass(frozen=True)
class Timed:
    """What one way took, in seconds."""

    wall: float
    processor: float
    """Of all processes together."""


def elec2_of(file: Path, periods: int) -> Stream:
    """So many periods of Elec2, besides those that the first model learns from."""
    stream = elec2(file)
    return replace(stream, rows=stream.rows[: PERIOD * (FIRST_PERIODS + periods)])


def pool_use_case(stream: Stream) -> UseCase:
    """That of the stream, with the three challengers."""
    config = stream.use_case.model_dump(mode="json", exclude_unset=True)
    return check_use_case({**config, "training": {"challengers": CHALLENGERS}}, source=Path(stream.name))


class WantedFits(FitStore):
    """Notes what is asked for."""

    asked: dict[str, Wanted]

    def get(self, wanted: Wanted) -> Any:
        """As ever."""
        self.asked[self.key(wanted)] = wanted
        return super().get(wanted)


def time_default(plan: Plan) -> Timed:
    """Only the policy `default`, from the first process that is started to its end."""
    with timing() as timed, started(plan) as workers:
        play_loop(plan, "default", workers, lambda _: None)
    return timed()


def time_command(home: Path, use_case: UseCase, file: Path, jobs: int) -> Timed:
    """Everything that `ratchet replay` does after its imports, files and picture too."""
    settings = read_settings({"RATCHET_HOME": str(home)})
    with timing() as timed:
        run_replay(settings, use_case, ReplayRequest(file, PERIOD, jobs=jobs), lambda *_: None)
    return timed()


def wanted_of(plan: Plan) -> dict[str, Wanted]:
    """The fits of the policy `default`, which has been played: nothing is made here."""
    store = WantedFits(plan.fits, plan.history, plan.use_case)
    store.asked = {}
    play(replace(stage_of(plan), fits=store), Loop(plan.use_case))
    return store.asked


def time_bare(plan: Plan, wanted: Sequence[Wanted], learners: Sequence[str], jobs: int) -> Timed:
    """The same fits and nothing else; the longest first, in processes that have started."""
    context = multiprocessing.get_context("spawn")
    free = context.SimpleQueue()
    cores = sorted(os.sched_getaffinity(0))
    for number in range(jobs):
        free.put(cores[number % len(cores)])
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(plan, free)) as pool:
        ready = [pool.submit(_fit_bare, Wanted(one.challenger, one.train[:2000])) for one in wanted[:jobs]]
        _wait(ready)
        ordered = sorted(wanted, key=lambda one: -one.size)
        with timing() as timed:
            work: list[Future[Any]] = [pool.submit(_learn_bare, name) for name in learners]
            _wait(work + [pool.submit(_fit_bare, one) for one in ordered])
            taken = timed()
    return taken


_plan: Plan | None = None


def _begin(plan: Plan, free: Any) -> None:
    global _plan
    os.sched_setaffinity(0, {free.get()})
    _plan = plan


def _fit_bare(wanted: Wanted) -> None:
    assert _plan is not None
    rows, cut_ = _plan.history.rows, wanted.cut
    fit_challenger(
        _plan.use_case,
        take(rows.columns, wanted.train),
        rows.labels[wanted.train].tolist(),
        challenger=wanted.challenger,
        watch=SilentWatch(),
        ages=None if cut_ is None else cut_.ages,
        weights=None if cut_ is None else cut_.weights,
    )


def _learn_bare(name: str) -> None:
    assert _plan is not None
    with tempfile.TemporaryDirectory() as folder:
        play_incremental(stage_of(_plan), name, Path(folder) / name)


def _wait(work: Sequence[Future[Any]]) -> None:
    for one in work:
        one.result()


@contextmanager
def timing() -> Iterator[Callable[[], Timed]]:
    """Gives what tells the time since then, and that of the processors, of processes that ended too."""
    began, used = time.monotonic(), _processor()
    yield lambda: Timed(time.monotonic() - began, _processor() - used)


def _processor() -> float:
    own = psutil.Process()
    ended = own.cpu_times()
    total = ended.user + ended.system + ended.children_user + ended.children_system
    for child in own.children(recursive=True):
        with child.oneshot():
            times = child.cpu_times()
            total += times.user + times.system
    return float(total)


def measure(stream: Stream, jobs: int, rounds: int, console: Console) -> list[dict[str, dict[str, float]]]:
    """In each round: the fits bare, the policy, the fits bare again, the command and its fits bare."""
    told: list[dict[str, dict[str, float]]] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            use_case = pool_use_case(stream)
            data = stream.write(Path(folder))
            history = read_file(use_case, data)
            periods = cut(history, PERIOD, FIRST_PERIODS)
            plan = Plan(use_case, history, periods, Path(folder) / "plan", jobs=jobs)
            default = time_default(plan)
            own = list(wanted_of(plan).values())
            bare = time_bare(plan, own, (), jobs)
            command = time_command(Path(folder) / "home", use_case, data, jobs)
            every = time_bare(plan, [*own, *_always(plan)], list(LEARNERS), jobs)
        ways = {"default": default, "its fits": bare, "command": command, "its fits and learners": every}
        told.append({name: one.__dict__ for name, one in ways.items()})
        shown = ", ".join(f"{name} {one.wall:.1f} s ({one.processor:.1f})" for name, one in ways.items())
        console.print(f"round {number + 1}, {len(own)} fits of the default: {shown}")
    return told


def _always(plan: Plan) -> list[Wanted]:
    return [wanted for _, wanted in always_fits(plan, stage_of(plan))]
