"""A whole replay: fits side by side on all cores, then the policies that use them."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import UseCase
from flows.replay.fits import FitStore
from flows.replay.history import History, Periods
from flows.replay.incremental import LEARNERS, play_incremental, unsuited
from flows.replay.playing import Played, Policy, Stage, play
from flows.replay.policies import FULL, Always, Bound, Loop, Never
from store.replays import FITS, replay_folder

WINDOW_PERIODS = 8
"""What `always_window` learns from."""
BASELINES = ("never", "always_full", "always_window")
Progress = Callable[[int, int, str], None]
"""Told how much is done, of how much, and what was done last."""


@dataclass(frozen=True)
class Plan:
    """What is to be replayed."""

    use_case: UseCase
    history: History
    periods: Periods
    folder: Path
    """Where what has been done is kept, so that it need not be done again."""
    delay: int = 0
    variants: Mapping[str, UseCase] | None = None
    """More policies by name: the same use case with other settings of training and gate."""
    jobs: int = 0
    """Processes; 0: one a core."""

    @property
    def loops(self) -> dict[str, UseCase]:
        """Configurations of the loop that are played, by name of the policy."""
        return {"default": self.use_case, **(self.variants or {})}


@dataclass(frozen=True)
class Outcome:
    """How every policy did."""

    plan: Plan
    played: dict[str, Played]
    left_out: dict[str, str]
    """Policies that cannot be played here, and why."""
    ended_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        periods, rows = self.plan.periods, self.plan.history.rows
        return {
            "use_case": self.plan.use_case.name,
            "at": self.ended_at.isoformat(),
            "source": self.plan.history.source,
            "periods": len(periods.played),
            "rows": sum(len(periods.rows(period)) for period in periods.played),
            "first_rows": periods.bounds[periods.first],
            "delay": self.plan.delay,
            "starts": [_time(rows.time[periods.bounds[period]]) for period in periods.played],
            "policies": {name: one.as_dict() for name, one in self.played.items()},
            "left_out": self.left_out,
        }


def replay(plan: Plan, progress: Progress) -> Outcome:
    """Play every policy; what an earlier replay of the same has done is not done again."""
    tasks = list(_tasks(plan))
    why = unsuited(plan.use_case)
    left_out = dict.fromkeys(LEARNERS, why) if why else {}
    played: dict[str, Played] = {}
    with _workers(plan) as workers:
        running: dict[Future[Any], str] = {}
        for name, function, arguments in tasks:
            running[workers.submit(function, *arguments)] = name
        for done, future in enumerate(as_completed(running), start=1):
            result = future.result()
            if isinstance(result, Played):
                played[running[future]] = result
            progress(done, len(tasks) + 1, running[future])
    played |= _baselines(plan)
    progress(len(tasks) + 1, len(tasks) + 1, "policies")
    order = ["default", "never", "always_full", "always_window", "best_in_hindsight", *LEARNERS, "bound"]
    order[1:1] = list(plan.variants or {})
    in_order = {name: played[name] for name in order if name in played}
    return Outcome(plan, in_order, left_out, datetime.now(UTC).replace(microsecond=0))


def pool() -> dict[str, Always]:
    """Policies that make a new model after each period: the fits that others choose from."""
    return {"always_full": Always(), "always_window": Always(WINDOW_PERIODS)}


def stage_of(plan: Plan, use_case: UseCase | None = None) -> Stage:
    """What the policies of a plan are played on."""
    config = use_case or plan.use_case
    fits = FitStore(plan.folder / FITS, plan.history, config)
    return Stage(config, plan.history, plan.periods, fits, plan.delay)


def plan_folder(home: Path, use_case: UseCase, history: History, periods: Periods, delay: int) -> Path:
    """Where a replay of this history, cut so, keeps what it has done."""
    what = json.dumps([history.digest, periods.bounds, periods.first, delay])
    read_by = use_case.model_dump(mode="json", include={"record", "target", "kind"})
    name = hashlib.sha256(f"{what}{json.dumps(read_by, sort_keys=True)}".encode()).hexdigest()[:16]
    return replay_folder(home, use_case.name) / name


def _time(at: np.datetime64) -> str | None:
    return None if np.isnat(at) else str(at)


def _baselines(plan: Plan) -> dict[str, Played]:
    """Policies that need nothing but fits that are there by now."""
    always = pool()
    policies: dict[str, Policy] = {"never": Never(), **always, "bound": Bound(tuple(always.values()))}
    played = {name: play(stage_of(plan), policy) for name, policy in policies.items()}
    best = max(BASELINES, key=lambda name: played[name].accuracy)
    return {**played, "best_in_hindsight": played[best]}


def _tasks(plan: Plan) -> Iterator[tuple[str, Callable[..., Any], Sequence[Any]]]:
    """What takes long, the longest first: name, function and arguments."""
    for name in plan.loops:
        yield name, _play_loop, (name,)
    if unsuited(plan.use_case) is None:
        for name in LEARNERS:
            yield name, _play_incremental, (name,)
    last = plan.periods.played[-1]
    for period in reversed(range(plan.periods.first - 1, last)):
        for name in pool():
            yield f"{name}, period {period}", _fit, (name, period)


@contextmanager
def _workers(plan: Plan) -> Iterator[ProcessPoolExecutor]:
    """Processes that have the plan, each on a core of its own."""
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    free = context.SimpleQueue()
    jobs = plan.jobs or len(cores) or os.cpu_count() or 1
    for number in range(jobs):
        free.put(cores[number % len(cores)] if cores else None)
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(plan, free))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


_plan: Plan | None = None
"""In a worker: what it works on."""


def _begin(plan: Plan, free: Any) -> None:
    global _plan
    core = free.get()
    if core is not None:
        os.sched_setaffinity(0, {core})
    _plan = plan


def _here() -> Plan:
    assert _plan is not None, "this runs in a worker only"
    return _plan


def _fit(name: str, period: int) -> None:
    plan = _here()
    stage = stage_of(plan)
    policy = pool()[name]
    if period == plan.periods.first - 1:
        stage.fits.get(FULL, np.arange(stage.known(period)))
        return
    train = policy.train(stage, period)
    if not stage.fits.has(FULL, train):
        stage.fits.get(FULL, train)


def _play_loop(name: str) -> Played:
    plan = _here()
    use_case = plan.loops[name]
    return play(stage_of(plan, use_case), Loop(use_case))


def _play_incremental(name: str) -> Played:
    plan = _here()
    return play_incremental(stage_of(plan), name, plan.folder / f"{name}.pickle")
