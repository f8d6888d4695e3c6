"""Refusals on the connection itself: cheap, and the connection goes on."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from service.connections import GuardedConnection
from service.errors import Overloaded
from tests.service.test_swap import wait_for

REACHED: list[str] = []


class Pressed:
    """A front that has no room for one path."""

    def __init__(self) -> None:
        self.pressed: Overloaded | None = Overloaded(3, 2)

    def refuses(self, method: str, path: str) -> Overloaded | None:
        return self.pressed if (method, path) == ("POST", "/busy") else None


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Notes whom it has seen."""
    REACHED.append(scope["path"])
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """To a server of `GuardedConnection`s."""
    REACHED.clear()
    monkeypatch.setattr(GuardedConnection, "front", Pressed(), raising=False)
    monkeypatch.setattr(GuardedConnection, "most", 10, raising=False)
    monkeypatch.setattr(GuardedConnection, "patience", 5, raising=False)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, http=GuardedConnection, lifespan="off", log_config=None, timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve([listening])))
    thread.start()
    with socket.create_connection(listening.getsockname(), timeout=5) as made:
        yield made
    server.should_exit = True
    thread.join(10)
    loop.close()
    GuardedConnection._looking = False


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answer(connection: socket.socket) -> bytes:
    """One whole answer."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    assert len(body) == length
    return head + b"\r\n\r\n" + body


def test_a_refusal_does_not_reach_the_application_and_the_connection_goes_on(
    connection: socket.socket,
) -> None:
    for size in (0, 10, 300_000):
        connection.sendall(post("/busy", b"x" * size))
        refused = answer(connection)
        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nretry-after: 1\r\n" in refused
        assert b'"code":"overloaded"' in refused
        connection.sendall(post("/fine", b"x" * size))
        assert answer(connection).endswith(b"ok")
    assert REACHED == ["/fine"] * 3


def test_what_was_sent_behind_a_refused_request_is_answered(connection: socket.socket) -> None:
    connection.sendall(post("/busy", b"abc") + post("/fine", b"abc"))
    got = b""
    while not got.endswith(b"ok"):
        got += connection.recv(65536)
    assert got.startswith(b"HTTP/1.1 503 ")
    assert b"HTTP/1.1 200 OK\r\n" in got


def test_an_idle_connection_is_closed_after_a_refusal_too(connection: socket.socket) -> None:
    connection.sendall(post("/busy", b"abc"))
    assert b" 503 " in answer(connection)
    assert connection.recv(10) == b""  # after uvicorn's time for idle ones, a second here


@pytest.mark.parametrize("header", ["connection: close", "expect: 100-continue"])
def test_who_will_not_go_on_is_let_go(connection: socket.socket, header: str) -> None:
    connection.sendall(post("/busy", b"", header))
    assert b"\r\nconnection: close\r\n" in answer(connection)
    assert connection.recv(10) == b""


def test_a_connection_too_many_is_refused_while_all_are_at_work(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedConnection, "most", 1)
    connection.sendall(post("/fine", b"x" * 10)[:-5])  # at work: half of its body has come
    wait_for(lambda: REACHED == ["/fine"])
    with socket.create_connection(connection.getpeername(), timeout=5) as another:
        refused = answer(another)
        assert b"503 Service Unavailable" in refused
        assert b"2 connections are open; allowed: 1" in refused
        assert another.recv(10) == b""
    connection.sendall(b"xxxxx")
    assert answer(connection).endswith(b"ok")
