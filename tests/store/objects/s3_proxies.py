"""What stands between a client and a server of S3's protocol, and goes away in the middle of a write."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Asked = Callable[[str, str], bool]
"""Whether a request, by method and path, is one that is meant."""


@dataclass
class Proxy:
    """Passes on what it is asked, until told otherwise."""

    endpoint: str
    dies_before: Asked = field(default=lambda _method, _path: False)
    """The first such request, and all after it, are not passed on: the connection ends."""
    dies_after: Asked = field(default=lambda _method, _path: False)
    """The first such request is passed on, and its answer, and all requests after it, are not."""
    loses_answer: Asked = field(default=lambda _method, _path: False)
    """The first such request is passed on, and its answer is not; it goes on with all others."""
    lost: int = 0
    """How many answers."""
    is_gone: bool = False

    def heal(self) -> None:
        """Pass on everything again."""
        self.dies_before = self.dies_after = lambda _method, _path: False
        self.is_gone = False


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """A proxy before a server."""
    host = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self._body()
            proxy.is_gone = proxy.is_gone or proxy.dies_before(self.command, self.path)
            if proxy.is_gone:
                self.close_connection = True
                return
            server = http.client.HTTPConnection(host, timeout=30)
            try:
                headers = {
                    name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"
                }
                server.request(self.command, self.path, body, headers)
                answer = server.getresponse()
                told = answer.read()
            finally:
                server.close()
            if proxy.dies_after(self.command, self.path):
                proxy.is_gone = self.close_connection = True
                return
            if not proxy.lost and proxy.loses_answer(self.command, self.path):
                proxy.lost += 1
                self.close_connection = True
                return
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            length = answer.getheader("content-length") if self.command == "HEAD" else str(len(told))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(told)

        def _body(self) -> bytes | None:
            length = int(self.headers.get("content-length") or 0)
            return self.rfile.read(length) if length else None

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - as its base wants them

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
