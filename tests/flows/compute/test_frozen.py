"""A scheduler and workers that are frozen, as by SIGSTOP or a machine that hangs: nobody waits for ever."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from distributed import Client

from configs.compute.address import read_compute
from flows.compute.cluster import connect
from flows.compute.cluster_pool import ClusterPool
from flows.compute.errors import ComputeUnavailable, WorkLost
from flows.compute.versions import code_digest
from models.estimators.streaming.cluster_workers import awake
from tests.dask_clusters import DaskProcesses, dask_processes
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.faults]
TTL = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s"}


@contextmanager
def impatient(cluster: DaskProcesses, silence: float = 60, no_worker: float = 60) -> Iterator[ClusterPool]:
    """A pool that gives up sooner than those of users."""
    client = Client(cluster.address.replace("dask://", "tcp://"), set_as_default=False)
    pool = ClusterPool(client, code_digest(), silence=silence, no_worker=no_worker)
    try:
        yield pool
    finally:
        pool.close()


def test_a_worker_that_is_frozen_before_is_told_and_gets_no_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with dask_processes(tmp_path / "dask", 2) as cluster:
        cluster.workers[0].send_signal(signal.SIGSTOP)
        with caplog.at_level(logging.WARNING, "ratchet.compute"):
            pool = connect(read_compute(cluster.address), packages=["numpy"])
        try:
            assert pool.width == 1
            shared = pool.share(b"abc")
            doers = {pool.submit(os.getpid).result(60) for _ in range(6)}
            assert doers == {cluster.workers[1].pid}
            assert pool.submit(len, shared).result(60) == 3
        finally:
            pool.close()
        assert (
            "work goes to 1 of its workers, as these did not answer within 20 seconds: tcp://" in caplog.text
        )
        cluster.workers[1].send_signal(signal.SIGSTOP)
        with pytest.raises(
            ComputeUnavailable, match=r"no worker of .* answers within 20 seconds \(tcp.*, tcp"
        ):
            connect(read_compute(cluster.address), packages=["numpy"])


def test_what_a_frozen_worker_had_is_done_by_another_when_dask_takes_it_for_lost(tmp_path: Path) -> None:
    cluster = DaskProcesses(tmp_path, free_port(), environment=TTL)
    try:
        cluster.start_scheduler()
        for _ in range(2):
            cluster.add_worker()
        with impatient(cluster) as pool:
            shared = pool.share(list(range(100)))
            assert pool.submit(sum, shared).result(60) == 4950
            # One may have ended there with a result that nobody has fetched yet.
            promised = [pool.submit(time.sleep, 0.2) for _ in range(10)]
            cluster.workers[0].send_signal(signal.SIGSTOP)
            assert [one.result(60) for one in promised] == [None] * 10
            assert pool.submit(sum, shared).result(60) == 4950
    finally:
        cluster.stop()


def test_the_width_is_asked_of_the_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other second Dask's client overwrites what it knows with an answer that names no workers."""
    with dask_processes(tmp_path / "dask", 2) as cluster, impatient(cluster) as pool:
        monkeypatch.setattr(pool.client, "scheduler_info", lambda **_: {"workers": {}})
        assert pool.width == 2


def test_a_scheduler_that_freezes_is_given_up(tmp_path: Path) -> None:
    with dask_processes(tmp_path / "dask", 1) as cluster, impatient(cluster, silence=4) as pool:
        assert cluster.scheduler is not None
        promised = [pool.submit(time.sleep, 600) for _ in range(2)]
        cluster.scheduler.send_signal(signal.SIGSTOP)
        for one in promised:
            with pytest.raises(WorkLost, match="its scheduler has not answered for 4 seconds"):
                one.result(60)
        with pytest.raises(WorkLost, match="its scheduler has not answered"):
            pool.submit(divmod, 7, 2).result(60)


def test_work_that_nobody_is_left_to_do_is_given_up(tmp_path: Path) -> None:
    with dask_processes(tmp_path / "dask", 1) as cluster, impatient(cluster, no_worker=8) as pool:
        promised = pool.submit(time.sleep, 5)
        cluster.workers[0].kill()
        cluster.add_worker()  # which comes soon enough
        promised.result(60)
        promised = pool.submit(time.sleep, 600)
        cluster.workers[1].kill()
        with pytest.raises(WorkLost, match="it has had no worker for 8 seconds"):
            promised.result(60)


def test_parts_of_a_training_by_all_go_to_workers_that_are_heard_of(tmp_path: Path) -> None:
    with dask_processes(tmp_path / "dask", 2) as cluster, impatient(cluster) as pool:
        before = awake(pool.client)
        assert len(before) == 2
        cluster.workers[0].send_signal(signal.SIGSTOP)
        until = time.monotonic() + 60
        while len(after := awake(pool.client, silence=3)) == 2:
            assert time.monotonic() < until
            time.sleep(0.2)
        held = pool.client.scatter([np.arange(3)], workers=after, hash=False)
        assert held[0].result(60).tolist() == [0, 1, 2]
        assert set(after) < set(before)
