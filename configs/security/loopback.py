"""Asking other servers over HTTP: those of this machine directly, whatever proxy the environment names."""

from __future__ import annotations

from typing import Any
from urllib import request
from urllib.parse import urlsplit

from configs.security.origins import is_loopback

_DIRECT = request.build_opener(request.ProxyHandler({}))


def open_url(call: request.Request, timeout: float) -> Any:
    """The answer of a server, to be closed by the caller.

    Raises:
        OSError: it does not answer, or with an error (`HTTPError`).
    """
    if is_loopback(urlsplit(call.full_url).hostname or ""):
        return _DIRECT.open(call, timeout=timeout)
    return request.urlopen(call, timeout=timeout)
