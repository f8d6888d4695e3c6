"""Servers of this machine are asked without a proxy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib import request

import pytest

from configs.security.loopback import open_url
from models.production.registry_rest import MlflowRest
from service.state.prefect_health import PrefectHealth


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"model_version": {"version": "3"}}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    "asks",
    [
        lambda url: open_url(request.Request(url), 2).close() is None,
        lambda url: MlflowRest(url).alias_version("plans", "production") == 3,
        lambda url: PrefectHealth(url).describe() == {"ok": True},
    ],
    ids=["open_url", "mlflow", "prefect"],
)
def test_loopback_is_asked_directly(asks: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.setattr(request, "_opener", None)
        server = HTTPServer(("127.0.0.1", 0), Answering)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert asks(f"http://127.0.0.1:{server.server_port}")
            assert asks(f"http://localhost:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def test_others_are_asked_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(request, "_opener", None)
    try:
        with open_url(request.Request("http://mlflow.example/x"), 2) as answer:
            assert answer.status == 200
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
