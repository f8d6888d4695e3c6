"""Signing in to Prefect's UI without typing: a page of its server that takes the password from its address.

`ratchet open prefect` has the browser open a file that only its owner can read; the file leads to that page,
with the password behind the `#`, which browsers send to nobody. So it is in no command line, no request and
no log.
"""

from __future__ import annotations

import base64
import hashlib
import html
from pathlib import Path
from urllib.parse import quote

from configs.settings import Settings
from flows.servers.guard import App, Receive, Scope, Send
from store.database.embedded import write_private

PATH = "/ratchet/sign-in"
_SCRIPT = """
const signIn = async () => {
  const proof = btoa(decodeURIComponent(location.hash.slice(1)));
  history.replaceState(null, "", location.pathname);
  const answer = await fetch("/api/admin/version", { headers: { Authorization: `Basic ${proof}` } });
  if (!answer.ok) throw new Error(`Prefect answers ${answer.status}`);
  localStorage.setItem("prefect-password", proof);
  location.replace("/");
};
signIn().catch((error) => {
  document.body.textContent = `Not signed in: ${error.message}. Try ratchet open prefect again.`;
});
"""
_PAGE = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Signing in</title>
<body>Signing in to Prefect.<script>{_SCRIPT}</script></body></html>
""".encode()
_DIGEST = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest())
_HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-length", b"%d" % len(_PAGE)),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'sha256-"
        + _DIGEST
        + b"'; connect-src 'self'; frame-ancestors 'none'",
    ),
]


class SignIn:
    """ASGI middleware that adds the page to Prefect's application."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the page at its path; pass everything else on."""
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "GET":
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": _PAGE})
        else:
            await self._app(scope, receive, send)


class NewUiRedirect:
    """ASGI middleware that redirects links into Prefect's older pages to its newer ones.

    Links that Prefect prints lead into the older ones, which say that there is no such page to who has not
    signed in; the newer ones ask for the password. Who has chosen the older ones keeps them.
    """

    PLACES = ("/runs/", "/flows/", "/deployments/")
    OLDER_CHOSEN = b"prefect_ui_version=v1"

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Redirect, or pass on."""
        if scope["type"] != "http" or not self._is_link(scope):
            await self._app(scope, receive, send)
            return
        place = b"/v2" + scope["raw_path"]
        if scope["query_string"]:
            place += b"?" + scope["query_string"]
        headers = [(b"location", place), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _is_link(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        return (
            scope["method"] == "GET"
            and scope["path"].startswith(self.PLACES)
            and b"text/html" in headers.get(b"accept", b"")
            and self.OLDER_CHOSEN not in headers.get(b"cookie", b"")
        )


def sign_in_file(home: Path) -> Path:
    """The file that a browser is led by, while the servers are up."""
    return home / "prefect" / "sign-in.html"


def write_sign_in(settings: Settings, password: str) -> Path:
    """Write the file that leads a browser to the page, and return its path; only its owner can read it."""
    place = f"{settings.prefect_url.removesuffix('/api')}{PATH}#{quote(password, safe='')}"
    path = sign_in_file(settings.home)
    refresh = html.escape(f"0; url={place}", quote=True)
    write_private(
        path,
        '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="{refresh}"><title>Prefect</title>\n',
    )
    return path
