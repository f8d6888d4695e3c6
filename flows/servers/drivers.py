"""How MLflow's and Prefect's servers connect to PostgreSQL: by our address, in the words of their drivers.

Both go through SQLAlchemy, which hands a driver whatever stands behind the `?` of an address. So the address
that they get is short, and the whole of it is given to the driver when it connects.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from sqlalchemy import URL, event
from sqlalchemy.engine import Engine

from configs.addresses.database_url import parameters, session_settings
from store.database.connection import defaults

_TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword", "sslnegotiation")
_TLS_VERSIONS = ("ssl_min_protocol_version", "ssl_max_protocol_version")
_ASYNCPG = ("user", "password", "dbname", "passfile", "target_session_attrs", "krbsrvname")
_OWN = ("timeout", "command_timeout", "statement_cache_size", "prepared_statement_cache_size", "ssl")
"""What Prefect's own settings say of a connection."""
_UNPREPARED: Mapping[str, Any] = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}
"""Has asyncpg and SQLAlchemy prepare a statement without a name, with each execution: by a name another
session would know none, or another one."""
READ_ONLY = "25006"


def psycopg_address(url: str) -> str:
    """What MLflow is told of the database: its kind and its name; `connect_by` knows the rest."""
    return f"postgresql+psycopg:///{quote(parameters(url).get('dbname', ''))}"


def libpq_address(url: str) -> str:
    """The whole of an address for an engine of ours, with all that libpq reads in it.

    >>> libpq_address("postgresql://u:p@h/db?connect_timeout=3")
    'postgresql+psycopg://u:p@?connect_timeout=3&dbname=db&host=h'
    """
    chosen = parameters(url)
    user, password = (chosen.pop(key, None) for key in ("user", "password"))
    # Its name is a parameter too: SQLAlchemy does not quote it in a path, where a `?` would end it.
    address = URL.create("postgresql+psycopg", user, password, query=chosen)
    return address.render_as_string(hide_password=False)


def asyncpg_address(url: str) -> str:
    """What Prefect is told of the database, with all that asyncpg reads in an address by itself.

    >>> asyncpg_address("postgresql://u:p@h/db?sslmode=require&connect_timeout=3")
    'postgresql+asyncpg://u:p@h:5432/db?sslmode=require'
    """
    query = asyncpg_parameters(url)
    user, password, name = (quote(query.pop(key, ""), safe="") for key in ("user", "password", "dbname"))
    secret = user and f"{user}{password and ':' + password}@"
    places = _places(query.pop("host", ""), query.pop("port", ""))
    single = len(places) == 1 and places[0][0] != "/"
    several = [] if single else [("host", place) for place in places]
    text = urlencode([*several, *query.items()], quote_via=quote)
    return f"postgresql+asyncpg://{secret}{places[0] if single else ''}/{name}" + (text and f"?{text}")


def _places(host: str, port: str) -> list[str]:
    """Each server with its port, or the folder of its socket."""
    hosts, ports = [one for one in host.split(",") if one], port.split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return [
        one if one[0] == "/" else f"{one}:{number or 5432}" for one, number in zip(hosts, ports, strict=True)
    ]


def asyncpg_parameters(url: str) -> dict[str, str]:
    """What asyncpg reads in an address; what it does not know would be a setting of the session there.

    `channel_binding`, `gssencmode` and keepalives are left out: asyncpg has none of them.
    """
    chosen = parameters(url)
    kept = {key: chosen[key] for key in (*_ASYNCPG, *_TLS, *_TLS_VERSIONS) if key in chosen}
    if kept.get("sslmode") == "require" and "sslrootcert" in kept:
        kept["sslmode"] = "verify-ca"  # which is what libpq makes of it
    if "host" in chosen:
        kept["host"] = ",".join(f"[{one}]" if ":" in one else one for one in chosen["host"].split(","))
    if "port" in chosen:
        kept["port"] = chosen["port"]
    name = chosen.get("application_name") or chosen.get("fallback_application_name")
    return (
        kept
        | (session_settings(chosen.get("options", "")) or {})
        | ({"application_name": name} if name else {})
    )


def connect_by(url: str, engines: Any = Engine, *, pooled: bool = False) -> None:
    """Have SQLAlchemy's engines connect by this address, and drop sessions that may not write.

    Call it in the process of a server, before that makes its engines.

    Args:
        engines: all of this process, or one.
        pooled: whether the address leads to a pooler in transaction mode.
    """

    def connect(dialect: Any, _record: Any, _args: list[Any], options: dict[str, Any]) -> Any:
        if dialect.driver == "psycopg":
            own = {key: options[key] for key in ("context",) if key in options}
            return psycopg.connect(url, prepare_threshold=None, **defaults(url), **own)
        if dialect.driver == "asyncpg":
            arguments = asyncpg_arguments(url, options) | (dict(_UNPREPARED) if pooled else {})
            options.clear()
            options.update(arguments)
        return None

    event.listen(engines, "do_connect", connect)
    event.listen(engines, "handle_error", drop_read_only)


def asyncpg_arguments(url: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """What `asyncpg.connect` is called with.

    Args:
        own: what Prefect asks for; of that, what is not in the address is kept.
    """
    query = asyncpg_parameters(url)
    arguments: dict[str, Any] = {
        key: own[key]
        for key in (
            "timeout",
            "command_timeout",
            "statement_cache_size",
            "prepared_statement_cache_size",
            "ssl",
        )
        if key in own and not isinstance(own[key], str)
    }
    if isinstance(own.get("server_settings"), Mapping):
        arguments["server_settings"] = dict(own["server_settings"])
    if (seconds := parameters(url).get("connect_timeout")) is not None:
        arguments["timeout"] = float(seconds) or None
    if query.get("sslrootcert") == "system":
        del query["sslrootcert"]
        arguments["ssl"] = ssl.create_default_context()
    name = quote(query.pop("dbname", ""), safe="")
    return {"dsn": f"postgresql:///{name}?{urlencode(query, quote_via=quote)}", **arguments}


def drop_read_only(context: Any) -> None:
    """A session that may not write, as of a server that is a replica by now, is not used again."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True
