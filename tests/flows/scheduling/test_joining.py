"""A second worker of another home, on the database and the Prefect of the first."""

from __future__ import annotations

import asyncio
import http.server
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from configs.settings import Settings, read_settings
from flows.scheduling.joining import NothingToJoin, ensure_joinable, ensure_pool_here, ensure_reachable
from flows.scheduling.registering import PoolDiffers, PoolMissing, ensure_pool
from tests.http_servers import serving
from tests.ports import free_port


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


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that says the same to all."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with serving(Handler) as address:
        yield address


def settings(tmp_path: Path, **changes: str) -> Settings:
    return read_settings({"RATCHET_HOME": str(tmp_path), **changes})


def test_what_a_worker_shares_is_asked_before_it_takes_runs(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with answering(200) as mlflow:
        shared = {"RATCHET_DATABASE_URL": database_url, "MLFLOW_TRACKING_URI": mlflow}
        ensure_reachable(settings(tmp_path, **shared))
        dead = f"postgresql://u:secret@127.0.0.1:{free_port()}/r"
        monkeypatch.setenv("RATCHET_DATABASE_URL", dead)  # as `ratchet worker` has it
        with pytest.raises(NothingToJoin, match=r"RATCHET_DATABASE_URL: .*127\.0\.0\.1") as refused:
            ensure_reachable(settings(tmp_path, **shared | {"RATCHET_DATABASE_URL": dead}))
        assert "secret" not in str(refused.value)
    with pytest.raises(NothingToJoin, match=f"MLFLOW_TRACKING_URI: nothing answers at {nowhere}"):
        ensure_reachable(settings(tmp_path, **shared | {"MLFLOW_TRACKING_URI": nowhere}))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"answers 401; set PREFECT_API_AUTH_STRING"),
        (None, r"PREFECT_API_URL: nothing of Prefect answers at http://127\.0\.0\.1"),
    ],
)
def test_a_prefect_that_lets_nobody_in_is_told(tmp_path: Path, status: int | None, said: str) -> None:
    with answering(status or 200) as url:
        api = f"{url if status else f'http://127.0.0.1:{free_port()}'}/api"
        with temporary_settings({PREFECT_API_URL: api}), pytest.raises(NothingToJoin, match=said):
            asyncio.run(ensure_pool_here(settings(tmp_path, PREFECT_API_URL=api)))
