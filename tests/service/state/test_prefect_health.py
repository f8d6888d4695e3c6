"""Whether Prefect is there is asked now and then, and said."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from service.state import prefect_health
from service.state.prefect_health import PrefectHealth
from tests.ports import closed_port
from tests.service.conftest import StartService


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_it_is_asked_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    server = HTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    state = PrefectHealth(f"http://127.0.0.1:{server.server_port}/api")
    try:
        assert state.describe() == {"ok": True}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert state.describe() == {"ok": True}
    monkeypatch.setattr(prefect_health, "LOOK_SECONDS", 0.0)
    told = state.describe()
    assert told["ok"] is False
    assert "does not answer" in told["error"]


def test_health_is_degraded_without_prefect(start_service: StartService) -> None:
    port = closed_port()
    health = start_service(RATCHET_PREFECT_PORT=str(port)).get("/health").json()
    assert health["status"] == "degraded"
    assert health["dependencies"]["prefect"]["ok"] is False
    assert f"127.0.0.1:{port}" in health["dependencies"]["prefect"]["error"]
