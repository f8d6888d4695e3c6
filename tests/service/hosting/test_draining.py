"""A service that is told to end, or to read its configuration anew, resets nobody's connection."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import uvicorn

from service.hosting.draining import end_connections
from tests.service.servers import Server

CLIENTS = 16
ANSWERED = "200"
NOBODY_THERE = "ConnectError"
"""Refused after the end: nothing of a request was sent."""


def ask(url: str, answers: Counter[str], end: threading.Event, *, keeps: bool) -> None:
    """One client, until told to end or nobody is there; with a connection for all requests, or for each."""
    client = httpx.Client(base_url=url, timeout=20)
    while not end.is_set():
        try:
            answers[str(client.get("/health").status_code)] += 1
        except httpx.HTTPError as error:
            answers[type(error).__name__] += 1
            if isinstance(error, httpx.ConnectError):
                break
        if not keeps:
            client.close()
            client = httpx.Client(base_url=url, timeout=20)
    client.close()


@contextmanager
def asking(server: Server) -> Iterator[Counter[str]]:
    """Clients that ask without a pause."""
    answers: Counter[str] = Counter()
    end = threading.Event()
    threads = [
        threading.Thread(target=ask, args=(server.url, answers, end), kwargs={"keeps": bool(number % 2)})
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        end.set()
        for thread in threads:
            thread.join()


def wait_for_answers(answers: Counter[str], count: int) -> None:
    until = time.monotonic() + 30
    while answers[ANSWERED] < count:
        assert time.monotonic() < until, answers
        time.sleep(0.01)


def test_sigterm_resets_no_connection(database_url: str, tmp_path: Path) -> None:
    with Server(tmp_path / "home", database_url, RATCHET_WORKERS="2") as server:
        with asking(server) as answers:
            wait_for_answers(answers, 50)
            server.stop()
            assert server.process.returncode == 0
        assert set(answers) <= {ANSWERED, NOBODY_THERE}, answers


def test_workers_whose_parent_was_killed_answer_what_has_connected(database_url: str, tmp_path: Path) -> None:
    with Server(tmp_path / "home", database_url, RATCHET_WORKERS="2") as server:
        workers = server.workers()
        with asking(server) as answers:
            wait_for_answers(answers, 50)
            server.process.kill()
            server.process.wait(10)
            before = answers[ANSWERED]
            _, alive = psutil.wait_procs(workers, timeout=20)
            assert alive == []
        assert answers[ANSWERED] > before
        assert set(answers) <= {ANSWERED, NOBODY_THERE}, answers


def test_an_idle_connection_is_told_that_it_ends(database_url: str, tmp_path: Path) -> None:
    with Server(tmp_path / "home", database_url) as server:
        assert "connection" not in server.client.get("/livez").headers
        server.process.terminate()
        time.sleep(0.2)
        assert server.client.get("/livez").headers["connection"] == "close"


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_workers_are_replaced_without_a_failed_request(
    database_url: str, tmp_path: Path, workers: int
) -> None:
    with Server(tmp_path / "home", database_url, RATCHET_WORKERS=str(workers)) as server:
        before = server.workers()
        with asking(server) as answers:
            wait_for_answers(answers, 20)
            server.process.send_signal(signal.SIGHUP)
            _, alive = psutil.wait_procs(before, timeout=90)
            assert alive == []
            wait_for_answers(answers, answers[ANSWERED] + 20)
        assert set(answers) == {ANSWERED}, answers
        assert len(server.workers()) == workers


@pytest.mark.slow
def test_workers_stay_where_new_ones_do_not_start(database_url: str, tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    configs.mkdir()
    with Server(tmp_path / "home", database_url, RATCHET_CONFIGS=str(configs)) as server:
        before = server.workers()
        (configs / "wrong.yaml").write_text("name: [", encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 60
        while "new workers did not start" not in server.log.read_text():
            assert time.monotonic() < until
            time.sleep(0.1)
        assert server.workers() == before
        assert server.client.get("/readyz").status_code == 200


def test_answers_go_on_saying_that_connections_end() -> None:
    """uvicorn makes its headers anew each second, which a drain outlasts."""
    config = uvicorn.Config("nowhere:app")
    config.encoded_headers = []
    server = uvicorn.Server(config)
    asyncio.run(server.on_tick(0))
    end_connections(server)
    for tick in (1, 10, 20):
        asyncio.run(server.on_tick(tick))
        assert server.server_state.default_headers.count((b"connection", b"close")) == 1
