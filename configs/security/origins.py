"""Which names a server answers to, and which web pages may call it: one rule for every server.

A web page of another site has two ways to a server on its visitor's machine. It sends requests there, and
the browser then names the page's origin (`Origin`), or at least says that it is another one
(`Sec-Fetch-Site`). Or it has a name of its own resolve to this machine, and the browser then names that in
`Host`. Programs that are no browsers send none of this and are let through: what they may do, keys and
passwords decide.

Source: the resource isolation policy of Fetch Metadata (https://web.dev/articles/fetch-metadata), and the
usual answer to DNS rebinding, which is to know one's own names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_MOST_CACHED_HOSTS = 256
"""Most accepted `Host` headers that are remembered; a server has few, whatever its clients make up."""
_CHECKED_HEADERS = frozenset({b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"})
_HOSTS = "loopback addresses, the address that the server is bound to, or a name in RATCHET_ALLOWED_HOSTS"

Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused."""

    header: Literal["Host", "Origin", "Sec-Fetch-Site"]
    value: str
    """Of the header, shortened."""
    allowed: str
    """Which values are allowed, in words."""

    @property
    def message(self) -> str:
        """One sentence for whoever sent the request."""
        return f"header {self.header}: got '{self.value}'; allowed: {self.allowed}"


class OriginPolicy:
    """Decides which requests one server accepts, by `Host`, `Origin` and Fetch Metadata.

    Args:
        hosts: names and addresses that the server answers to, beside those of loopback.
        origins: whose pages may call it, beside its own: `http://localhost:4200`.
    """

    def __init__(self, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self.hosts = frozenset(canonical_host(host) for host in hosts)
        self.origins = frozenset(origin.lower() for origin in origins)
        self._accepted_hosts: set[tuple[bytes, str | None]] = set()

    def check(self, method: str, headers: Iterable[Header], bound: str | None = None) -> Refusal | None:
        """Why a request is refused; None where it is not.

        Args:
            headers: as ASGI has them: names in lower case.
            bound: address of this server's end of the connection.
        """
        lines = list(headers)
        by_name = dict(lines)
        if len(by_name) == len(lines):
            host = by_name.get(b"host")
            if host is not None and (host, bound) not in self._accepted_hosts:
                refusal = self._check_host(host, bound)
                if refusal is not None:
                    return refusal
            origin = by_name.get(b"origin")
            if origin is not None:
                return self._check_origin(origin, host)
            if b"sec-fetch-site" in by_name:
                return _check_site(method, by_name)
            return None
        # A header occurs twice: every value has to be allowed.
        for name, value in lines:
            single = {**by_name, name: value}
            if (
                name in _CHECKED_HEADERS
                and (refusal := self.check(method, single.items(), bound)) is not None
            ):
                return refusal
        return None

    def allows_origin(self, origin: str) -> bool:
        """Whether pages of this other origin may call."""
        return origin.lower() in self.origins

    def _check_host(self, value: bytes, bound: str | None) -> Refusal | None:
        host = value.decode("latin-1")
        name = host_name(host)
        if name is None or not (is_loopback(name) or name in self.hosts or name == _bound_name(bound)):
            # The names are not listed: the page that sent the request may be able to read this.
            return Refusal("Host", host[:200], _HOSTS)
        if len(self._accepted_hosts) < _MOST_CACHED_HOSTS:
            self._accepted_hosts.add((value, bound))
        return None

    def _check_origin(self, value: bytes, host: bytes | None) -> Refusal | None:
        origin = value.decode("latin-1")
        if self.allows_origin(origin) or (host is not None and same_origin(origin, host.decode("latin-1"))):
            return None
        own = "none" if host is None else host.decode("latin-1")
        more = ", ".join(sorted(self.origins))
        return Refusal("Origin", origin[:200], f"pages of this server ({own}{', ' + more if more else ''})")


def _check_site(method: str, headers: Mapping[bytes, bytes]) -> Refusal | None:
    site = headers[b"sec-fetch-site"]
    if site not in (b"cross-site", b"same-site"):
        return None
    navigates = (
        headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    )
    if navigates and method in ("GET", "HEAD"):
        return None
    allowed = "same-origin; a page of another site may only link here"
    return Refusal("Sec-Fetch-Site", site.decode("latin-1"), allowed)


def _bound_name(bound: str | None) -> str | None:
    """The address that was reached, as a `Host` names it, also where a socket of IPv6 took a call of IPv4."""
    if bound is None:
        return None
    try:
        address = ipaddress.ip_address(bound.partition("%")[0])
    except ValueError:
        return canonical_host(bound)
    return str(getattr(address, "ipv4_mapped", None) or address)


def same_origin(origin: str, host: str) -> bool:
    """Whether an `Origin` is that of the server which a `Host` names.

    The scheme is left out of it: behind a proxy that speaks TLS the server cannot know its own.

    >>> same_origin("https://r.example", "R.example:443"), same_origin("http://localhost:1", "localhost:2")
    (True, False)
    """
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    default = DEFAULT_PORTS.get(parts.scheme.lower())
    name = None if parts.hostname is None else canonical_host(parts.hostname)
    if default is None or name is None or name != host_name(host):
        return False
    return (port or default) == (_port(host) or default)


def host_name(host: str) -> str | None:
    """The name or address in a `Host` header, in lower case; None where there is none.

    >>> host_name("LocalHost:3000"), host_name("[::1]:3000"), host_name("user@evil:1"), host_name("")
    ('localhost', '::1', None, None)
    """
    if host.startswith("["):
        address, end, port = host[1:].partition("]")
        valid = bool(end) and (not port or (port[0] == ":" and _is_port(port[1:])))
        return canonical_host(address) if valid and _is_address(address) else None
    name, colon, port = host.partition(":")
    if colon and not _is_port(port):
        return None
    allowed = all(letter.isalnum() or letter in "-._" for letter in name) and name.isascii()
    return canonical_host(name) if name and allowed else None


def canonical_host(name: str) -> str:
    """A host name or address as it is compared: lower case, without the root's dot or brackets.

    >>> canonical_host("R.Example."), canonical_host("[0:0::1]")
    ('r.example', '::1')
    """
    plain = name.strip("[]").rstrip(".").lower()
    try:
        return str(ipaddress.ip_address(plain))
    except ValueError:
        return plain


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach an address.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, False, True)
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def is_unspecified(host: str) -> bool:
    """Whether a server that binds to it listens on every address of the machine.

    >>> is_unspecified("0.0.0.0"), is_unspecified("::"), is_unspecified("10.0.0.5")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    return len(text) <= 5 and text.isascii() and text.isdigit() and int(text) < 65_536


def _port(host: str) -> int | None:
    port = host.rpartition("]")[2].rpartition(":")[2]
    return int(port) if _is_port(port) and ":" in host.rpartition("]")[2] else None
