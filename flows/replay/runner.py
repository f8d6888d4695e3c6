"""A whole replay: the policies that choose, each in a thread, and the processes that fit for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any

import numpy as np

from flows.compute.contract import Pool
from flows.replay.elsewhere import started_there
from flows.replay.fits import Wanted
from flows.replay.incremental import LEARNERS, unsuited
from flows.replay.plan import Plan
from flows.replay.playing import Played, Policy, Stage, play
from flows.replay.policies import FULL, Always, Bound, Loop, Never
from flows.replay.workers import Workers, stage_of, started

WINDOW_PERIODS = 8
"""What `always_window` learns from."""
ORDER = ("default", "never", "always_full", "always_window", "best_in_hindsight", *LEARNERS, "bound")
"""Policies that are always played, in the order that they are told in."""
BASELINES = ("never", "always_full", "always_window")
Progress = Callable[[int, int, str], None]
"""Told how much is done, of how much, and what was done last."""


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
            "refused": self.plan.history.refused,
            "delay": self.plan.delay,
            "starts": [_time(rows.time[periods.bounds[period]]) for period in periods.played],
            "policies": {name: one.as_dict() for name, one in self.played.items()},
            "left_out": self.left_out,
        }


def replay(plan: Plan, progress: Progress, pool: Pool | None = None) -> Outcome:
    """Play every policy; what an earlier replay of the same has done is not done again.

    Args:
        pool: who fits; None: processes of this machine.
    """
    why = unsuited(plan.use_case)
    left_out = dict.fromkeys(LEARNERS, why) if why else {}
    events: SimpleQueue[str | Future[Any]] = SimpleQueue()
    played: dict[str, Played] = {}
    at_work = started(plan) if pool is None else started_there(plan, pool)
    with ThreadPoolExecutor(len(plan.loops)) as threads, at_work as workers:
        names = dict(_begin(plan, threads, workers, events.put))
        total = len(names) + len(plan.loops) * (len(plan.periods.played) - 1) + 1
        for future in names:
            future.add_done_callback(events.put)
        done = 0
        while names:
            event = events.get()
            done += 1
            name = event if isinstance(event, str) else names.pop(event)
            if isinstance(event, Future) and isinstance(result := event.result(), Played):
                played[name] = result
            progress(done, total, name)
    played |= _baselines(plan)
    progress(total, total, "policies")
    order = [ORDER[0], *(plan.variants or {}), *ORDER[1:]]
    in_order = {name: played[name] for name in order if name in played}
    return Outcome(plan, in_order, left_out, datetime.now(UTC).replace(microsecond=0))


def play_loop(plan: Plan, name: str, workers: Workers, tell: Callable[[str], None]) -> Played:
    """Play a configuration of the loop; `tell` hears of each period but the last."""
    last = plan.periods.played[-1]

    def say(period: int) -> None:
        if period != last:
            tell(f"{name}, period {period}")

    return play(stage_of(plan, name, workers), Loop(plan.loops[name]), say)


def pool() -> dict[str, Always]:
    """Policies that make a new model after each period: the fits that others choose from."""
    return {"always_full": Always(), "always_window": Always(WINDOW_PERIODS)}


def _time(at: np.datetime64) -> str | None:
    return None if np.isnat(at) else str(at)


def _baselines(plan: Plan) -> dict[str, Played]:
    """Policies that need nothing but fits that are there by now."""
    always = pool()
    policies: dict[str, Policy] = {"never": Never(), **always, "bound": Bound(tuple(always.values()))}
    played = {name: play(stage_of(plan), policy) for name, policy in policies.items()}
    best = max(BASELINES, key=lambda name: played[name].accuracy)
    return {**played, "best_in_hindsight": played[best]}


def _begin(
    plan: Plan, threads: ThreadPoolExecutor, workers: Workers, tell: Callable[[str], None]
) -> Iterator[tuple[Future[Any], str]]:
    """Everything that takes long, with its name: what decides, what learns row by row, what is fitted."""
    for name in plan.loops:
        yield threads.submit(play_loop, plan, name, workers, tell), name
    if unsuited(plan.use_case) is None:
        for name in LEARNERS:
            yield workers.learner(name), name
    stage = stage_of(plan)
    for name, wanted in always_fits(plan, stage):
        if not stage.fits.has(wanted):
            yield workers.fit("default", stage.fits.key(wanted), wanted), name


def always_fits(plan: Plan, stage: Stage) -> Iterator[tuple[str, Wanted]]:
    """What policies want that do not choose, the longest first."""
    periods = plan.periods.played
    for period in reversed(periods[:-1]):
        for name, policy in pool().items():
            yield f"{name}, period {period}", Wanted(FULL, policy.train(stage, period))
    yield "first model", Wanted(FULL, np.arange(stage.known(plan.periods.first - 1)))
