"""A replay whose fits Dask workers make: the same answers as here, with one of them killed on the way."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from configs.compute.address import read_compute
from flows.compute import inside
from flows.compute.cluster import connect
from flows.compute.contract import Pool
from flows.replay import elsewhere
from flows.replay.fits import Parent, Wanted
from flows.replay.history import cut
from flows.replay.plan import Plan
from flows.replay.playing import Played
from flows.replay.policies import FULL
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


def test_two_threads_of_a_worker_may_go_on_from_the_same_fit_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = world(8)
    plan = Plan(WARM, history, cut(history, PERIOD, 2), tmp_path / "sent")
    shared = tmp_path / "shared"
    shared.mkdir()
    both = Barrier(2, timeout=10)

    def folder_of(_: Any) -> Path:
        both.wait()
        return shared

    def fit(wanted: Wanted) -> None:
        fits = tmp_path / "worker" / "replays" / "sent" / "fits"
        fits.mkdir(parents=True, exist_ok=True)
        (fits / f"{len(wanted.train)}.npz").write_bytes(b"answers")

    monkeypatch.setattr(inside, "own_folder", lambda: tmp_path / "worker")
    monkeypatch.setattr(inside, "folder_of", folder_of)
    monkeypatch.setattr(elsewhere, "stage_of", lambda *_: SimpleNamespace(fits=SimpleNamespace(get=fit)))
    parent = Parent("parent", np.arange(3))
    wanted = [Wanted(FULL, np.arange(rows), parent=parent) for rows in (10, 20)]
    with ThreadPoolExecutor(2) as threads:
        made = [
            threads.submit(elsewhere.fit_there, plan, "default", str(one.size + 3), one, "packed")
            for one in wanted
        ]
    assert [one.result().answers for one in made] == [b"answers"] * 2
    assert (tmp_path / "worker" / "replays" / "sent" / "versions" / "default" / "parent").samefile(shared)


@pytest.mark.parametrize("fault", [MemoryError(), OSError(28, "No space left on device")])
def test_a_fit_that_cannot_be_kept_here_is_told_to_who_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    made: Future[Any] = Future()
    made.set_result(elsewhere.SentFit(b"answers", b"version"))
    pool = SimpleNamespace(width=1, share=lambda value: value, submit=lambda *_: made)

    def unpack(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(inside, "unpack_folder", unpack)
    history = world(8)
    plan = Plan(WARM, history, cut(history, PERIOD, 2), tmp_path / "here")
    wanted = Wanted(FULL, np.arange(10), is_kept=True)
    kept = elsewhere.ClusterWorkers(cast(Pool, pool), plan).fit("default", "name", wanted)
    assert kept.exception(5) is fault
