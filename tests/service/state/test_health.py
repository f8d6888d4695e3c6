"""`/health` says `ok` when all is alive and only then, and says so soon, whatever hangs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import HTTPServer
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from models.production.registry_rest import MlflowRest
from service.state import prefect_health
from service.state.health import ANSWER_SECONDS
from service.storage.silence import PATIENCE
from store.supervision import Supervision, write_supervision
from tests.ports import closed_port
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of
from tests.service.state.test_prefect_health import Healthy
from tests.service.swap.test_watcher import wait_for
from tests.store.runs.test_workers import living_worker

PLANS = USE_CASES["plans"]
SOON = ANSWER_SECONDS + 0.5
TRIES = 5
"""A busy machine may take longer now and then, but not each time."""


class Relay:
    """A way to a server that can be made to hang, as a stopped server or a lost network does."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._flows = threading.Event()
        self._flows.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def hang(self) -> None:
        self._flows.clear()

    def go_on(self) -> None:
        self._flows.set()

    def close(self) -> None:
        self._flows.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # whoever waits for the next caller stops
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:  # the database is gone
                caller.close()
                continue
            for source, target in ((caller, server), (server, caller)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while part := source.recv(65536):
                self._flows.wait()
                target.sendall(part)
        except OSError:
            pass
        finally:
            for one in (source, target):
                one.close()


@pytest.fixture
def prefect() -> Iterator[str]:
    """API of a server that says that it is well."""
    server = HTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    """The way to the database."""
    parts = urlsplit(database_url)
    assert parts.hostname is not None
    assert parts.port is not None
    made = Relay(parts.hostname, parts.port)
    yield made
    made.close()


def through(relay: Relay, database_url: str) -> str:
    parts = urlsplit(database_url)
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{relay.port}"))


def health(service: Service) -> Any:
    """What it says, which it must soon."""
    for _ in range(TRIES):
        began = time.monotonic()
        answer = service.get("/health")
        assert answer.status_code == 200
        if time.monotonic() - began < SOON:
            return answer.json()
    raise AssertionError(f"it took longer than {SOON} s, {TRIES} times")


def test_all_alive_is_ok_and_a_dead_worker_is_seen(
    start_service: StartService, prefect: str, database_url: str
) -> None:
    service = start_service(PREFECT_API_URL=prefect)
    wait_for(lambda: health(service)["dependencies"]["mlflow"]["ok"])
    told = health(service)
    assert told["status"] == "degraded"
    assert told["dependencies"]["worker"]["ok"] is False
    assert "`ratchet up`" in told["dependencies"]["worker"]["error"]
    with living_worker(database_url) as worker:
        told = health(service)
        assert told["status"] == "ok"
        assert all(state == {"ok": True} for state in told["dependencies"].values())
        assert sorted(told["dependencies"]) == ["database", "mlflow", "prefect", "worker"]
        worker.kill()
        wait_for(lambda: health(service)["dependencies"]["worker"]["ok"] is False, 2)
    assert health(service)["status"] == "degraded"


def test_one_that_serves_alone_lives_by_the_prefect_of_the_worker_that_it_has(
    start_service: StartService, database_url: str
) -> None:
    service = start_service(RATCHET_PREFECT_PORT=str(closed_port()))
    wait_for(lambda: health(service)["dependencies"]["mlflow"]["ok"])
    assert health(service)["dependencies"]["prefect"]["ok"] is False, "nobody runs flows"
    with living_worker(database_url):
        told = health(service)
        assert told["dependencies"]["prefect"] == {"ok": True, "elsewhere": True}
        assert told["status"] == "ok"
        write_supervision(service.worker.settings.home, Supervision(1, 0.0, {}, ()))
        told = health(service)
        assert told["dependencies"]["prefect"]["ok"] is False, "`ratchet up` of this home has started it"
        assert told["status"] == "degraded"


def test_a_dead_prefect_is_degraded(
    start_service: StartService, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefect_health, "LOOK_SECONDS", 0.0)
    service = start_service(PREFECT_API_URL=f"http://127.0.0.1:{closed_port()}/api")
    with living_worker(database_url):
        wait_for(lambda: health(service)["dependencies"]["mlflow"]["ok"])
        told = health(service)
        assert told["status"] == "degraded"
        assert [name for name, state in told["dependencies"].items() if not state["ok"]] == ["prefect"]


@pytest.mark.parametrize("hangs", [pytest.param("hangs", marks=pytest.mark.slow), "is away"])
def test_a_dead_mlflow_is_seen_where_nothing_is_trained(
    database_url: str, tmp_path: Any, prefect: str, hangs: str
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        port = silent.getsockname()[1] if hangs == "hangs" else closed_port()
        environ = {
            "RATCHET_HOME": str(tmp_path),
            "RATCHET_DATABASE_URL": database_url,
            "PREFECT_API_URL": prefect,
        }
        service = Service(environ, MlflowRest(f"http://127.0.0.1:{port}"))  # type: ignore[arg-type]
        try:
            assert health(service)["dependencies"]["mlflow"]["ok"] is False  # before it was asked, too
            wait_for(lambda: f":{port}" in health(service)["dependencies"]["mlflow"]["error"], 10)
            assert health(service)["status"] == "degraded"
        finally:
            service.close()


def test_a_hung_prefect_keeps_nobody_waiting(start_service: StartService) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        service = start_service(PREFECT_API_URL=f"http://127.0.0.1:{silent.getsockname()[1]}/api")
        assert health(service)["dependencies"]["prefect"]["ok"] is False


def test_a_hung_database_keeps_nobody_waiting(
    start_service: StartService, registry: FolderRegistry, relay: Relay, database_url: str
) -> None:
    registry.add(PLANS, 1)
    registry.production["plans"] = 1
    url = through(relay, database_url)
    service = start_service(RATCHET_DATABASE_URL=url, RATCHET_USE_CASES="plans")
    assert health(service)["dependencies"]["database"] == {"ok": True}
    relay.hang()
    began = time.monotonic()
    assert service.post("/v1/plans/predict", {"records": [record_of(PLANS)]}).status_code == 200
    assert time.monotonic() - began < PATIENCE, "whoever waits for the database is not set free before"
    for _ in range(3):
        told = health(service)
        assert told["status"] == "degraded"
        assert "does not answer within" in told["dependencies"]["database"]["error"]
        assert told["dependencies"]["worker"]["ok"] is False
        assert told["use_cases"]["plans"]["labels"] is None
        assert told["use_cases"]["plans"]["state"] == "serving"
    assert service.post("/v1/plans/predict", {"records": [record_of(PLANS)]}).status_code == 200
    relay.go_on()
    wait_for(lambda: health(service)["dependencies"]["database"]["ok"], 10)


def test_threads_that_are_all_at_work_keep_nobody_waiting(start_service: StartService) -> None:
    service = start_service()
    free = threading.Event()

    async def occupy() -> None:
        for _ in range(50):
            threads = service.worker.parts.threads
            threads.loop.run_in_executor(threads.executor, free.wait, 20)

    service.run(occupy())
    try:
        assert health(service)["dependencies"]["database"] == {"ok": True}
        for path in ("/v2/health/live", "/ping", "/livez"):
            assert service.get(path).status_code in (200, 503)
    finally:
        free.set()
