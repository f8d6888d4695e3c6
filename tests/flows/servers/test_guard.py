"""The guard before MLflow's and Prefect's servers."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from configs.settings import read_settings
from flows.servers.guard import MOST_LOGGED, Guard, Receive, Scope, Send, guard_app, own_origins
from flows.servers.mlflow import allowed_hosts
from flows.servers.prefect import policy

PORT = 4200


async def behind(scope: Scope, _receive: Receive, send: Send) -> None:
    """An application that answers with what it was asked for."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        headers = [(b"X-Frame-Options", b"DENY")] if scope["path"] == "/own" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"told"})


def guard(**environ: str) -> Guard:
    origins = environ.pop("origins", "")
    return guard_app(behind, read_settings(environ), PORT, origins)


def ask(
    front: Guard, *, kind: str = "http", method: str = "POST", path: str = "/api", **headers: str
) -> list[MutableMapping[str, Any]]:
    """What the guard sends to one request."""
    scope = {
        "type": kind,
        "path": path,
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    if kind == "http":
        scope["method"] = method
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "websocket.connect"}

    asyncio.run(front(scope, receive, send))
    return sent


def test_the_owner_and_programs_pass() -> None:
    front = guard()
    for headers in (
        {"host": "127.0.0.1:4200"},
        {"host": "localhost:4200", "origin": "http://localhost:4200"},
        {"host": "127.0.0.1:4200", "origin": "http://localhost:4200", "sec_fetch_site": "cross-site"},
    ):
        start, body = ask(front, **headers)
        assert (start["status"], body["body"]) == (200, b"told")
        assert (b"x-content-type-options", b"nosniff") in start["headers"]
        assert ask(front, kind="websocket", **headers) == [{"type": "websocket.accept"}]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "10.evil.example:4200"},
        {"host": "127.0.0.1:4200", "origin": "https://evil.example"},
        {"host": "127.0.0.1:4200", "origin": "http://127.0.0.1:8888"},
        {"host": "127.0.0.1:4200", "origin": "null"},
        {"host": "127.0.0.1:4200", "sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
    ],
)
def test_strangers_are_told_why_and_no_more(headers: dict[str, str]) -> None:
    front = guard()
    start, body = ask(front, **headers)
    assert start["status"] == 403
    assert b"allowed: " in body["body"]
    assert b"told" not in body["body"]
    assert not [name for name, _ in start["headers"] if name.startswith(b"access-control")]
    (closed,) = ask(front, kind="websocket", **headers)
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)


def test_names_and_pages_that_the_owner_allows_pass() -> None:
    front = guard(RATCHET_ALLOWED_HOSTS="ratchet.example", origins="https://page.example,*")
    assert ask(front, host="ratchet.example")[0]["status"] == 200
    assert ask(front, host="localhost", origin="https://page.example")[0]["status"] == 200
    assert ask(front, host="localhost", origin="https://evil.example")[0]["status"] == 403


def test_what_an_application_says_of_frames_itself_stays() -> None:
    start, _ = ask(guard(), path="/own", host="localhost")
    values = [value for name, value in start["headers"] if name.lower() == b"x-frame-options"]
    assert values == [b"DENY"]


def test_refusals_are_logged_once_each_and_not_without_end(caplog: pytest.LogCaptureFixture) -> None:
    front = guard()
    for number in range(2 * MOST_LOGGED):
        for _ in range(2):
            ask(front, host=f"evil-{number}.example", path="/api/line\nbreak")
    assert len(caplog.records) == MOST_LOGGED
    assert "\n" not in caplog.records[0].getMessage()
    assert "evil-0.example" in caplog.records[0].getMessage()


def test_mlflows_own_check_knows_the_same_names_and_none_that_only_look_like_addresses() -> None:
    from mlflow.server.security_utils import get_default_allowed_hosts, is_allowed_host_header

    ours = allowed_hosts(read_settings({"RATCHET_ALLOWED_HOSTS": "ratchet.example,10.0.0.5"})).split(",")
    good = ("localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "ratchet.example:443", "10.0.0.5")
    assert [host for host in good if not is_allowed_host_header(ours, host)] == []
    for host in ("10.evil.example", "192.168.evil.example", "localhost.evil.example", "10.0.0.55"):
        assert not is_allowed_host_header(ours, host)
    assert is_allowed_host_header(get_default_allowed_hosts(), "10.evil.example"), "ours is needed no more"


def test_prefects_pages_call_their_own_server_only() -> None:
    name, value = policy(own_origins(PORT))
    assert name == b"content-security-policy"
    connect = next(part for part in value.decode().split("; ") if part.startswith("connect-src"))
    assert connect.split()[1:] == [
        "'self'",
        "http://127.0.0.1:4200",
        "http://localhost:4200",
        "ws://127.0.0.1:4200",
        "ws://localhost:4200",
    ]
