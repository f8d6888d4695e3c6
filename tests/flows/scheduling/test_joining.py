"""A second worker of another home, on the database and the Prefect of the first."""

from __future__ import annotations

import asyncio

import pytest
from prefect.exceptions import ObjectNotFound

from flows.scheduling.joining import NothingToJoin, ensure_joinable
from flows.scheduling.registering import PoolDiffers, PoolMissing, ensure_pool


class Pools:
    """Prefect's client, which knows one pool."""

    def __init__(self, kind: str | None) -> None:
        self.kind = kind
        self.base_job_template: dict[str, object] = {}
        self.made: list[str] = []

    @property
    def type(self) -> str | None:
        return self.kind

    async def read_work_pool(self, _name: str) -> Pools:
        if self.kind is None:
            raise ObjectNotFound(Exception())
        return self

    async def create_work_pool(self, made: object) -> None:
        self.made.append(made.type)  # type: ignore[attr-defined]


def ensure(kind: str, had: str | None) -> list[str]:
    pools = Pools(had)
    asyncio.run(ensure_pool(pools, "gpu", kind, sole=False))  # type: ignore[arg-type]
    return pools.made


def test_a_process_pool_is_made_and_others_are_asked_for() -> None:
    assert ensure("process", None) == ["process"]
    assert ensure("process", "process") == ensure("kubernetes", "kubernetes") == []
    with pytest.raises(PoolMissing, match="prefect work-pool create gpu --type docker"):
        ensure("docker", None)
    with pytest.raises(PoolDiffers, match=r"'gpu' is of type process, and RATCHET_WORK_POOL_TYPE is docker"):
        ensure("docker", "process")


def test_a_worker_that_would_join_only_itself_is_refused() -> None:
    shared = {"RATCHET_DATABASE_URL": "postgresql://a/b", "MLFLOW_TRACKING_URI": "http://m"}
    ensure_joinable({**shared, "PREFECT_API_URL": "http://p/api"})
    with pytest.raises(NothingToJoin, match="set PREFECT_API_URL to those of"):
        ensure_joinable(shared)
