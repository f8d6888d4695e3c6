"""What the service says of versions that it refuses, and what status makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from configs.settings import Settings, read_settings
from flows.cli.terminal.status_lines import use_case_lines
from flows.status.health import problem_of, read_health, settled_health
from flows.status.reading import Status
from flows.status.servers import ServerStatus
from flows.status.use_cases import UseCaseStatus
from tests.http_servers import running
from tests.ports import free_port

WELL = {"state": "serving", "version": 2, "refused": {}}
REFUSED = {"state": "serving", "version": 1, "refused": {"2": "package mynet is not installed here"}}
EMPTY: dict[str, Any] = {"state": "untrained", "version": None, "refused": {}}


class _Service(HTTPServer):
    """Answers as the service does, one body after the other; the last again and again."""

    bodies: list[Any]


class _Handler(BaseHTTPRequestHandler):
    server: _Service

    def do_GET(self) -> None:
        bodies = self.server.bodies
        body = json.dumps(bodies.pop(0) if len(bodies) > 1 else bodies[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_more: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[_Service]:
    with running(_Service(("127.0.0.1", 0), _Handler)) as server:
        yield server


def settings_of(port: int) -> Settings:
    return read_settings({"RATCHET_PORT": str(port)})


def test_a_version_that_is_refused_is_told_with_what_answers() -> None:
    assert problem_of(REFUSED) == (
        "it refuses version 2: package mynet is not installed here; version 1 answers"
    )
    nothing = {**EMPTY, "refused": {"1": "damaged"}}
    assert problem_of(nothing) == "it refuses version 1: damaged; nothing answers"
    awaited = {"version": 1, "postponed": {"2": {"problem": "MemoryError", "failures": 3}}}
    assert (
        problem_of(awaited) == "it cannot load version 2 now, and tries again: MemoryError; version 1 answers"
    )
    assert problem_of({**WELL, "problem": "the alias is gone"}) == "the alias is gone; version 2 answers"
    assert [problem_of(told) for told in (WELL, EMPTY, None)] == [None, None, None]


def test_new_workers_are_waited_for_until_they_serve_or_refuse(service: _Service) -> None:
    service.bodies = [{"use_cases": {"a": EMPTY, "b": EMPTY}}, {"use_cases": {"a": REFUSED, "b": EMPTY}}]
    settings = settings_of(service.server_port)
    assert settled_health(settings, ["a"], 5) == {"a": REFUSED, "b": EMPTY}, "b has no production"
    assert settled_health(settings, ["b"], 0.1)["b"] == EMPTY


@pytest.mark.parametrize("body", [[], {"use_cases": []}, {}, 3])
def test_what_is_no_answer_tells_nothing(service: _Service, body: Any) -> None:
    service.bodies = [body]
    assert read_health(settings_of(service.server_port)) == {}
    assert read_health(settings_of(free_port())) == {}


def test_status_shows_it_and_is_not_well() -> None:
    up = ServerStatus("service", "up", True, None, 1)
    fine, bad = UseCaseStatus("a", "A"), UseCaseStatus("a", "A", service=problem_of(REFUSED))
    assert str(use_case_lines(bad)["service"]).startswith("it refuses version 2")
    assert Status((up,), (fine,), ()).is_well
    assert not Status((up,), (fine, bad), ()).is_well
    assert not Status((up,), (UseCaseStatus("a", "A", problem="the alias is gone"),), ()).is_well
    assert not Status((ServerStatus("service", "down", True, None, None),), (fine,), ()).is_well


def test_a_retrain_that_waits_tells_why_and_of_the_schedule() -> None:
    why = "601 new labels, and no number of them starts one (`retrain.every_labels`)"
    decision = {
        "verdict": "wait",
        "recommendation": "need 15 more days or sustained drift",
        "reasons": ["nothing makes a retrain due", why],
    }
    due = {"verdict": "retrain", "recommendation": "retrain now", "reasons": ["601 new labels"]}
    at = {"retrain": "2026-11-28T03:00:00+00:00"}
    line = use_case_lines(UseCaseStatus("a", "A", retrain=decision, next_runs=at))["retrain"]
    assert line == (
        f"wait: need 15 more days or sustained drift; {why}; the schedule starts one 2026-11-28 03:00 all "
        "the same, `ratchet retrain a` now"
    )
    assert (
        use_case_lines(UseCaseStatus("a", "A", retrain=decision))["retrain"]
        == f"wait: {decision['recommendation']}; {why}"
    )
    assert (
        use_case_lines(UseCaseStatus("a", "A", retrain=due, next_runs=at))["retrain"]
        == "retrain: retrain now"
    )
