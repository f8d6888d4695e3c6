"""What a web page of another site makes a browser send is refused on every route, with keys and without."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from configs.api_keys import SCOPES, add_key
from configs.security.origins import OriginPolicy
from configs.settings import read_settings
from service.hosting.listening import origin_policy
from service.http.front import Front
from service.metrics import WRITE_SECONDS
from store.database.connection import connect
from tests.service.conftest import USE_CASES, record_of
from tests.service.servers import Server, put_in_cache

PLANS = USE_CASES["plans"]
SITE, EVIL = "https://page.example", "https://evil.example"
NAME = "ratchet.example"
BESIDE = [
    ("GET", "/"), ("GET", "/schema.json"), ("GET", "/static_content/swagger-ui.css"), ("GET", "/ui"),
    ("GET", "/ui/app.js"), ("GET", "/nowhere"), ("POST", "/nowhere"), ("PUT", "/v1/plans/predict"),
    ("DELETE", "/v1/plans/model"), ("PATCH", "/"), ("HEAD", "/health"), ("OPTIONS", "/v1/plans/rollback"),
    ("GET", "/v1/plans/retrain/progress"), ("POST", "/predict"), ("POST", "/invocations"), ("POST", "/livez"),
    ("GET", "/v1/nope/model"),
]  # fmt: skip
"""Beside the operations of the document: BentoML's own, other methods, and what is nowhere."""


@pytest.fixture(scope="module", params=["without keys", "with keys"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, module_database_url: str
) -> Iterator[Server]:
    """One worker, known by a name of its own, that pages of one other site may call."""
    home = tmp_path_factory.mktemp("foreign") / "home"
    put_in_cache(home, PLANS, 1, serving=1)
    token = add_key(home / "keys.yaml", "all", SCOPES) if request.param == "with keys" else None
    with Server(
        home,
        module_database_url,
        RATCHET_USE_CASES="plans",
        RATCHET_ALLOWED_HOSTS=NAME,
        RATCHET_ALLOWED_ORIGINS=SITE,
    ) as running:
        if token is not None:
            running.client.headers["x-api-key"] = token
        yield running


@pytest.fixture
def stored(module_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The database behind the server."""
    with connect(module_database_url, autocommit=True) as conn:
        yield conn


def operations(server: Server) -> list[tuple[str, str]]:
    """Method and path of everything that can be asked."""
    paths = server.client.get("/docs.json").json()["paths"]
    found = [
        (method.upper(), re.sub(r"\{(\w+)\}", lambda name: "plans" if "name" in name[1] else "1", path))
        for path, methods in paths.items()
        for method in methods
    ]
    assert len(found) > 15
    return sorted({*found, *BESIDE})


def send(server: Server, method: str, path: str, **headers: str) -> httpx.Response:
    """A request that would do something if it were let in."""
    bodies: dict[str, Any] = {
        "/v1/plans/feedback": {"items": [{"record": record_of(PLANS), "label": "One year"}]},
        "/v1/plans/train": {"items": [{"record": record_of(PLANS), "label": "One year"}]},
        "/predict": {"items": [{"use_case": "plans", "record": record_of(PLANS)}]},
        "/v1/plans/predict": {"records": [record_of(PLANS)]},
        "/v1/plans/predictions": {"records": [record_of(PLANS)]},
    }
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = bodies.get(path) if method == "POST" else None
    with server.client.stream(method, path, headers=named, json=body) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            answer.read()
        return answer


def code_of(answer: httpx.Response) -> str | None:
    """The code of an error, in either shape; none of an answer without one."""
    if not answer.headers.get("content-type", "").startswith("application/json") or not answer.content:
        return None
    told = answer.json()
    if not isinstance(told, dict):
        return None
    code: str | None = told["code"] if "code" in told else dict(told.get("error") or {}).get("code")
    return code


def counts(stored: psycopg.Connection[Any]) -> list[int]:
    """Rows that requests make; that it takes a version as it finds it the service notes by itself."""
    tables = ("feedback", "run", "job", "ledger WHERE event <> 'registered'")
    return [
        stored.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # type: ignore[index]
        for table in tables
    ]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"origin": EVIL}, "cross_site"),
        ({"origin": "null"}, "cross_site"),
        ({"sec_fetch_site": "cross-site"}, "cross_site"),
        ({"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors"}, "cross_site"),
        ({"host": "evil.example:3000"}, "wrong_host"),
        ({"host": "evil.example:3000", "origin": "http://evil.example:3000"}, "wrong_host"),
        ({"host": "evil.example:3000", "sec_fetch_site": "same-origin"}, "wrong_host"),
        ({"host": "evil.example:3000", "origin": SITE}, "wrong_host"),
    ],
    ids=str,
)
def test_no_route_is_open_to_foreign_pages(
    server: Server, stored: psycopg.Connection[Any], headers: dict[str, str], code: str
) -> None:
    before = counts(stored)
    for method, path in operations(server):
        answer = send(server, method, path, **headers)
        assert answer.status_code == 403, (method, path, answer.status_code)
        allowed = answer.headers.get("access-control-allow-origin")
        assert allowed == (SITE if headers.get("origin") == SITE else None)
        if method != "HEAD":
            assert code_of(answer) == code, (method, path)
    assert counts(stored) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "LOCALHOST:3000"},
        {"host": "[::1]:3000"},
        {"host": NAME, "origin": f"https://{NAME}"},
        {"host": f"{NAME}:443", "origin": f"https://{NAME}"},
        {"host": NAME.upper(), "origin": f"https://{NAME}:443"},
        {"host": "localhost:80", "origin": "http://localhost"},
        {"host": "LocalHost", "origin": "http://localhost:80"},
        {"host": NAME, "origin": SITE, "sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"},
    ],
    ids=str,
)
def test_its_own_pages_those_allowed_and_programs_get_in(server: Server, headers: dict[str, str]) -> None:
    for method, path in operations(server):
        answer = send(server, method, path, **headers)
        assert code_of(answer) not in ("cross_site", "wrong_host"), (method, path)
        assert answer.status_code != 403, (method, path)
        if headers.get("origin") == SITE:
            assert answer.headers["access-control-allow-origin"] == SITE


def test_a_link_from_another_site_opens_a_page(server: Server) -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert send(server, "GET", "/ui", **link).status_code == 200
    assert send(server, "GET", "/", **link).status_code == 200
    assert send(server, "POST", "/v1/plans/retrain", **link).status_code == 403
    frame = {**link, "sec_fetch_dest": "iframe"}
    assert send(server, "GET", "/", **frame).status_code == 403


def test_preflights_are_answered_to_allowed_sites_alone(server: Server) -> None:
    asks = {"access_control_request_method": "POST"}
    answer = send(server, "OPTIONS", "/v1/plans/predict", origin=SITE, **asks)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == SITE
    refused = send(server, "OPTIONS", "/v1/plans/predict", origin=EVIL, **asks)
    assert (refused.status_code, code_of(refused)) == (403, "cross_site")
    assert "access-control-allow-origin" not in refused.headers


def test_refusals_tell_nothing_of_the_server(server: Server) -> None:
    told = send(server, "GET", "/v1/plans/ledger", host="evil.example").text
    assert "evil.example" in told
    assert NAME not in told
    assert "plans" not in told


def test_refusals_are_counted(server: Server) -> None:
    def seen() -> int:
        time.sleep(3 * WRITE_SECONDS)
        lines = server.client.get("/metrics").text.splitlines()
        wanted = [line for line in lines if line.startswith("ratchet_requests_total") and '"403"' in line]
        return sum(int(float(line.split()[-1])) for line in wanted if 'route="ledger"' in line)

    before = seen()
    assert send(server, "GET", "/v1/plans/ledger", host="evil.example").status_code == 403
    assert send(server, "GET", "/v1/plans/ledger", origin=EVIL).status_code == 403
    assert seen() == before + 2


def test_an_old_program_that_names_no_host_gets_in(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "path", ["/", "/ui", "/docs.json", "/v1/plans/model", "/health", "/nowhere", "/metrics"]
)
def test_answers_may_not_be_embedded_elsewhere(server: Server, path: str) -> None:
    headers = send(server, "GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    if path in ("/", "/ui"):
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def ask_while_starting(policy: OriginPolicy, address: str, host: bytes) -> int:
    """Status of what a service that has not started yet answers."""
    sent: list[Any] = []

    async def collect(message: Any) -> None:
        sent.append(message)

    front = Front(None, lambda: None, lambda _path: False, policy)  # type: ignore[arg-type]
    scope = {"type": "http", "method": "GET", "path": "/health", "server": (address, 3000)}
    asyncio.run(front({**scope, "headers": [(b"host", host)]}, None, collect))  # type: ignore[arg-type]
    status: int = sent[0]["status"]
    return status


def test_strangers_are_refused_while_the_service_starts() -> None:
    assert ask_while_starting(OriginPolicy(), "127.0.0.1", b"evil.example") == 403
    assert ask_while_starting(OriginPolicy(), "127.0.0.1", b"localhost") == 503


@pytest.mark.parametrize(
    ("address", "host", "status"),
    [
        ("10.0.0.5", b"10.0.0.5:3000", 503),
        ("::ffff:10.0.0.5", b"10.0.0.5:3000", 503),
        ("fd00::5", b"[fd00:0::5]:3000", 503),
        ("fe80::5%eth0", b"[fe80::5]:3000", 503),
        ("10.0.0.5", b"10.0.0.6:3000", 403),
    ],
)
def test_the_address_that_was_reached_is_one_of_its_names(address: str, host: bytes, status: int) -> None:
    policy = OriginPolicy()
    assert ask_while_starting(policy, address, host) == status
    assert ask_while_starting(policy, address, host) == status  # remembered


def test_the_name_that_it_was_told_to_listen_on_is_one_of_its_names() -> None:
    policy = origin_policy(
        read_settings({"RATCHET_HOST": "Ratchet.Lan", "RATCHET_ALLOWED_HOSTS": "other.lan"})
    )
    assert ask_while_starting(policy, "10.0.0.5", b"ratchet.lan:3000") == 503
    assert ask_while_starting(policy, "10.0.0.5", b"other.lan") == 503
    assert ask_while_starting(policy, "10.0.0.5", b"third.lan") == 403
    everywhere = origin_policy(read_settings({"RATCHET_HOST": "0.0.0.0"}))
    assert ask_while_starting(everywhere, "10.0.0.5", b"0.0.0.0:3000") == 403
