"""The files of the page at /ui: read once, compressed, and sent with an ETag."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from service.http.exchange import Headers, Receive, Reply, Scope, header
from service.http.front import Handler, Route

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    b"connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page loads from and connects to this server only, and runs no inline code."""
FRAME_POLICY = (
    b"sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    b"img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Evidently's report is drawn in a frame of its own: without an origin, and without the network. The report
brings the policy that names its scripts; both hold, and one that brings none is not drawn."""
POLICIES = {"report.html": FRAME_POLICY}


@dataclass(frozen=True)
class Asset:
    """One file: its bytes, the same compressed with gzip, its ETag and its headers."""

    body: bytes
    gzipped: bytes
    etag: bytes
    headers: Headers = field(default=())

    def reply(self, scope: Scope) -> Reply:
        """The file, or 304 where the request names its ETag."""
        if_none_match = (header(scope, b"if-none-match") or "").encode("latin-1")
        if self.etag in if_none_match:
            return Reply(304, b"", self.headers)
        if "gzip" in (header(scope, b"accept-encoding") or ""):
            return Reply(200, self.gzipped, [*self.headers, (b"content-encoding", b"gzip")])
        return Reply(200, self.body, self.headers)


def read_assets() -> Mapping[str, Asset]:
    """Path below the folder to file."""
    files = (path for path in sorted(STATIC.rglob("*")) if path.suffix in TYPES)
    return {path.relative_to(STATIC).as_posix(): _read(path) for path in files}


def asset_routes() -> dict[str, Route]:
    """Path to route: the page at `/ui`, its files below."""
    assets = read_assets()
    page = _handler(assets["index.html"])
    table = {f"/ui/{name}": _handler(asset) for name, asset in assets.items() if name != "index.html"}
    return {path: Route({"GET": handler}) for path, handler in {**table, "/ui": page, "/ui/": page}.items()}


def _read(path: Path) -> Asset:
    body = path.read_bytes()
    etag = b'"%b"' % sha256(body).hexdigest()[:20].encode()
    return Asset(
        body=body,
        gzipped=gzip.compress(body, mtime=0),
        etag=etag,
        headers=(
            (b"content-type", TYPES[path.suffix]),
            (b"etag", etag),
            # Cached, and revalidated each time, so that a new release is shown at once.
            (b"cache-control", b"no-cache"),
            (b"vary", b"accept-encoding"),
            (b"content-security-policy", POLICIES.get(path.name, POLICY)),
            (b"referrer-policy", b"same-origin"),
        ),
    )


def _handler(asset: Asset) -> Handler:
    async def handle(scope: Scope, _receive: Receive) -> Reply:
        return asset.reply(scope)

    return handle
