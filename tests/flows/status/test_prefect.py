"""What status makes of a Prefect that answers with what is none of its own, slowly, or not to the end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from configs.settings import Settings, read_settings
from flows.status.prefect import ABREAST, TIMEOUT, next_runs, pool_workers
from flows.status.reading import read_status
from tests.http_servers import running
from tests.ports import closed_port

AT = "2026-11-28T12:19:38+00:00"
WORKER = {"name": "ratchet", "status": "ONLINE", "last_heartbeat_time": AT}


class _Prefect(ThreadingHTTPServer):
    """Answers every question with the same bytes, after a while."""

    raw: bytes = b""
    seconds = 0.0
    asked = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Prefect

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked += 1
        time.sleep(self.server.seconds)
        self.wfile.write(self.server.raw)
        self.close_connection = True

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_more: Any) -> None:
        pass


def plain(body: Any) -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)


@pytest.fixture
def prefect() -> Iterator[_Prefect]:
    with running(_Prefect(("127.0.0.1", 0), _Handler)) as server:
        yield server


def settings_of(prefect: _Prefect) -> Settings:
    ports = {name: str(closed_port()) for name in ("RATCHET_PORT", "RATCHET_MLFLOW_PORT")}
    return read_settings({"PREFECT_API_URL": f"http://127.0.0.1:{prefect.server_port}/api", **ports})


GARBAGE = {
    "an object": plain({"detail": "no"}),
    "numbers": plain([1]),
    "nothing": plain(None),
    "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n[",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "closed": b"",
    "empty rows": plain([{}]),
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE)
def test_what_is_no_answer_is_told_as_such(prefect: _Prefect, raw: bytes) -> None:
    prefect.raw = raw
    settings = settings_of(prefect)
    with pytest.raises((OSError, ValueError)):
        pool_workers(settings)
    with pytest.raises((OSError, ValueError)):
        next_runs(settings, ["plans"])


@pytest.mark.parametrize("at", [None, 3, "soon", "2026-11-28T12:19:38"])
def test_a_time_that_is_none_is_too(prefect: _Prefect, at: Any) -> None:
    prefect.raw = plain([{**WORKER, "last_heartbeat_time": at}])
    with pytest.raises(ValueError, match=r"is no answer|isoformat"):
        pool_workers(settings_of(prefect))


def test_status_tells_the_rest_besides(prefect: _Prefect, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("RATCHET_HOME", str(tmp_path))
    prefect.raw = plain([{}])
    status = read_status(settings_of(prefect), "plans")
    (problem,) = (one for one in status.problems if "Prefect" in one)
    assert problem == "schedules and workers cannot be read from Prefect: {} is no answer of Prefect's"
    assert [one.name for one in status.use_cases] == ["plans"]


def test_what_it_says_is_read(prefect: _Prefect) -> None:
    prefect.raw = plain([{**WORKER, "expected_start_time": AT}])
    settings = settings_of(prefect)
    assert [(one.name, one.state) for one in pool_workers(settings)] == [("ratchet", "online")]
    every = {"ingest": AT, "drift": AT, "retrain": AT}
    assert next_runs(settings, ["plans", "papers"]) == {"plans": every, "papers": every}


def test_a_worker_that_died_is_told_for_an_hour_but_for_what_all_were_called_once(prefect: _Prefect) -> None:
    just_now = (datetime.now(UTC) - timedelta(minutes=3)).isoformat()
    long_ago = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    rows = [
        {"name": name, "status": status, "last_heartbeat_time": at}
        for name, status, at in (
            ("ratchet", "OFFLINE", just_now),
            ("b-4711", "ONLINE", just_now),
            ("b:home", "ONLINE", just_now),
            ("a:home", "OFFLINE", just_now),
            ("c:home", "OFFLINE", long_ago),
        )
    ]
    prefect.raw = plain(rows)
    told = [(one.name, one.state) for one in pool_workers(settings_of(prefect))]
    assert told == [("a:home", "silent"), ("b:home", "online"), ("b-4711", "online")]


def test_the_first_question_that_is_not_answered_is_the_last(prefect: _Prefect) -> None:
    prefect.raw, prefect.seconds = b"", TIMEOUT / 10
    with pytest.raises(OSError):
        next_runs(settings_of(prefect), [f"use-case-{number}" for number in range(30)])
    assert prefect.asked <= 2 * ABREAST + 1
