"""One client with many connections, all slow in one way or another, keeps nobody else from being answered."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.service.conftest import USE_CASES, record_of
from tests.service.servers import Server, put_in_cache

PLANS = USE_CASES["plans"]
BODY = {"records": [record_of(PLANS)]}
MOST = 60
PATIENCE = 60
"""Seconds that slow clients are given: who is answered before did not wait until they were let go."""
HEAD = "POST /v1/plans/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
LARGE = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Server]:
    """One worker that keeps few connections, and is patient."""
    home = tmp_path_factory.mktemp("crowds") / "home"
    put_in_cache(home, PLANS, 1, serving=1)
    with Server(
        home,
        module_database_url,
        RATCHET_USE_CASES="plans",
        RATCHET_MAX_CONNECTIONS=str(MOST),
        RATCHET_SLOW_CLIENT_SECONDS=str(PATIENCE),
        RATCHET_MAX_IN_FLIGHT="20",
    ) as running:
        yield running


def ask(server: Server, content: bytes) -> None:
    """A client that has no connection yet predicts and looks, and is answered while the others stand."""
    with httpx.Client(base_url=server.url, timeout=PATIENCE / 2, headers={"connection": "close"}) as client:
        for method, path in (
            ("POST", "/v1/plans/predict"),
            ("GET", "/health"),
            ("GET", "/livez"),
            ("GET", "/readyz"),
            ("GET", "/metrics"),
            ("GET", "/v2/health/live"),
        ):
            body = content if method == "POST" else None
            headers = {"content-type": "application/json"} if body else {}
            answer = client.request(method, path, content=body, headers=headers)
            assert answer.status_code == 200, (path, answer.text)


@pytest.mark.parametrize(
    ("sent", "then"),
    [
        (f"{HEAD}content-length: 5000\r\n\r\n{{", " "),
        (f"{HEAD}x: ", "y"),
        ("", ""),
        ("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n", ""),
        ("GET /docs.json HTTP/1.1\r\nhost: localhost\r\n\r\n" * 30, ""),
    ],
    ids=["slow bodies", "slow heads", "silence", "idle", "unread answers"],
)
def test_many_of_one_client_leave_room(server: Server, sent: str, then: str) -> None:
    with ExitStack() as opened:
        crowd = []
        for _ in range(2 * MOST):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", server.port))
            crowd.append(opened.enter_context(one))
            one.sendall(sent.encode())
        for _ in range(3):
            time.sleep(0.7)
            for one in crowd if then else ():
                with suppress(OSError):  # it was let go
                    one.sendall(then.encode())
            ask(server, json.dumps(BODY).encode())


def test_large_bodies_that_stand_still_leave_room(server: Server) -> None:
    with ExitStack() as opened:
        head = f"{HEAD}content-length: {LARGE}\r\n\r\n".encode()
        for _ in range(20):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            with suppress(OSError):  # there is no room for all of them
                one.sendall(head + b" " * (LARGE - 1))
        time.sleep(3.5)
        padded = json.dumps(BODY).encode() + b" " * 500_000
        for _ in range(5):
            ask(server, padded)


def test_large_bodies_that_are_announced_and_not_sent_take_no_room(server: Server) -> None:
    with ExitStack() as opened:
        for _ in range(30):
            one = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            one.sendall(f"{HEAD}content-length: {LARGE}\r\n\r\n{{".encode())
        ask(server, json.dumps(BODY).encode() + b" " * 500_000)
