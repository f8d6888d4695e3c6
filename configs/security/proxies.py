"""Proxies that the environment names: servers of this machine are never asked through one.

The libraries that Ratchet and its servers use read `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` by
themselves, each in its own way, and some fail at once on a value that they do not know.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from urllib import request
from urllib.parse import urlsplit

from configs.errors import SettingError

VARIABLES = tuple(f"{name}_proxy" for name in ("http", "https", "all"))
EXEMPT = "no_proxy"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HTTP, _SOCKS = ("http", "https"), ("socks4", "socks5", "socks5h")
ALLOWED = "http://HOST:PORT or https://HOST:PORT; or nothing, so that no proxy is used"


def proxy_environment(environ: Mapping[str, str], hosts: Iterable[str]) -> dict[str, str]:
    """What to add to `environ` so that the servers at `hosts`, and all on loopback, are asked directly.

    A proxy without a scheme is one of HTTP, as for curl. One of SOCKS is left out where nothing here speaks
    that: the libraries would not start with it, though nothing has to go through it.

    Raises:
        SettingError: a variable has what is no address of a proxy; it names the variable.
    """
    changes: dict[str, str] = {}
    for name in _names(environ, VARIABLES):
        usable = _usable(name, environ[name])
        if usable != environ[name]:
            changes[name] = usable
    exempt = [part.strip() for name in (EXEMPT, EXEMPT.upper()) for part in environ.get(name, "").split(",")]
    if "*" not in exempt:
        everything = ",".join(dict.fromkeys([*filter(None, exempt), *LOOPBACK, *hosts]))
        changes |= {EXEMPT: everything, EXEMPT.upper(): everything}
    return {name: value for name, value in changes.items() if environ.get(name) != value}


def proxy_variable(url: str, environ: Mapping[str, str]) -> str | None:
    """The variable by which `url` is asked through a proxy; None where it is asked directly."""
    parts = urlsplit(url)
    if parts.hostname is None or parts.hostname in LOOPBACK or request.proxy_bypass(parts.netloc):
        return None
    wanted = (f"{parts.scheme}_proxy", "all_proxy")
    return next((name for want in wanted for name in _names(environ, (want,)) if environ[name]), None)


def through_proxy(url: str, environ: Mapping[str, str]) -> str:
    """What to add to the message that `url` does not answer: by which variable a proxy came between."""
    variable = proxy_variable(url, environ)
    if variable is None:
        return ""
    host = urlsplit(url).hostname
    return f" (asked through the proxy that {variable} names; {EXEMPT}={host} asks it directly)"


def _names(environ: Mapping[str, str], wanted: Iterable[str]) -> list[str]:
    """The variables that are set, in small letters or capitals."""
    return [name for one in wanted for name in (one, one.upper()) if environ.get(name)]


def _usable(variable: str, value: str) -> str:
    """The proxy as the libraries read it; empty where none of them could use it."""
    text = value.strip()
    full = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(full)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or parts.scheme.lower() not in (*_HTTP, *_SOCKS):
        raise SettingError(variable, text.rpartition("@")[2], ALLOWED)
    if parts.scheme.lower() in _SOCKS and importlib.util.find_spec("socksio") is None:
        return ""
    return full
