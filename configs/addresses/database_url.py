"""The address of a PostgreSQL, as people and managed services write it, brought into one form.

Three drivers connect by it: libpq for Ratchet and MLflow, asyncpg for Prefect. What one of them could not
keep is refused here by its name, before anything is started.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from configs.errors import SettingError

VARIABLE = "RATCHET_DATABASE_URL"
DIRECT_VARIABLE = "RATCHET_DATABASE_DIRECT_URL"
FORM = "postgresql://user:password@host:port/name"
_SCHEME = re.compile(r"(postgresql|postgres)(\+(psycopg|psycopg2|psycopg3|asyncpg))?", re.IGNORECASE)
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "primary"),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "client_encoding": ("utf8", "UTF8", "auto"),
}
"""Parameters of which not every value can be kept. A server that is to be a replica takes no labels."""
_NUMBERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_REFUSED: Mapping[str, str] = {
    "service": "write out what the service file has",
    "replication": "take it out",
    "require_auth": "take it out; Prefect's driver cannot keep it",
    "sslcrldir": "use sslcrl; Prefect's driver knows no folder of them",
    "requirepeer": "take it out; Prefect's driver cannot keep it",
}
_POOLERS = ("pgbouncer", "pool_mode")
_SECRETS = ("password", "sslpassword")
_PORT_DIGITS = 5
_USER_CHARACTERS = "%!$&'()*+,;=:"
"""What may stand in a user or a password as it is; a `%` begins what is encoded already."""


def read_database_url(text: str, variable: str = VARIABLE) -> str:
    """The address as libpq reads it.

    The scheme becomes `postgresql`; files are found from wherever a server is started.

    Raises:
        SettingError: it is no such address, or has a parameter that cannot be kept; it names that.
    """
    try:
        return _read(text)
    except SettingError as error:
        raise SettingError(variable, error.value, error.allowed) from error


def _read(text: str) -> str:
    scheme, separator, rest = text.strip().partition("://")
    if not separator or _SCHEME.fullmatch(scheme) is None:
        # What stands before a colon may be anything, such as `host=h password=...`.
        named = re.match(r"[a-z][a-z0-9+.-]*(?=:)", text.strip(), re.IGNORECASE)
        raise SettingError(VARIABLE, f"{named[0][:20]}:..." if named else "...", FORM)
    rest = _with_quoted_user(rest)
    query = _quoted(_without_pooler(rest.partition("?")[2].partition("#")[0]))
    _check_repeats(query)
    plain = f"postgresql://{rest.partition('?')[0]}" + (f"?{query}" if query else "")
    chosen = _parse(plain)
    for name, value in chosen.items():
        _check(name, value)
    if chosen.get("sslrootcert") == "system" and chosen.get("sslmode", "verify-full") != "verify-full":
        raise _refusal("sslmode", chosen["sslmode"], "verify-full, or none, beside sslrootcert=system")
    return _with_whole_paths(plain)


def _with_quoted_user(rest: str) -> str:
    """What follows the scheme, with user and password percent-encoded, which others than libpq want.

    Raises:
        SettingError: libpq would not find the end of a password in it, and take what follows for a port.
    """
    before, slash, after = rest.partition("/")
    named, at, place = before.partition("@")
    if not at:
        if "@" in after.partition("?")[0] or "@" in after.partition("=")[0]:
            raise SettingError(
                VARIABLE,
                "postgresql:...",
                f"{FORM}, with %2F for a / in a password, and %40 for an @ elsewhere",
            )
        return rest
    user, colon, password = (quote(part, safe=_USER_CHARACTERS) for part in named.partition(":"))
    return f"{user}{colon}{password}@{place}{slash}{after}"


def variable_of(url: str, environ: Mapping[str, str]) -> str | None:
    """The variable that leads to the server of `url`; None: none does, as where it is that of the home."""
    server = _server(url)
    for name in (VARIABLE, DIRECT_VARIABLE):
        text = environ.get(name, "").strip()
        if text and _server(read_database_url(text, name)) == server:
            return name
    return None


def _server(url: str) -> tuple[str | None, ...]:
    chosen = parameters(url)
    return tuple(chosen.get(name) for name in ("host", "hostaddr", "port"))


def parameters(url: str) -> dict[str, str]:
    """What libpq reads in an address: host, port, user, password, dbname and the other parameters."""
    from psycopg.conninfo import conninfo_to_dict

    return {name: str(value) for name, value in conninfo_to_dict(url).items()}


def _without_pooler(query: str) -> str:
    """The query without what other clients are told of a pooler: servers are asked for that."""
    parts = filter(None, query.split("&"))
    return "&".join(part for part in parts if part.partition("=")[0] not in _POOLERS)


def _quoted(query: str) -> str:
    """The query as libpq wants it: `options=-cname=value` has to say `-cname%3Dvalue` there."""
    parts = [part.partition("=") for part in filter(None, query.split("&"))]
    quoted = {"=": "%3D", " ": "%20", "+": "%2B"}
    return "&".join(
        name + sign + "".join(quoted.get(one, one) for one in value) for name, sign, value in parts
    )


def _check_repeats(query: str) -> None:
    """Refuse a parameter that stands there twice: drivers differ in which of the two they take."""
    values: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        own_name = "sslmode" if name == "ssl" else name
        if own_name in values:
            raise _refusal(own_name, value, f"{own_name} once; it stands there twice")
        values[own_name] = value


def _parse(url: str) -> dict[str, str]:
    import psycopg

    try:
        return parameters(url)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        name = re.search(r'query parameter: "([^"]*)"', reason)
        if name is not None and re.fullmatch(r"\w+", name[1]):
            allowed = "parameters of PostgreSQL's own clients, such as sslmode; take this one out"
            raise _refusal(name[1], "...", allowed) from error
        raise SettingError(VARIABLE, "postgresql:...", f"{FORM} ({_without_secret(reason, url)})") from error


def _without_secret(reason: str, url: str) -> str:
    """What libpq says of an address, less what it quotes of it, in which a password may stand."""
    return re.sub(r'"[^"]*"?', "...", reason.replace(url, "...").partition(': "')[0])


def _check(name: str, value: str) -> None:
    """Refuse a parameter that one of the drivers could not keep."""
    if name in _REFUSED:
        raise _refusal(name, value, f"an address without it: {_REFUSED[name]}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise _refusal(name, value, ", ".join(_CHOICES[name]))
    if name in _NUMBERS and not value.isdigit():
        raise _refusal(name, value, "a whole number")
    if name == "port":
        for port in filter(None, value.split(",")):
            if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
                raise _refusal("port", port, "a whole number from 1 to 65535")
    if name == "host" and "@" in value:
        raise SettingError(VARIABLE, "postgresql:...", f"{FORM}, with %40 for an @ in a password")
    if name == "options" and session_settings(value) is None:
        raise _refusal(name, value, "settings such as -c search_path=ratchet")


def _refusal(name: str, value: str, allowed: str) -> SettingError:
    """What stands in the place of a secret, or of a port that is none, may be a part of a password."""
    is_hidden = name in _SECRETS or (name == "port" and len(value) > _PORT_DIGITS)
    return SettingError(VARIABLE, f"...?{name}={'...' if is_hidden else value[:80]}", allowed)


def session_settings(options: str) -> dict[str, str] | None:
    """What `options` sets, by name; None where there is more in it than settings.

    >>> session_settings("-c search_path=a --work_mem=4MB"), session_settings("-B 16")
    ({'search_path': 'a', 'work_mem': '4MB'}, None)
    """
    words = re.findall(r"(?:\\.|\S)+", options)
    settings = {}
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = words.pop(0)
        elif word.startswith(("-c", "--")):
            word = word[2:]
        else:
            return None
        name, sign, value = word.partition("=")
        if not sign:
            return None
        settings[name.replace("-", "_")] = re.sub(r"\\(.)", r"\1", value)
    return settings


def _with_whole_paths(url: str) -> str:
    """The address with files named from the root, as servers are started in another folder."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    whole = [
        (name, str(Path(value).absolute()) if name in _FILES and value not in ("", "system") else value)
        for name, value in query
    ]
    return url if whole == query else urlunsplit(parts._replace(query=urlencode(whole, quote_via=quote)))
