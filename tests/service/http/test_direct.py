"""Requests without ASGI: answered as the general way does, and handed over to it where they are odd."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from configs.api_keys import add_key, remove_key
from configs.security.origins import OriginPolicy
from service.errors import Failed, ServiceError
from service.http.access import Access
from service.http.admission import Admission
from service.http.connections.guarded import GuardedConnection
from service.http.connections.shedding import Ranking
from service.http.direct import DirectExchange, Waiter, is_plain
from service.http.exchange import SMALL_BODY, Receive, Scope, read_body
from service.http.front import Front, Route
from service.http.key_ring import KeyRing
from tests.service.swap.test_watcher import wait_for

PATH = "/v1/digits/predict"
KEEP_ALIVE = 2.0
GENERAL = "content-type: application/json; charset=utf-8\r\n"
"""Sends a request the general way."""


class Served:
    """A server whose one route answers `{"of":"<body>"}`, by which way it notes."""

    def __init__(self, keys: Path) -> None:
        self.ways: list[str] = []
        self.observed: list[int] = []
        self.held: list[Waiter] = []
        self.alone: list[bool] = []
        ring = KeyRing(keys, demanded=False)
        ring.look()
        observe = lambda status, _seconds: self.observed.append(status)  # noqa: E731
        self.routes: Any = SimpleNamespace(
            table={PATH: Route({"POST": self.handle}, observe, at_once=self.begin)},
            folders={}, use_cases=["digits"],
            access=Access(ring, metrics_open=True), admission=Admission(2, 1000),
        )  # fmt: skip
        self.front = Front(self._beyond, lambda: self.routes, lambda _path: False, OriginPolicy())

    async def handle(self, scope: Scope, receive: Receive) -> bytes:
        body = await read_body(scope, receive, SMALL_BODY)
        self.ways.append("general")
        if b"broken" in body:
            raise Failed("it is broken")
        return b'{"of":"%b"}' % body

    def begin(self, body: bytes, waiter: Waiter, alone: bool) -> bool:
        self.alone.append(alone)
        if b"odd" in body:
            return False
        if b"refused" in body:
            raise Failed("the general way does not find that")
        self.ways.append("direct")
        if b"later" in body:
            self.held.append(waiter)
        else:
            error: ServiceError | None = Failed("it is broken") if b"broken" in body else None
            answer = SimpleNamespace(body=b'{"of":"%b"}' % body)
            tell: Callable[[], None] = (
                (lambda: waiter.set_result(answer))
                if error is None
                else (lambda: waiter.set_exception(error))
            )
            if b"at once" in body:
                tell()
            else:
                asyncio.get_running_loop().call_soon(tell)
        return True

    async def _beyond(self, _scope: Scope, _receive: Receive, _send: Any) -> None:
        raise AssertionError


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """Without keys until some are added."""
    return Served(tmp_path / "keys.yaml")


@pytest.fixture
def connection(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """To the server, which has found its routes."""
    monkeypatch.setattr(GuardedConnection, "ranking", Ranking())
    for name, value in {"front": served.front, "most": 10, "patience": 5}.items():
        monkeypatch.setattr(GuardedConnection, name, value, raising=False)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        served.front,
        http=GuardedConnection,
        lifespan="off",
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE,  # type: ignore[arg-type]
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    with socket.create_connection(listening.getsockname(), timeout=10) as made:
        made.sendall(post(b"first"))
        answer(made)
        wait_for(lambda: len(served.observed) == 1)  # which is after the answer
        served.ways.clear()
        served.alone.clear()
        served.observed.clear()
        yield made
    server.should_exit = True
    thread.join(10)
    listening.close()
    assert not thread.is_alive()


def post(body: bytes, more: str = "content-type: application/json\r\n", version: str = "1.1") -> bytes:
    head = f"POST {PATH} HTTP/{version}\r\nhost: localhost\r\n{more}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answer(connection: socket.socket) -> bytes:
    """One whole answer, without its date and the id of its request."""
    buffer = b""
    while b"\r\n\r\n" not in buffer:
        piece = connection.recv(1)
        assert piece, buffer
        buffer += piece
    length = int(re.search(rb"content-length: (\d+)", buffer)[1])  # type: ignore[index]
    while length:
        piece = connection.recv(length)
        buffer, length = buffer + piece, length - len(piece)
    return re.sub(rb"(date|x-request-id): [^\r]+\r\n", b"", buffer)


def ask(connection: socket.socket, *requests: bytes) -> list[bytes]:
    connection.sendall(b"".join(requests))
    return [answer(connection) for _ in requests]


@pytest.mark.parametrize("body", [b"fine", b"broken"])
def test_both_ways_give_the_same_answer(connection: socket.socket, served: Served, body: bytes) -> None:
    (direct,) = ask(connection, post(body))
    (general,) = ask(connection, post(body, GENERAL))
    assert direct == general
    assert served.ways == ["direct", "general"]
    wait_for(lambda: served.observed == ([200, 200] if body == b"fine" else [500, 500]))
    assert served.routes.admission.in_flight == 0


@pytest.mark.parametrize("body", [b"odd", b"refused"])
def test_what_the_direct_way_does_not_take_goes_the_general_way(
    connection: socket.socket, served: Served, body: bytes
) -> None:
    (said,) = ask(connection, post(body))
    assert said.endswith(b'{"of":"%b"}' % body)
    assert served.ways == ["general"]
    assert ask(connection, post(b"next"))[0].endswith(b'{"of":"next"}')


@pytest.fixture
def heads_read(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The address of each request whose head was read, and that may have gone without ASGI."""
    read: list[bytes] = []
    find = served.front.find_direct

    def noting(method: bytes, url: bytes, scope: Scope) -> DirectExchange | None:
        read.append(url)
        return find(method, url, scope)

    monkeypatch.setattr(served.front, "find_direct", noting)
    return read


def test_a_head_is_read_once_on_whatever_connection(
    connection: socket.socket, served: Served, heads_read: list[bytes]
) -> None:
    with socket.create_connection(connection.getpeername(), timeout=10) as other:
        said = [ask(one, post(body))[0] for body in (b"aaa", b"bbb") for one in (connection, other)]
    assert [one[-12:] for one in said] == [b'{"of":"aaa"}', b'{"of":"aaa"}', b'{"of":"bbb"}', b'{"of":"bbb"}']
    assert heads_read == [PATH.encode()]
    assert served.ways == ["direct"] * 4
    wait_for(lambda: served.observed == [200] * 4)
    assert served.routes.admission.in_flight == 0


@pytest.mark.parametrize("body", [b"odd....", b"refused"])
def test_what_is_odd_behind_a_known_head_goes_the_general_way(
    connection: socket.socket, served: Served, heads_read: list[bytes], body: bytes
) -> None:
    ask(connection, post(b"seven.."))
    (said,) = ask(connection, post(body))
    assert said.endswith(b'{"of":"%b"}' % body)
    assert served.ways == ["direct", "general"]
    assert ask(connection, post(b"seven.."))[0].endswith(b'{"of":"seven.."}')
    assert len(heads_read) == 1


def test_a_known_head_is_one_when_it_has_come_to_its_end(connection: socket.socket, served: Served) -> None:
    whole = post(b"")
    assert ask(connection, whole)[0].endswith(b'{"of":""}')
    assert whole.endswith(b"\r\n\r\n")
    connection.sendall(whole.removesuffix(b"\r\n\r\n"))
    connection.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(10)
    assert ask(connection, b"\r\n\r\n")[0].endswith(b'{"of":""}')
    assert len(served.ways) == 2


def test_a_key_that_was_taken_away_opens_no_more_behind_a_known_head(
    connection: socket.socket, served: Served, tmp_path: Path, heads_read: list[bytes]
) -> None:
    token = add_key(tmp_path / "keys.yaml", "caller", ["predict"])
    add_key(tmp_path / "keys.yaml", "other", ["predict"])
    served.routes.access.ring.look()
    mine = post(b"mine", f"content-type: application/json\r\nauthorization: Bearer {token}\r\n")
    assert all(ask(connection, mine)[0].startswith(b"HTTP/1.1 200 ") for _ in range(2))
    assert len(heads_read) == 1
    remove_key(tmp_path / "keys.yaml", "caller")
    served.routes.access.ring.look()
    assert ask(connection, mine)[0].startswith(b"HTTP/1.1 401 ")


def test_who_asks_again_while_nobody_else_does_is_alone(connection: socket.socket, served: Served) -> None:
    with socket.create_connection(connection.getpeername(), timeout=10) as other:
        for asking, body in (
            (connection, post(b"read")),
            (connection, post(b"mine")),
            (other, post(b"mine")),
            (other, post(b"mine", GENERAL)),
            (connection, post(b"mine")),
            (connection, post(b"mine")),
            (other, post(b"mine", GENERAL)),
            (connection, post(b"mine")),
        ):
            ask(asking, body)
    assert served.alone == [False, True, False, False, True, False]


@pytest.mark.parametrize("body", [b"at once", b"broken at once"])
def test_what_is_answered_while_it_is_begun_is_answered_the_same(
    connection: socket.socket, served: Served, body: bytes
) -> None:
    ask(connection, post(b"x" * len(body)))
    said = [ask(connection, post(body))[0] for _ in range(3)]
    assert said == ask(connection, post(body, GENERAL)) * 3
    assert served.ways == ["direct"] * 4 + ["general"]
    wait_for(lambda: len(served.observed) == 5)
    assert served.routes.admission.in_flight == 0


def test_requests_and_connections_change_nothing_of_the_class(connection: socket.socket) -> None:
    # Each such change would make Python look all of its methods up anew, some microseconds a request.
    before = dict(vars(GuardedConnection))
    with socket.create_connection(connection.getpeername(), timeout=10) as other:
        for asking in (connection, other, other):
            ask(asking, post(b"mine", GENERAL))
            ask(asking, post(b"mine"))
        assert dict(vars(GuardedConnection)) == before


def test_a_connection_that_is_closed_is_let_go(connection: socket.socket) -> None:
    with socket.create_connection(connection.getpeername(), timeout=10) as other:
        ask(other, post(b"last"))
        (asked,) = [one for one in GuardedConnection.every if one.client == other.getsockname()]
        assert GuardedConnection.asking.last is asked
    wait_for(lambda: GuardedConnection.asking.last is None)


def test_the_end_of_a_head_is_no_head(connection: socket.socket, heads_read: list[bytes]) -> None:
    whole = post(b"four")
    first = whole.index(b"content-type")
    connection.sendall(whole[:first])
    wait_for(lambda: any(one._in_message for one in GuardedConnection.every))
    connection.sendall(whole[first:])
    assert answer(connection).endswith(b'{"of":"four"}')
    with socket.create_connection(connection.getpeername(), timeout=10) as other:
        other.sendall(whole[first:])
        assert other.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert len(heads_read) == 1


def test_what_comes_behind_a_known_head_is_answered_in_order(
    connection: socket.socket, served: Served
) -> None:
    ask(connection, post(b"later"[::-1]))
    connection.sendall(post(b"later"))
    wait_for(lambda: len(served.held) == 1)
    connection.sendall(post(b"again"))
    assert len(served.held) == 1
    connection.sendall(post(b"third"))
    served.held[0].set_result(SimpleNamespace(body=b"{}"))
    assert answer(connection).endswith(b"{}")
    assert [answer(connection)[-14:] for _ in range(2)] == [b'{"of":"again"}', b'{"of":"third"}']


UNREADABLE = [b"nonsense\r\n\r\n", b"GET\0/ HTTP/1.1\r\n\r\n", post(b"one", "transfer-encoding: chunked\r\n")]


@pytest.mark.parametrize("behind", UNREADABLE)
def test_what_cannot_be_read_is_said_after_the_answers_before_it(
    connection: socket.socket, served: Served, behind: bytes
) -> None:
    connection.sendall(post(b"later") + behind)
    wait_for(lambda: len(served.held) == 1)
    connection.settimeout(0.2)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(10)
    served.held[0].set_result(SimpleNamespace(body=b"{}"))
    assert answer(connection).endswith(b"{}")
    assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert connection.recv(1) == b""


@pytest.mark.parametrize("behind", UNREADABLE)
def test_the_same_of_requests_that_go_the_general_way(connection: socket.socket, behind: bytes) -> None:
    connection.sendall(post(b"one", GENERAL) + post(b"two", GENERAL) + behind)
    assert [answer(connection)[-12:] for _ in range(2)] == [b'{"of":"one"}', b'{"of":"two"}']
    assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert connection.recv(1) == b""


def test_a_body_that_cannot_be_read_is_told_at_once(connection: socket.socket) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    connection.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n")
    wait_for(lambda: any(one._is_answering() for one in GuardedConnection.every))
    connection.sendall(b"nonsense\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert connection.recv(1) == b""


def test_a_connection_is_closed_once_it_was_idle_for_so_long(connection: socket.socket) -> None:
    ask(connection, post(b"first"))
    time.sleep(KEEP_ALIVE / 2)
    ask(connection, post(b"again"))
    answered = time.monotonic()
    assert connection.recv(1) == b""
    assert time.monotonic() - answered > 0.75 * KEEP_ALIVE


def test_requests_one_behind_the_other_are_answered_in_order(
    connection: socket.socket, served: Served
) -> None:
    said = ask(connection, post(b"one"), post(b"two"), post(b"three"))
    assert [one.rpartition(b"\r\n")[2] for one in said] == [
        b'{"of":"one"}',
        b'{"of":"two"}',
        b'{"of":"three"}',
    ]
    assert served.ways[0] == "direct"


def test_a_body_may_come_in_pieces(connection: socket.socket, served: Served) -> None:
    whole = post(b"x" * 5000)
    for start in range(0, len(whole), 1000):
        connection.sendall(whole[start : start + 1000])
    assert answer(connection).endswith(b'{"of":"%b"}' % (b"x" * 5000))
    assert served.ways == ["direct"]


@pytest.mark.parametrize(("more", "version"), [("connection: close\r\n", "1.1"), ("", "1.0")])
def test_the_last_request_of_a_connection_ends_it(connection: socket.socket, more: str, version: str) -> None:
    (said,) = ask(connection, post(b"last", more, version))
    assert b"connection: close\r\n" in said
    assert said.endswith(b'{"of":"last"}')
    assert connection.recv(1) == b""


def test_where_keys_are_needed_the_general_way_refuses_who_has_none(
    connection: socket.socket, served: Served, tmp_path: Path
) -> None:
    token = add_key(tmp_path / "keys.yaml", "caller", ["predict"])
    served.routes.access.ring.look()
    (refused,) = ask(connection, post(b"mine"))
    assert refused.startswith(b"HTTP/1.1 401 ")
    assert served.ways == []
    key = f"content-type: application/json\r\nauthorization: Bearer {token}\r\n"
    assert ask(connection, post(b"mine", key))[0].startswith(b"HTTP/1.1 200 ")
    assert served.ways == ["direct"]


def test_who_hangs_up_takes_nobodys_place(connection: socket.socket, served: Served) -> None:
    gone = socket.create_connection(connection.getpeername(), timeout=10)
    gone.sendall(post(b"later"))
    wait_for(lambda: len(served.held) == 1)
    assert served.routes.admission.in_flight == 1
    gone.close()
    assert ask(connection, post(b"fine"))[0].endswith(b'{"of":"fine"}')
    served.held[0].set_result(SimpleNamespace(body=b"{}"))
    assert served.routes.admission.in_flight == 0


def test_where_too_much_is_in_hand_the_general_way_refuses(connection: socket.socket, served: Served) -> None:
    served.routes.admission.in_flight = served.routes.admission.most
    (refused,) = ask(connection, post(b"fine"))
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert served.ways == []


@pytest.mark.parametrize(
    ("headers", "plain"),
    [
        ([(b"content-length", b"5")], True),
        ([(b"content-length", b"5"), (b"connection", b"Keep-Alive")], True),
        ([(b"content-length", b"5"), (b"content-type", b"text/plain")], False),
        ([(b"content-length", b"5"), (b"transfer-encoding", b"chunked")], False),
        ([(b"content-length", b"5"), (b"expect", b"100-continue")], False),
        ([(b"content-length", b"5"), (b"sec-fetch-site", b"cross-site")], False),
        ([(b"content-length", b"%d" % (SMALL_BODY + 1))], False),
        ([(b"content-length", b"+5")], False),
        ([], False),
    ],
)
def test_only_short_json_is_plain(headers: list[tuple[bytes, bytes]], plain: bool) -> None:
    assert is_plain(headers) is plain
