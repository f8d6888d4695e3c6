"""Empty databases for tests. One that a test is done with is emptied and given to the next under a new name.

To copy the template for each test took a seventh of the suite. A database is used again only where its
catalogs are as they were, nothing is configured for it, and what the template has rows of has the same rows;
else it is dropped. No session outlives the test that opened it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

LOOKS = 25
LOOK_SECONDS = 0.002
_IN_USE = "SELECT FROM pg_stat_activity WHERE datname = %s LIMIT 1"
_LASTING = "nspname NOT LIKE 'pg_temp%' AND nspname NOT LIKE 'pg_toast_temp%'"
# Whoever changes a table, trigger, function or index leaves another row in a catalog.
_CATALOGS = f"""
    WITH relation AS (
        SELECT c.oid AS number, c.xmin FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE c.oid >= 16384 AND {_LASTING}
    ), part AS (
        SELECT format('c %s %s', number, xmin) AS seen FROM relation
        UNION ALL SELECT format('a %s %s %s', number, attnum, a.xmin) FROM pg_attribute a
            JOIN relation ON number = attrelid
        UNION ALL SELECT format('d %s %s', oid, d.xmin) FROM pg_attrdef d JOIN relation ON number = adrelid
        UNION ALL SELECT format('i %s %s', number, i.xmin) FROM pg_index i
            JOIN relation ON number = indexrelid
        UNION ALL SELECT format('t %s %s', oid, t.xmin) FROM pg_trigger t JOIN relation ON number = tgrelid
        UNION ALL SELECT format('k %s %s', oid, k.xmin) FROM pg_constraint k
            JOIN relation ON number = conrelid
        UNION ALL SELECT format('p %s %s', oid, xmin) FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT format('e %s %s', oid, xmin) FROM pg_extension
        UNION ALL SELECT format('n %s %s', oid, xmin) FROM pg_namespace WHERE {_LASTING}
        UNION ALL SELECT format('s %s %s', d.oid, s.xmin) FROM pg_db_role_setting s
            JOIN pg_database d ON datname = current_database() AND setdatabase IN (0, d.oid)
    )
    SELECT md5(string_agg(seen, ' ' ORDER BY seen)) FROM part"""
_TABLES = "SELECT oid::regclass::text FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p') ORDER BY 1"
_SEQUENCES = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences
    WHERE last_value IS NOT NULL"""


def with_database(url: str, name: str) -> str:
    """The address of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


class Databases:
    """Copies of a template on one server; used from one thread, and closed at the end.

    One session, of no test's database, makes and takes back all of them: to open one takes as long as all
    that is asked in it.

    Args:
        server: address of a superuser.
        template: name of a database that nobody is connected to.
    """

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._session = psycopg.connect(server, autocommit=True)
        self._template = template
        self._free: dict[str, str] = {}
        """Name to what its catalogs are known by."""
        with psycopg.connect(with_database(server, template), autocommit=True) as conn:
            self._tables = [str(row[0]) for row in conn.execute(_TABLES)]
            self._given = {name: _rows(conn, name) for name in self._filled(conn)}
        """Tables that have rows in the template, to these."""

    def close(self) -> None:
        """End the session that makes them."""
        self._session.close()

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Address of a database that is as the template; nobody has it after that."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        url = with_database(self._server, name)
        known = self._make(name)
        try:
            yield url
        finally:
            self._give_back(name, known)

    def _make(self, name: str) -> str:
        if self._free:
            free, known = self._free.popitem()
            self._is_left(free)
            self._tell(sql.SQL("ALTER DATABASE {} RENAME TO {}"), free, name)
            return known
        self._tell(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), name, self._template)
        with psycopg.connect(with_database(self._server, name), autocommit=True) as conn:
            return _catalogs(conn)

    def _give_back(self, name: str, known: str) -> None:
        if not self._is_left(name):
            self._session.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
        emptied = self._emptied(name, known)
        if emptied is None:
            self._tell(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"), name)
        else:
            self._free[name] = emptied

    def _is_left(self, name: str) -> bool:
        """Whether no session is in a database, once those that were just closed have had time to go.

        PostgreSQL itself, told to wait for that, looks again after 100 ms.
        """
        for _ in range(LOOKS):
            if self._session.execute(_IN_USE, (name,)).fetchone() is None:
                return True
            time.sleep(LOOK_SECONDS)
        return False

    def _tell(self, command: sql.SQL, *databases: str) -> None:
        self._session.execute(command.format(*map(sql.Identifier, databases)))

    def _emptied(self, name: str, known: str) -> str | None:
        """Empty a database; gives what its catalogs are known by now, None where it is not as it was."""
        try:
            with psycopg.connect(with_database(self._server, name), autocommit=True) as conn:
                if _catalogs(conn) != known or any(
                    _rows(conn, one) != rows for one, rows in self._given.items()
                ):
                    return None
                filled = [one for one in self._filled(conn) if one not in self._given]
                if filled:
                    conn.execute("SET session_replication_role = replica")  # the ledger lets nobody delete
                    conn.execute(
                        sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(map(_named, filled)))
                    )
                conn.execute(_SEQUENCES)
                return _catalogs(conn)
        except psycopg.Error:  # gone, renamed, or referred to from elsewhere: the next test gets a new one
            return None

    def _filled(self, conn: psycopg.Connection) -> list[str]:
        """Tables with rows."""
        asked = sql.SQL(" UNION ALL ").join(
            sql.SQL("(SELECT {} FROM {} LIMIT 1)").format(sql.Literal(one), _named(one))
            for one in self._tables
        )
        return [str(row[0]) for row in conn.execute(asked)]


def _catalogs(conn: psycopg.Connection) -> str:
    return str((conn.execute(_CATALOGS).fetchone() or ("",))[0])


def _rows(conn: psycopg.Connection, table: str) -> list[str]:
    return sorted(
        str(row[0]) for row in conn.execute(sql.SQL("SELECT t::text FROM {} t").format(_named(table)))
    )


def _named(table: str) -> sql.SQL:
    return sql.SQL(table)  # as PostgreSQL itself quotes it
