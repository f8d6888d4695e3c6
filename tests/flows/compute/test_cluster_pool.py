"""A cluster that is lost in the very moment in which work is given to it: each piece is told so, once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest

from flows.compute.cluster_pool import ClusterPool
from flows.compute.errors import WorkLost


class Client:
    """A client of a scheduler that has one worker."""

    scheduler = SimpleNamespace(address="tcp://there", identity=None)
    is_closed = False

    def __init__(self) -> None:
        self.before_taking: Callable[[], None] = lambda: None

    def sync(self, *_: Any, **__: Any) -> Any:
        return {"workers": {"tcp://worker": {"nthreads": 1}}}

    def submit(self, *_: Any, **__: Any) -> Any:
        self.before_taking()
        if self.is_closed:
            raise ValueError("the client is closed")
        return SimpleNamespace(add_done_callback=lambda _: None, cancel=lambda **_: None)

    def close(self, **_: Any) -> None:
        self.is_closed = True


class ThenLost:
    """A lock after whose first use the cluster is lost."""

    def __init__(self, pool: ClusterPool) -> None:
        self._lock = threading.Lock()
        self._pool: ClusterPool | None = pool

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._lock.release()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool._lose("its scheduler has not answered")


def test_what_is_given_as_it_is_lost_is_told_that() -> None:
    client = Client()
    pool = ClusterPool(client, "code")
    pool._lock = ThenLost(pool)  # type: ignore[assignment]
    with pytest.raises(WorkLost, match="is given up: its scheduler has not answered"):
        pool.submit(divmod, 7, 2).result(5)
    with pytest.raises(WorkLost, match="is given up"):
        pool.submit(divmod, 7, 2).result(5)


def test_what_a_client_takes_no_more_as_it_is_lost_is_told_that() -> None:
    client = Client()
    pool = ClusterPool(client, "code")
    client.before_taking = lambda: pool._lose("it has had no worker")
    with pytest.raises(WorkLost, match="is given up: it has had no worker"):
        pool.submit(divmod, 7, 2).result(5)


def test_what_cannot_be_sent_is_told_at_once() -> None:
    client = Client()
    pool = ClusterPool(client, "code")
    client.is_closed = True
    with pytest.raises(ValueError, match="the client is closed"):
        pool.submit(divmod, 7, 2)
    pool.close()
