"""Where the database is, connections to it, and its migrations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from configs.settings import Settings
from store.database.locks import lock_session
from store.errors import DatabaseUnavailable

TOOLS = ("mlflow", "prefect")
_MIGRATIONS = Path(__file__).parent / "migrations"


def url_file(home: Path) -> Path:
    """File in which the running embedded server leaves its address."""
    return home / "postgres" / "url"


def database_url(settings: Settings) -> str:
    """Address of the database: `RATCHET_DATABASE_URL`, else that of the embedded server.

    Raises:
        DatabaseUnavailable: neither is known.
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


def connect(url: str, *, autocommit: bool = False) -> psycopg.Connection:
    """Open a connection whose session speaks UTC.

    Raises:
        DatabaseUnavailable: the server does not answer or refuses.
    """
    try:
        return psycopg.connect(url, autocommit=autocommit, connect_timeout=10, options="-c timezone=UTC")
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())  # libpq writes lines, and indents them
        raise DatabaseUnavailable(f"database at {address(url)} cannot be reached: {reason}") from error


def address(url: str) -> str:
    """Host, port and database of `url`, without the user and password, for messages."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


def migrate(url: str) -> None:
    """Bring the tables to the newest revision; concurrent callers wait for each other."""
    from alembic import command
    from alembic.config import Config

    with connect(url, autocommit=True) as guard:
        lock_session(guard, "migration", "tables")
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["url"] = url
        command.upgrade(config, "head")


def tool_url(url: str, tool: str) -> str:
    """Address of the database of a tool (`mlflow`, `prefect`) on the same server.

    >>> tool_url("postgresql://u@h:5432/ratchet", "mlflow")
    'postgresql://u@h:5432/ratchet_mlflow'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path or '/postgres'}_{tool}"))


def ensure_databases(url: str, tools: Iterable[str] = TOOLS) -> None:
    """Create the databases of the tools where they do not exist.

    Raises:
        DatabaseUnavailable: one is missing and this user may not create it.
    """
    with connect(url, autocommit=True) as conn:
        for tool in tools:
            name = urlsplit(tool_url(url, tool)).path.removeprefix("/")
            if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                continue
            try:
                conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except psycopg.errors.DuplicateDatabase:
                continue
            except psycopg.errors.InsufficientPrivilege as error:
                user = conn.info.user
                raise DatabaseUnavailable(
                    f"database '{name}' is missing and user '{user}' may not create it; "
                    f'create it: CREATE DATABASE "{name}" OWNER "{user}";'
                ) from error
