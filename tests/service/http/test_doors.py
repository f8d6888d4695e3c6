"""Keys and limits of the real thing: BentoML's routes too, over sockets."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from configs.api_keys import SCOPES, add_key
from configs.settings import CHECKOUT, read_settings
from service.http.access import OPEN
from service.http.key_ring import Caller
from tests.ports import free_port
from tests.service.conftest import USE_CASES, record_of
from tests.service.servers import Server, put_in_cache

PLANS = USE_CASES["plans"]
BODY = {"records": [record_of(PLANS)]}
PATIENCE = 1
BY_DEFAULT = read_settings({}).slow_client_seconds
NAMES = {"model_name": "plans"}
"""Values for parameters in paths; the others are 1."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where version 1 was served last."""
    made = tmp_path_factory.mktemp("doors") / "home"
    put_in_cache(made, PLANS, 1, serving=1)
    return made


@pytest.fixture(scope="module")
def tokens(home: Path) -> dict[str, str]:
    """A key for each scope."""
    return {scope: add_key(home / "keys.yaml", scope, [scope]) for scope in SCOPES}


@pytest.fixture(scope="module")
def server(home: Path, module_database_url: str, tokens: dict[str, str]) -> Iterator[Server]:
    """One worker that asks for keys, and is soon out of patience and connections."""
    assert tokens
    with Server(
        home,
        module_database_url,
        RATCHET_USE_CASES="plans",
        RATCHET_SLOW_CLIENT_SECONDS=str(PATIENCE),
        RATCHET_MAX_CONNECTIONS="20",
    ) as running:
        yield running


def operations(server: Server, token: str) -> list[tuple[str, str, dict[str, Any]]]:
    document = server.client.get("/docs.json", headers={"x-api-key": token}).json()
    return [
        (method.upper(), re.sub(r"\{(\w+)\}", lambda found: NAMES.get(found[1], "1"), path), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_of_the_document_asks_for_its_scope(server: Server, tokens: dict[str, str]) -> None:
    found = operations(server, tokens["read"])
    assert len(found) > 15
    open_to_all = set()
    for method, path, operation in found:
        wrong = server.client.request(method, path, headers={"authorization": "Bearer ratchet_wrong"})
        if not operation["security"]:
            assert wrong.status_code not in (401, 403), (method, path)
            open_to_all.add(path)
            continue
        (needed,) = operation["security"][0]["bearer"]
        assert needed in SCOPES
        if path != "/metrics":  # open where only this machine reaches it
            told = wrong.json()
            told = told if path.startswith("/v2") else told["error"]  # which has its protocol's own shape
            assert (wrong.status_code, told["code"]) == (401, "unauthorized"), (method, path)
            assert server.client.request(method, path).status_code == 401, (method, path)
        for scope, token in tokens.items():
            answered = server.client.request(
                method, path, headers={"x-api-key": token, "content-type": "application/json"}, content=b"{"
            )
            may = Caller("", frozenset([scope])).may(needed)  # type: ignore[list-item]
            assert (answered.status_code == 403) is not may, (method, path, scope, answered.text)
            assert answered.status_code != 401
    assert {"/health", "/livez", "/readyz"} <= open_to_all <= OPEN


@pytest.mark.parametrize(
    "path", ["/", "/docs.json", "/schema.json", "/static_content/swagger-ui.css", "/nowhere"]
)
def test_what_is_bentoml_s_asks_too(server: Server, tokens: dict[str, str], path: str) -> None:
    assert server.client.get(path).status_code == 401
    assert server.client.get(path, headers={"x-api-key": tokens["read"]}).status_code in (200, 404)


def test_bentoml_s_own_client_shows_a_key(server: Server, tokens: dict[str, str]) -> None:
    code = (
        "import bentoml, json, sys\n"
        "with bentoml.SyncHTTPClient(sys.argv[1], token=sys.argv[2]) as client:\n"
        "    print(json.dumps(client.predict(items=json.load(sys.stdin))))"
    )
    items = [{"use_case": "plans", "record": record_of(PLANS)}]
    shown = subprocess.run(
        [sys.executable, "-c", code, server.url, tokens["predict"]],
        input=json.dumps(items), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    (answer,) = json.loads(shown.stdout.splitlines()[-1])
    assert answer["model"]["version"] == 1


def test_bodies_for_bentoml_are_bounded_too(server: Server, tokens: dict[str, str]) -> None:
    headers = {"x-api-key": tokens["predict"], "content-type": "application/json"}
    refused = server.client.post("/predict", content=b" " * (9 * 1024 * 1024), headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")
    headers["origin"] = "https://evil.example"
    refused = server.client.post("/predict", content=b"{}", headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "cross_site")


def talk(
    server: Server, sent: bytes, then: bytes = b"", pause: float = 0.2, seconds: float = BY_DEFAULT
) -> tuple[bytes, float]:
    """Send something, go on with single bytes, and give what came back until the end, and when that was.

    The end must come within `seconds`: before the server would be out of patience that nobody set.
    """
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        connection.sendall(sent)
        got = b""
        connection.settimeout(pause)
        while time.monotonic() - began < seconds:
            try:
                part = connection.recv(65536)
                if not part:
                    return got, time.monotonic() - began
                got += part
            except TimeoutError:
                try:
                    connection.sendall(then)
                except OSError:
                    return got, time.monotonic() - began
            except ConnectionResetError:
                return got, time.monotonic() - began
        raise AssertionError(f"still open: {got!r}")


def head(length: int, token: str) -> bytes:
    return (
        "POST /v1/plans/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"x-api-key: {token}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


def test_a_body_that_trickles_is_cut_off(server: Server, tokens: dict[str, str]) -> None:
    got, seconds = talk(server, head(100_000, tokens["predict"]) + b"{", b" ")
    assert got.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'"code":"slow_client"' in got
    assert b"connection: close" in got
    assert seconds > PATIENCE


def test_a_head_that_trickles_is_cut_off(server: Server) -> None:
    got, seconds = talk(server, b"POST /v1/plans/predict HTTP/1.1\r\nhost: ", b"x")
    assert got.startswith(b"HTTP/1.1 408 ")
    assert seconds > PATIENCE


def test_a_head_without_end_is_cut_off(server: Server) -> None:
    got, _ = talk(server, b"GET /health HTTP/1.1\r\nx: " + b"y" * 70_000, b"y")
    assert got.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b'"code":"head_too_large"' in got, "it is not for the time that it takes"


def test_who_says_nothing_is_let_go(server: Server) -> None:
    got, seconds = talk(server, b"")
    assert got == b""
    assert seconds > PATIENCE


def test_a_large_body_may_take_its_time(server: Server, tokens: dict[str, str]) -> None:
    body = json.dumps(BODY).encode()
    body += b" " * (120_000 - len(body))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head(len(body), tokens["predict"]))
        for part in range(6):
            connection.sendall(body[part * 20_000 : (part + 1) * 20_000])
            time.sleep(0.5)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_an_idle_connection_makes_room_for_another(server: Server, tokens: dict[str, str]) -> None:
    opened = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
    try:
        with httpx.Client(base_url=server.url, timeout=10) as fresh:
            headers = {"x-api-key": tokens["predict"]}
            assert fresh.post("/v1/plans/predict", json=BODY, headers=headers).status_code == 200
    finally:
        for one in opened:
            one.close()


def test_more_requests_than_fit_are_refused_at_once(home: Path, module_database_url: str) -> None:
    with Server(
        home,
        module_database_url,
        RATCHET_USE_CASES="plans",
        RATCHET_MAX_IN_FLIGHT="1",
        RATCHET_API_KEYS=str(home / "none.yaml"),
    ) as server:
        many = {"records": [record_of(PLANS)] * 500}

        def call(_turn: int) -> httpx.Response:
            with httpx.Client(base_url=server.url, timeout=30) as client:
                for _ in range(12):
                    answer = client.post("/v1/plans/predict", json=many)
                    if answer.status_code != 200:
                        break
                again = client.post("/v1/plans/predict", json=many)  # the connection goes on
                assert again.status_code in (200, 503)
                return answer

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(call, range(8)))
        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused
        assert {answer.json()["error"]["code"] for answer in refused} == {"overloaded"}
        assert all(answer.headers["retry-after"] == "1" for answer in refused)
        assert server.predict("plans", [record_of(PLANS)])["model"]["version"] == 1
        assert "retry" not in server.client.get("/health").headers


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "service.run"],
        ["-m", "bentoml", "serve", "service.app:Ratchet", "--port", "PORT", "--host", "0.0.0.0"],
        ["-m", "bentoml", "serve", "service.app:Ratchet", "--port", "PORT"],
    ],
    ids=["service.run", "bentoml serve --host", "bentoml serve"],
)
def test_no_start_open_to_others_without_keys(tmp_path: Path, command: list[str]) -> None:
    port = str(free_port())
    environ = os.environ | {
        "RATCHET_HOME": str(tmp_path), "RATCHET_PORT": port, "BENTOML_HOME": str(tmp_path / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "RATCHET_HOST": "0.0.0.0" if "service.run" in command else "127.0.0.1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *(port if part == "PORT" else part for part in command)],
        cwd=CHECKOUT, env=environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "would listen on 0.0.0.0 without API keys" in done.stdout + done.stderr
    assert "ratchet keys add" in done.stdout + done.stderr
