"""A worker of the service in this process, on real PostgreSQL, with tiny real models."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from configs.loading import load_use_cases
from configs.schema import UseCase
from configs.settings import CHECKOUT, read_settings
from features.records.example import example_record
from models.errors import RegistryUnavailable, UnknownVersion
from models.production.contract import RunFacts, Version
from models.versions.cache import fetch_artifact
from service.hosting.listening import origin_policy
from service.http.front import Front
from service.worker import Worker
from tests.service.tiny import make_artifact

USE_CASES = load_use_cases([CHECKOUT / "configs"])
POLL_SECONDS = 1.0
"""Between looks at the registry, which servers take after three times as long."""


@dataclass
class FolderRegistry:
    """Stands for MLflow: versions in a folder, aliases in a dictionary."""

    folder: Path
    production: dict[str, int] = field(default_factory=dict)
    others: dict[str, dict[str, int]] = field(default_factory=dict)
    away: bool = False
    downloads: list[tuple[str, int]] = field(default_factory=list)
    artifacts: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def add(self, use_case: UseCase, version: int) -> Path:
        """Make a version."""
        return make_artifact(self.folder / use_case.name / str(version), use_case, seed=version)

    def alias_version(self, use_case: str, alias: str) -> int | None:
        return self.aliases(use_case).get(alias)

    def aliases(self, use_case: str) -> dict[str, int]:
        self._answer()
        now = self.production.get(use_case)
        return self.others.get(use_case, {}) | ({} if now is None else {"production": now})

    def set_alias(self, use_case: str, alias: str, version: int) -> None:
        self._answer()
        if alias == "production":
            self.production[use_case] = version
        else:
            self.others.setdefault(use_case, {})[alias] = version

    def delete_alias(self, use_case: str, alias: str) -> None:
        self._answer()
        del self.others[use_case][alias]

    def version(self, use_case: str, version: int) -> Version:
        self._answer()
        if not (self.folder / use_case / str(version)).is_dir():
            raise UnknownVersion(use_case, version)
        return Version(use_case, version, f"run-{version}", {"gate": "promote"}, (), 0)

    def versions(self, use_case: str) -> list[Version]:
        named = self.aliases(use_case)
        folders = (self.folder / use_case).iterdir() if (self.folder / use_case).is_dir() else ()
        found = [self.version(use_case, number) for number in sorted(int(one.name) for one in folders)]
        return [replace(one, aliases=tuple(k for k, v in named.items() if v == one.version)) for one in found]

    def metrics(self, run_id: str) -> dict[str, float]:
        assert run_id.startswith("run-")
        self._answer()
        return {"accuracy": 0.9}

    def run(self, run_id: str) -> RunFacts | None:
        return RunFacts("7", self.metrics(run_id))

    def artifact(self, run_id: str, path: str) -> bytes | None:
        self._answer()
        return self.artifacts.get((run_id, path))

    def download(self, use_case: str, version: int, cache_dir: Path, digest: str | None = None) -> Path:
        def fetch(folder: Path) -> Path:
            self._answer()
            self.downloads.append((use_case, version))
            source = self.folder / use_case / str(version)
            if not source.is_dir():
                raise UnknownVersion(use_case, version)
            return Path(shutil.copytree(source, folder / "artifact"))

        return fetch_artifact(cache_dir, use_case, version, digest, fetch)

    def _answer(self) -> None:
        if self.away:
            raise RegistryUnavailable("folder", "away")


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(60)
        self.loop.close()


class Service:
    """One worker, and a client that speaks to it without a socket."""

    def __init__(self, environ: dict[str, str], registry: FolderRegistry) -> None:
        self.registry = registry
        self.collected = CollectorRegistry()
        self.worker = Worker(read_settings(environ), registry, self.collected)
        self.front = Front(
            _nothing_here,
            lambda: self.worker.routes,
            lambda path: path == "/livez",
            origin_policy(self.worker.settings),
        )
        with ExitStack() as opened:  # so that all of it is closed, whatever fails
            self._thread = LoopThread()
            opened.callback(self._thread.close)
            self._thread.run(self.worker.start())
            self.worker.watcher._poll_seconds = POLL_SECONDS
            opened.callback(lambda: self._thread.run(self.worker.stop()))
            self.client = httpx.AsyncClient(
                transport=httpx.ASGITransport(self.front), base_url="http://localhost"
            )
            opened.callback(lambda: self._thread.run(self.client.aclose()))
            self._opened = opened.pop_all()

    def post(self, path: str, content: Any, **headers: str) -> httpx.Response:
        """POST JSON, or bytes as they are."""
        body = content if isinstance(content, bytes) else orjson.dumps(content)
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        call = self.client.post(path, content=body, headers={"content-type": "application/json"} | named)
        response: httpx.Response = self._thread.run(call)
        return response

    def get(self, path: str, method: str = "GET") -> httpx.Response:
        """Send a request without a body."""
        response: httpx.Response = self._thread.run(self.client.request(method, path))
        return response

    def run(self, work: Any) -> Any:
        """Run a coroutine on the worker's loop."""
        return self._thread.run(work)

    def metrics(self) -> str:
        """What Prometheus would read."""
        return generate_latest(self.collected).decode()

    def close(self) -> None:
        self._opened.close()


StartService = Callable[..., Service]


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    """A registry in which nothing has been trained."""
    return FolderRegistry(tmp_path / "registry")


@pytest.fixture
def start_service(database_url: str, registry: FolderRegistry, tmp_path: Path) -> Iterator[StartService]:
    """Starts workers, which are stopped at the end."""
    with ExitStack() as started:

        def start(**environ: str) -> Service:
            base = {"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_DATABASE_URL": database_url}
            service = Service(base | environ, registry)
            started.callback(service.close)
            return service

        yield start


@pytest.fixture
def service(request: pytest.FixtureRequest, start_service: StartService, registry: FolderRegistry) -> Service:
    """A worker that serves version 1 of shipped use cases, and hears of promotions.

    It serves the one that the test is about (`use_case`) and those that its file names in `SERVED`; where
    there is neither, all of them.
    """
    about = [request.getfixturevalue("use_case").name] if "use_case" in request.fixturenames else []
    served = {*about, *getattr(request.module, "SERVED", ())} or USE_CASES.keys()
    for name in served:
        registry.add(USE_CASES[name], 1)
        registry.production[name] = 1
    started = start_service(RATCHET_USE_CASES=",".join(sorted(served)))
    assert started.worker.watcher.listening.wait(10), "the worker does not listen"
    return started


@pytest.fixture(params=sorted(USE_CASES))
def use_case(request: pytest.FixtureRequest) -> UseCase:
    """Each shipped use case."""
    return USE_CASES[request.param]


def record_of(use_case: UseCase) -> dict[str, Any]:
    """A valid record, as JSON would give it."""
    record: dict[str, Any] = orjson.loads(orjson.dumps(example_record(use_case.record)))
    return record


def truth_of(use_case: UseCase, label: str) -> str | list[str]:
    """A label as callers send it for a record."""
    return [label] if use_case.target.task == "multilabel" else label


def source_of(use_case: UseCase) -> str:
    """Who answers where production is sure: its link of the chain, if there is one."""
    links = () if use_case.chain is None else use_case.chain.links
    return next((link.name for link in links if link.alias == "production"), "model")


async def _nothing_here(scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-inner", b"yes")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
