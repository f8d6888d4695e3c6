"""Refusals on the connection itself: cheap, and the connection goes on."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from service.errors import Overloaded
from service.http.connections import guarded
from service.http.connections.guarded import GuardedConnection
from service.http.connections.patience import LEAST_BYTES, PatientConnection
from service.http.connections.shedding import Ranking
from tests.service.swap.test_watcher import wait_for

REACHED: list[str] = []
FREE = threading.Event()
LARGE = 30_000_000


class Pressed:
    """A front that has no room for one path."""

    def __init__(self) -> None:
        self.pressed: Overloaded | None = Overloaded(3, 2)

    def refuses(self, method: str, path: str) -> Overloaded | None:
        return self.pressed if (method, path) == ("POST", "/busy") else None

    def find_direct(self, method: bytes, url: bytes, scope: Any) -> None:
        """Every request goes the general way."""

    def find_known(self, data: bytes, server: Any) -> None:
        """So none is known."""

    def answers_always(self, path: str) -> bool:
        return path == "/health"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Notes whom it has seen."""
    REACHED.append(scope["path"])
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.disconnect":
        return
    while scope["path"] == "/work" and not FREE.is_set():
        await asyncio.sleep(0.01)
    body = b"x" * LARGE if scope["path"] == "/large" else b"ok"
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """To a server of `GuardedConnection`s."""
    REACHED.clear()
    FREE.clear()
    monkeypatch.setattr(GuardedConnection, "ranking", Ranking())
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
    FREE.set()
    server.should_exit = True
    thread.join(10)
    loop.close()
    PatientConnection._looking = False


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


def rest(connection: socket.socket) -> bytes:
    """What still comes until it is closed or cut."""
    got = bytearray()
    try:
        while part := connection.recv(1_000_000):
            got += part
    except ConnectionResetError:
        pass
    return bytes(got)


def another(connection: socket.socket, address: str = "127.0.0.1") -> socket.socket:
    """One more connection to the same server."""
    return socket.create_connection(connection.getpeername(), timeout=5, source_address=(address, 0))


def test_while_all_are_at_work_only_health_is_answered(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedConnection, "most", 1)
    connection.sendall(post("/work", b"abc"))
    wait_for(lambda: REACHED == ["/work"])
    with another(connection) as second:
        second.sendall(post("/fine", b"abc"))
        refused = answer(second)
        assert b"503 Service Unavailable" in refused
        assert b"2 connections are open; allowed: 1" in refused
        for path in ("/health", "/health?x=1"):
            second.sendall(post(path, b""))
            assert answer(second).endswith(b"ok")
    with another(connection) as third:
        third.sendall(post("/health", b""))
        assert answer(third).endswith(b"ok")
    assert "/fine" not in REACHED
    FREE.set()
    assert answer(connection).endswith(b"ok")


def test_a_worker_at_work_keeps_only_so_many_more(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedConnection, "most", 1)
    monkeypatch.setattr(guarded, "SPARE", 0)
    connection.sendall(post("/work", b"abc"))
    wait_for(lambda: REACHED == ["/work"])
    with another(connection) as second:
        assert b"2 connections are open; allowed: 1" in answer(second)
        assert second.recv(10) == b""


@pytest.mark.parametrize(
    "slow",
    [
        post("/slow", b"x" * 10)[:-5],
        b"POST /slow HTTP/1.1\r\nhost: ",
        b"",
        post("/fine", b""),
        post("/large", b""),
    ],
    ids=["half a body", "half a head", "nothing", "idle", "nothing read"],
)
def test_a_newcomer_takes_the_place_of_who_is_waited_for(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch, slow: bytes
) -> None:
    monkeypatch.setattr(GuardedConnection, "most", 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # or the kernel takes all of an answer
    connection.sendall(slow)
    time.sleep(1.3)
    with another(connection) as second:
        second.sendall(post("/fine", b"abc"))
        assert answer(second).endswith(b"ok")
        got = rest(connection)
        assert len(got) < LARGE
        assert (b" 503 " in got) is (slow.startswith(b"POST /slow"))


def test_nobody_pays_for_the_many_of_another(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedConnection, "most", 5)
    connection.sendall(post("/fine", b"x" * 10)[:-5])  # slow, and before all others
    wait_for(lambda: REACHED == ["/fine"])
    many = []
    for _ in range(40):
        many.append(another(connection, "127.0.0.2"))
        many[-1].sendall(post("/slow", b"x" * 10)[:-5])
    connection.sendall(b"xxxxx")
    assert answer(connection).endswith(b"ok")
    for one in many:
        one.close()


def test_a_look_for_which_there_was_no_memory_is_not_the_last(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedConnection, "patience", 1)
    look, failed = GuardedConnection.look_over, threading.Event()

    def fails_once(one: GuardedConnection, now: float) -> None:
        if not failed.is_set():
            failed.set()
            raise MemoryError
        look(one, now)

    monkeypatch.setattr(GuardedConnection, "look_over", fails_once)
    connection.sendall(post("/free", b"12345")[:-2])
    assert b" 408 " in answer(connection)
    assert failed.is_set()


def test_who_sends_much_and_then_nothing_is_cut_off(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedConnection, "patience", 1)
    much = 5_000_000
    bought = much / LEAST_BYTES  # seconds, if time that is not used could be saved up
    connection.settimeout(bought / 10)
    connection.sendall(post("/fine", b"x" * much)[:-5])
    assert b" 408 " in answer(connection)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param((), id="kept"),
        pytest.param(("connection: close",), id="closed by the server", marks=pytest.mark.slow),
    ],
)
def test_who_reads_much_and_then_nothing_is_cut_off(
    connection: socket.socket, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    monkeypatch.setattr(GuardedConnection, "patience", 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # or the kernel takes all of it
    connection.sendall(post("/large", b"", *more))
    got = 0
    while got < LARGE // 2:
        got += len(connection.recv(1_000_000))
    time.sleep(4.5)
    assert got + len(rest(connection)) < LARGE
