"""A replay whose fits Dask workers make: the same answers as here, with one of them killed on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.compute.address import read_compute
from flows.compute.cluster import connect
from flows.replay.history import cut
from flows.replay.plan import Plan
from flows.replay.playing import Played
from flows.replay.runner import replay
from tests.dask_clusters import dask_processes
from tests.flows.replay.test_warm import WARM
from tests.flows.replay.worlds import PERIOD, world


def told(played: dict[str, Played]) -> dict[str, Any]:
    """What came of each policy, but for how long it took."""
    return {
        name: {key: value for key, value in one.as_dict().items() if "second" not in key}
        for name, one in played.items()
    }


@pytest.mark.slow
@pytest.mark.faults
def test_the_fits_of_workers_are_those_of_processes_here(tmp_path: Path) -> None:
    history = world(8, turns_at=4)
    periods = cut(history, PERIOD, 2)
    here = replay(Plan(WARM, history, periods, tmp_path / "here", jobs=2), lambda *_: None)
    plan = Plan(WARM, history, periods, tmp_path / "there")
    with dask_processes(tmp_path / "dask", 2) as cluster:

        def kill_one(done: int, _of: int, _what: str) -> None:
            if done == 3:
                cluster.workers[0].kill()

        pool = connect(read_compute(cluster.address))
        try:
            there = replay(plan, kill_one, pool)
        finally:
            pool.close()
        assert cluster.workers[0].wait(30) != 0
    assert told(there.played) == told(here.played)
    fits = [sorted(file.name for file in (tmp_path / one / "fits").iterdir()) for one in ("here", "there")]
    assert fits[0] == fits[1]
