"""Where the database is, connections to it, and its migrations."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from configs.addresses.database_url import parameters, variable_of
from configs.settings import Settings
from store.database.faults import sentence
from store.database.locks import key_sql
from store.database.revisions import SCRIPTS, revision_problem
from store.errors import DatabaseUnavailable

# PostgreSQL gives 1e30 back as a whole number, which JSON for others could not hold: it is a float again.
set_json_loads(orjson.loads)

TOOLS = ("mlflow", "prefect")
CONNECT_SECONDS = 10
UNTRUSTED = "certificate verify failed"
"""Of what libpq says of a certificate by another authority, or of one that has expired."""
MIGRATION_SECONDS = 0.1
"""Between two looks at whether another process still migrates."""
KEEPALIVES = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A server that a network has lost is noticed within a minute, not after hours; the last in milliseconds."""
SOON = {"keepalives_idle": 3, "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": 5_000}
"""For who must go on at once: within seconds, and so soon does it find out that the network is back."""
_LIBPQ_ADVICE = re.compile(r" Is the server running [^?]*\?")
_LOST_CLIENT = (
    "SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; "
    "SET tcp_user_timeout = 10000"
)


def url_file(home: Path) -> Path:
    """File in which the running embedded server leaves its address."""
    return home / "postgres" / "url"


def configured_addresses(settings: Settings) -> dict[str, str]:
    """The addresses of databases that the environment names, by variable."""
    named = {
        "RATCHET_DATABASE_URL": settings.database_url,
        "RATCHET_DATABASE_DIRECT_URL": settings.direct_database_url,
    }
    return {variable: url for variable, url in named.items() if url is not None}


def database_url(settings: Settings) -> str:
    """Address of the database: `RATCHET_DATABASE_URL`, else that of the embedded server.

    Raises:
        DatabaseUnavailable: neither is known, or can be read now.
    """
    if settings.database_url is not None:
        return settings.database_url
    try:
        return url_file(settings.home).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise DatabaseUnavailable(
            f"no database: RATCHET_DATABASE_URL is not set and none was started in {settings.home}; "
            "start one with `ratchet up`"
        ) from None
    except OSError as error:
        raise DatabaseUnavailable(
            f"where the database of {settings.home} is cannot be read: {error}"
        ) from error


def connect(
    url: str,
    *,
    autocommit: bool = False,
    timeout: int = CONNECT_SECONDS,
    looks: Mapping[str, int] = KEEPALIVES,
) -> psycopg.Connection:
    """Open a connection whose session speaks UTC.

    Nothing is asked of the server that a pooler in session mode would not pass on. Statements are not
    prepared: a table that a migration changes would break those of open connections.

    Args:
        timeout: seconds until the server must have answered, unless `url` says otherwise.
        looks: how soon a lost network is noticed, unless `url` says otherwise.

    Raises:
        DatabaseUnavailable: the server does not answer or refuses.
    """
    try:
        conn = psycopg.connect(url, prepare_threshold=None, **defaults(url, timeout, looks))
        with closed_on_error(conn):
            if conn.info.parameter_status("TimeZone") != "UTC":
                conn.execute("SET TIME ZONE 'UTC'")
                conn.commit()  # a session's setting goes with the transaction that made it, if that does
            conn.autocommit = autocommit
    except psycopg.Error as error:
        raise _unavailable(url, error) from error
    return conn


@contextmanager
def closed_on_error(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """Close a connection that is still being made ready, if that fails."""
    try:
        yield
    except BaseException:
        conn.close()
        raise


async def connect_async(url: str) -> psycopg.AsyncConnection[Any]:
    """Open a connection, each statement a transaction, for code that runs on an event loop.

    Raises:
        DatabaseUnavailable: the server does not answer or refuses.
    """
    try:
        return await psycopg.AsyncConnection.connect(
            url, autocommit=True, prepare_threshold=None, **defaults(url)
        )
    except psycopg.Error as error:
        raise _unavailable(url, error) from error


def _unavailable(url: str, error: psycopg.Error) -> DatabaseUnavailable:
    said = " ".join(str(error).split())  # libpq writes lines, and indents them
    reason = _LIBPQ_ADVICE.sub("", said).removeprefix("connection failed: ")
    told = f"database at {address(url)} cannot be reached: {reason}"
    variable = variable_of(url, os.environ)
    named = told if variable is None else f"{variable}: {told}"
    if UNTRUSTED in reason:  # and no more than that
        return DatabaseUnavailable(
            f"{named}; sslrootcert must name a file of the authority that signed the server's certificate, "
            "and neither may have expired"
        )
    if variable is None:
        return DatabaseUnavailable(told)
    return DatabaseUnavailable(f"{named}; see that it runs and lets this user in, or name another")


def let_go_when_lost(conn: psycopg.Connection[Any]) -> None:
    """Have the server end this session, and free what it locks, soon after the network has lost us."""
    conn.execute(_LOST_CLIENT)


def defaults(
    url: str, timeout: int = CONNECT_SECONDS, looks: Mapping[str, int] = KEEPALIVES
) -> dict[str, Any]:
    """What a connection has where `url` does not say it: a limit of time, and looks at the other end."""
    chosen = parameters(url)
    wanted = {"connect_timeout": timeout, **looks}
    return {name: value for name, value in wanted.items() if name not in chosen}


def address(url: str) -> str:
    """Host, port and database of `url`, without the user and password, for messages.

    >>> address("postgresql://u:p@[::1]/db"), address("postgresql://a:1,b:2/db")
    ('[::1]:5432/db', 'a:1,b:2/db')
    """
    chosen = parameters(url)
    hosts = (chosen.get("host") or chosen.get("hostaddr") or "localhost").split(",")
    ports = (chosen.get("port") or "5432").split(",")
    places = (
        f"[{host}]:{port or 5432}" if ":" in host else f"{host}:{port or 5432}"
        for host, port in zip(hosts, ports * len(hosts), strict=False)
    )
    return f"{','.join(places)}/{chosen.get('dbname', '')}".removesuffix("/")


def migrate(url: str) -> None:
    """Bring the tables to the newest revision; concurrent callers wait for each other.

    Raises:
        DatabaseUnavailable: they are of a newer release, or cannot be changed now, as where nothing can.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError

    with connect(url) as guard:
        if guard.execute("SELECT current_setting('transaction_read_only')").fetchone() == ("on",):
            variable = variable_of(url, os.environ)
            way = f"name the primary{f' in {variable}' if variable else ''}, or let it take writes"
            raise DatabaseUnavailable(f"{address(url)}: the database is read-only; {way}")
        _lock_migration(guard)
        config = Config()
        for name, value in SCRIPTS.items():
            config.set_main_option(name, value)
        config.attributes["url"] = url
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise DatabaseUnavailable(revision_problem(guard) or str(error)) from error
        except DBAPIError as error:
            reason = sentence(error.orig or error)
            raise DatabaseUnavailable(f"the tables cannot be brought up to date: {reason}") from error


def _lock_migration(guard: psycopg.Connection[Any]) -> None:
    """Wait until nobody else migrates, and hold the lock until the caller's transaction ends.

    By asking again: a statement that waits would be waited for in its turn by `CREATE INDEX CONCURRENTLY`.
    """
    asks = f"SELECT pg_try_advisory_xact_lock({key_sql('migration')})"
    while (row := guard.execute(asks, ("tables",)).fetchone()) is None or not row[0]:
        guard.rollback()
        time.sleep(MIGRATION_SECONDS)
    guard.execute("SET LOCAL idle_in_transaction_session_timeout = 0")


def tool_url(url: str, tool: str) -> str:
    """Address of the database of a tool (`mlflow`, `prefect`) on the same server.

    >>> tool_url("postgresql://u@h:5432/ratchet", "mlflow")
    'postgresql://u@h:5432/ratchet_mlflow'
    >>> tool_url("postgresql://u@h?dbname=ratchet&sslmode=require", "mlflow")
    'postgresql://u@h?dbname=ratchet_mlflow&sslmode=require'
    """
    start, mark, query = url.partition("?")
    parts = [f"{part}_{tool}" if part.startswith("dbname=") else part for part in query.split("&") if query]
    if any(part.startswith("dbname=") for part in parts):
        return f"{start}?{'&'.join(parts)}"
    server, _, name = start.removeprefix("postgresql://").partition("/")
    return f"postgresql://{server}/{name or 'postgres'}_{tool}{mark}{query}"


def ensure_databases(url: str, tools: Iterable[str] = TOOLS) -> None:
    """Create the databases of the tools where they do not exist.

    Raises:
        DatabaseUnavailable: one is missing and this user may not create it.
    """
    with connect(url, autocommit=True) as conn:
        for tool in tools:
            name = parameters(tool_url(url, tool))["dbname"]
            if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                continue
            try:
                conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                continue  # the second is what another gets that makes it at the same moment
            except psycopg.errors.InsufficientPrivilege as error:
                user = conn.info.user
                raise DatabaseUnavailable(
                    f"database '{name}' is missing and user '{user}' may not create it; "
                    f'create it: CREATE DATABASE "{name}" OWNER "{user}";'
                ) from error
