"""Details of HTTP on the real thing: media types, HEAD, Allow, Basic, framing, and streams."""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server import client as scoring

from configs.api_keys import add_key
from store.database.connection import connect
from store.runs.lifecycle import request_run
from tests.service.conftest import USE_CASES, record_of
from tests.service.servers import Server, put_in_cache

PLANS = USE_CASES["plans"]
BODY = json.dumps({"records": [record_of(PLANS)]}).encode()
PREDICT = "/v1/plans/predict"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("details") / "home"
    put_in_cache(made, PLANS, 1, serving=1)
    return made


@pytest.fixture(scope="module")
def key(home: Path) -> str:
    return add_key(home / "keys.yaml", "predicts", ["predict"])


@pytest.fixture(scope="module")
def server(home: Path, module_database_url: str, key: str) -> Iterator[Server]:
    with Server(home, module_database_url, RATCHET_USE_CASES="plans") as running:
        running.client.headers["x-api-key"] = key
        yield running


@pytest.mark.parametrize(
    "announced",
    [
        "application/json; version=1",
        "application/json; charset=utf-8;",
        'APPLICATION/JSON;Charset="UTF-8"; q=1',
        "application/json ; charset = utf-8",
        "application/json;",
        "application/json; charset=us-ascii",
        "text/json",
        "text/x-json",
        "application/x-json; charset=u8",
        "application/json; charset=UTF_8",
        'application/json; charset="utf8"',
        "application/json; charset=utf 8",
        "application/vnd.api+json",
        "application/vnd.api+json; version=2; charset=utf8",
        "",
        None,
    ],
)
@pytest.mark.parametrize("path", [PREDICT, "/v1/plans/invocations"])
def test_json_is_read_whatever_else_its_type_says(server: Server, announced: str | None, path: str) -> None:
    body = BODY if path == PREDICT else json.dumps({"dataframe_records": [record_of(PLANS)]}).encode()
    headers = {} if announced is None else {"content-type": announced}
    answer = server.client.post(path, content=body, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "announced",
    [
        "application/json; charset=latin-1",
        "application/json; charset=utf-8-sig",
        "application/json; charset=utf-7",
        "text/x-json; charset=latin-1",
        "application/json; version=1; charset=utf-16",
        "text/csv; charset=iso-8859-1",
        "application/x-ndjson",
        "text/plain",
        "multipart/form-data; boundary=x",
    ],
)
def test_another_charset_or_kind_is_refused_by_name(server: Server, announced: str) -> None:
    answer = server.client.post("/v1/plans/invocations", content=BODY, headers={"content-type": announced})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "wrong_media_type")
    assert announced in answer.json()["error"]["message"]


def test_a_compressed_body_is_refused_by_name(server: Server) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = server.client.post(PREDICT, content=gzip.compress(BODY), headers=headers)
    assert answer.status_code == 415
    assert "header 'content-encoding': got 'gzip'" in answer.json()["error"]["message"]
    assert answer.headers["accept-encoding"] == "identity"


READ = [
    "/health", "/livez", "/readyz", "/metrics", "/docs.json", "/schema.json", "/ui", "/ui/", "/version",
    "/ping", "/v1/plans/ping", "/v1/plans/version", "/v1/plans/model", "/v1/plans/schema", "/v1/plans/ledger",
    "/v1/plans/drift", "/v1/plans/quality", "/v1/plans/retrain/status", "/v1/plans/retrain/history",
    "/v1/plans/retrain/progress", "/v1/plans/predictions/1", "/v1/trace/1", "/v2", "/v2/health/live",
    "/v2/health/ready", "/v2/models/plans", "/v2/models/plans/ready", "/v2/models/plans/versions/1",
    "/v2/models/plans/versions/1/ready", "/v2/models/plans/versions/7", "/nowhere", "/v1/nobody/model",
]  # fmt: skip
OWN = {"date", "x-request-id"}
"""Headers that differ from answer to answer."""
CHANGING = {"/metrics", "/health", "/v1/plans/retrain/status"}
"""Whose length differs as well."""


@pytest.mark.parametrize("path", READ)
def test_head_is_get_without_a_body(server: Server, path: str) -> None:
    got, head = server.client.get(path), server.client.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    ours = OWN | ({"content-length"} if path in CHANGING else set())
    kept, told = ({k: v for k, v in one.headers.items() if k not in ours} for one in (got, head))
    if path not in CHANGING or "content-length" not in head.headers:
        assert kept == told
    else:
        assert set(kept) == set(told)


def test_head_of_a_stream_ends_at_once(server: Server, module_database_url: str) -> None:
    with connect(module_database_url) as conn:
        run = request_run(conn, "plans", "retrain", "person")
        conn.commit()
    path = f"/v1/plans/retrain/progress?run_id={run}"
    head = server.client.head(path, timeout=3)
    assert head.status_code == 200
    with server.client.stream("GET", path, timeout=3) as stream:
        assert next(stream.iter_bytes()).startswith(b": ")
        for name, value in {
            "content-type": "text/event-stream",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
        }.items():
            assert stream.headers[name] == head.headers[name] == value


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (PREDICT, "POST"),
        ("/v1/plans/model", "GET, HEAD"),
        ("/health", "GET, HEAD"),
        ("/v2/health/live", "GET, HEAD"),
        ("/v2/models/plans/infer", "POST"),
        ("/ping", "GET, HEAD"),
        ("/ui", "GET, HEAD"),
        ("/v1/trace/1", "GET, HEAD"),
    ],
)
def test_a_method_that_a_route_has_not_is_told_with_allow(
    server: Server, method: str, path: str, allowed: str
) -> None:
    answer = server.client.request(method, path)
    # Where its scope is a greater one than the key has, that is told first.
    assert answer.status_code == 405, answer.text
    assert answer.headers["allow"] == allowed


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("path", [PREDICT, "/v1/plans/invocations", "/invocations", "/v1/plans/feedback"])
def test_a_password_is_a_key_with_its_scopes(server: Server, key: str, path: str) -> None:
    def status(headers: dict[str, str]) -> int:
        del server.client.headers["x-api-key"]
        try:
            return server.client.post(path, content=b"{", headers=headers).status_code
        finally:
            server.client.headers["x-api-key"] = key

    with_bearer = status({"authorization": f"Bearer {key}"})
    assert with_bearer == (403 if path.endswith("feedback") else 400)
    for shown in (basic("anybody", key), basic("", key), basic(key, ""), basic(key, "x"), basic(key, key)):
        assert status(shown) == with_bearer
    for wrong in (basic("anybody", key[:-1]), basic("", ""), {"authorization": "Basic"},
                  {"authorization": "Basic !!"}, basic("a", f"{key}:")):  # fmt: skip
        assert status(wrong) == 401


def test_mlflow_s_own_client_shows_a_key(server: Server, key: str) -> None:
    connect_client: Any = scoring.ScoringServerClient
    client = connect_client(f"anybody:{key}@127.0.0.1", f"{server.port}/v1/plans")
    client.ping()
    answer = client.invoke(pd.DataFrame([record_of(PLANS)]))
    (label,) = answer.get_predictions()["label"]
    assert label in PLANS.target.classes
    with pytest.raises(Exception, match="401"):
        connect_client("127.0.0.1", f"{server.port}/v1/plans").get_version()


def exchange(server: Server, sent: bytes, until: bytes | None = None) -> bytes:
    """All that comes back until the server closes, or something has come."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(sent)
        got = b""
        while until is None or until not in got:
            part = connection.recv(65536)
            if not part:
                break
            got += part
        return got


def post(key: str, more: str, body: bytes, version: str = "1.1", path: str = PREDICT) -> bytes:
    head = f"POST {path} HTTP/{version}\r\nhost: localhost\r\nx-api-key: {key}\r\n{more}\r\n\r\n"
    return head.encode() + body


def sized(body: bytes) -> str:
    return f"content-type: application/json\r\ncontent-length: {len(body)}"


def test_a_body_in_chunks_is_read(server: Server, key: str) -> None:
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(BODY[i : i + 7]), BODY[i : i + 7]) for i in range(0, len(BODY), 7)
    )
    sent = post(key, "content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close",
                chunks + b"0\r\n\r\n")  # fmt: skip
    assert exchange(server, sent).startswith(b"HTTP/1.1 200 ")


def test_who_asks_whether_to_go_on_is_told(server: Server, key: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(post(key, sized(BODY) + "\r\nexpect: 100-continue", b""))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(BODY)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_http_1_0_is_answered_and_closed(server: Server, key: str) -> None:
    got = exchange(server, post(key, sized(BODY), BODY, version="1.0"))
    assert got.split(b" ")[1] == b"200"
    assert b'"predictions"' in got


def test_requests_one_behind_the_other_are_answered_in_order(server: Server, key: str) -> None:
    wrong = post(key, sized(b"{"), b"{")
    last = post(key, sized(BODY) + "\r\nconnection: close", BODY)
    got = exchange(server, post(key, sized(BODY), BODY) + wrong + b"HEAD /v2/health/live HTTP/1.1\r\n"
                   b"host: localhost\r\n\r\n" + last)  # fmt: skip
    assert re.findall(rb"HTTP/1\.1 (\d+) ", got) == [b"200", b"400", b"200", b"200"]


@pytest.mark.parametrize(
    "framing",
    [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: -1",
        "content-length: 1e3",
        "transfer-encoding: chunked, identity",
    ],
)
def test_a_body_whose_end_is_not_clear_is_refused(server: Server, key: str, framing: str) -> None:
    got = exchange(
        server, post(key, f"content-type: application/json\r\n{framing}", b"0\r\n\r\nGET / HTTP/1.1")
    )
    (status,) = re.findall(rb"HTTP/1\.1 (\d+) ", got)
    assert status.startswith(b"4")
    assert server.client.get("/livez").status_code == 200


def test_an_absurdly_long_address_is_refused(server: Server) -> None:
    got = exchange(server, b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert got.split(b" ")[1] in (b"400", b"414", b"431")
    assert server.client.get("/v1/" + "x" * 20_000 + "/model").status_code == 404
