"""One address, three drivers, a real PostgreSQL with TLS: each connects as libpq would."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from configs.addresses.database_url import parameters, read_database_url
from flows.servers.drivers import (
    asyncpg_address,
    asyncpg_arguments,
    connect_by,
    libpq_address,
    psycopg_address,
)
from store.database.connection import connect, ensure_databases, tool_url
from store.database.embedded import EmbeddedPostgres

ROLE, PASSWORD = "o'neil@work", "p@ss/w:rd %#?"
QUOTED = "o%27neil%40work:p%40ss%2Fw%3Ard%20%25%23%3F"


class TlsRelay:
    """Speaks TLS before a server that has none; `encrypted` counts who asked for it."""

    SSL_REQUEST, GSS_REQUEST = struct.pack("!ii", 8, 80877103), struct.pack("!ii", 8, 80877104)

    def __init__(self, target: int, certificate: Path, key: Path) -> None:
        self.encrypted = 0
        self._target = target
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # whoever waits for the next caller stops
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:  # the server is gone
            caller.close()
            return
        try:
            while (head := caller.recv(8, socket.MSG_WAITALL)) == self.GSS_REQUEST:
                caller.sendall(b"N")
            if head == self.SSL_REQUEST:
                caller.sendall(b"S")
                caller = self._tls.wrap_socket(caller, server_side=True)
                self.encrypted += 1
            else:
                server.sendall(head)
            self._pass_on(caller, server)
        except OSError:
            pass
        finally:
            caller.close()
            server.close()

    def _pass_on(self, caller: socket.socket, server: socket.socket) -> None:
        """Both ways in one thread: a TLS connection may not be read and written at once."""
        while True:
            pending = isinstance(caller, ssl.SSLSocket) and caller.pending()
            ready = [caller] if pending else select.select([caller, server], [], [])[0]
            for source in ready:
                if not (part := source.recv(65536)):
                    return
                (server if source is caller else caller).sendall(part)


@dataclass(frozen=True)
class Server:
    """A server behind TLS, with a socket in a folder, and a role whose name and password need quoting."""

    relay: TlsRelay
    real_port: int
    folder: Path
    certificate: Path

    def url(self, form: str) -> str:
        return read_database_url(
            form.format(
                user=QUOTED,
                port=self.relay.port,
                real=self.real_port,
                folder=self.folder,
                ca=self.certificate,
                closed=1,
            )
        )


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", names, "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    with tempfile.TemporaryDirectory(prefix="pg") as sockets:  # the path of a socket has to be short
        Path(sockets).chmod(0o777)
        postgres = EmbeddedPostgres(folder / "postgres", {"fsync": "off", "unix_socket_directories": sockets})
        url = postgres.start()
        try:
            with psycopg.connect(url, autocommit=True) as conn:
                role = sql.Identifier(ROLE)
                conn.execute(
                    sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(role, sql.Literal(PASSWORD))
                )
                conn.execute(sql.SQL("ALTER DATABASE ratchet OWNER TO {}").format(role))
            certificate, key = make_certificate(folder, "localhost")
            port = int(parameters(url)["port"])
            relay = TlsRelay(port, certificate, key)
            yield Server(relay, port, Path(sockets), certificate)
            relay.close()
        finally:
            postgres.stop()


CONNECT = {
    "postgres": "postgres://{user}@127.0.0.1:{port}/ratchet",
    "dialect": "postgresql+psycopg://{user}@localhost:{port}/ratchet",
    "managed": "postgresql://{user}@localhost:{port}/ratchet?sslmode=require&channel_binding=prefer",
    "pooled": "postgresql://{user}@localhost:{port}/ratchet?pgbouncer=false&connect_timeout=15",
    "verified": "postgresql://{user}@localhost:{port}/ratchet?sslmode=verify-full&sslrootcert={ca}",
    "authority": "postgresql://{user}@localhost:{port}/ratchet?sslmode=require&sslrootcert={ca}",
    "plain": "postgresql://{user}@localhost:{port}/ratchet?sslmode=disable&gssencmode=disable",
    "keepalives": "postgresql://{user}@localhost:{port}/ratchet?keepalives=1&keepalives_idle=5"
    "&keepalives_interval=2&keepalives_count=3&tcp_user_timeout=9000",
    "several": "postgresql://{user}@127.0.0.1:{closed},localhost:{port}/ratchet?target_session_attrs=read-write",
    "socket": "postgresql://{user}@/ratchet?host={folder}&port={real}",
    "query": "postgresql://?host=127.0.0.1&port={port}&dbname=ratchet&user=o%27neil%40work"
    "&password=p%40ss%2Fw%3Ard%20%25%23%3F",
}


def by_mlflow(url: str, statement: str) -> Any:
    engine = create_engine(psycopg_address(url), poolclass=NullPool)
    connect_by(url, engine)
    with engine.connect() as conn:
        return conn.execute(text(statement)).scalar()


def by_prefect(url: str, statement: str, **own: Any) -> Any:
    async def ask() -> Any:
        engine = create_async_engine(asyncpg_address(url), connect_args=own, poolclass=NullPool)
        connect_by(url, engine.sync_engine)
        async with engine.connect() as conn:
            return (await conn.execute(text(statement))).scalar()

    return asyncio.run(asyncio.wait_for(ask(), 20))


def by_ratchet(url: str, statement: str) -> Any:
    with connect(url) as conn:
        row = conn.execute(statement).fetchone()
    return row and row[0]


DRIVERS = {"ratchet": by_ratchet, "mlflow": by_mlflow, "prefect": by_prefect}


@pytest.mark.parametrize("form", CONNECT.values(), ids=CONNECT)
def test_every_driver_connects(server: Server, form: str) -> None:
    url = server.url(form)
    ensure_databases(url)
    for tool, by in DRIVERS.items():
        there = url if tool == "ratchet" else tool_url(url, tool)
        name = "ratchet" if tool == "ratchet" else f"ratchet_{tool}"
        assert by(there, "SELECT current_database()") == name
        assert by(there, "SELECT current_user") == ROLE


@pytest.mark.parametrize("driver", DRIVERS)
def test_settings_of_the_session_arrive(server: Server, driver: str) -> None:
    url = server.url(
        "postgresql://{user}@localhost:{port}/ratchet?application_name=mine"
        "&options=-c%20search_path%3Dpg_catalog%20-c%20lock_timeout%3D7s"
    )
    for name, value in (("application_name", "mine"), ("search_path", "pg_catalog"), ("lock_timeout", "7s")):
        assert DRIVERS[driver](url, f"SHOW {name}") == value


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("form", "secure"), [("verified", True), ("managed", True), ("plain", False)])
def test_tls_is_as_the_address_says(server: Server, driver: str, form: str, secure: bool) -> None:
    before = server.relay.encrypted
    DRIVERS[driver](server.url(CONNECT[form]), "SELECT 1")
    assert (server.relay.encrypted > before) is secure


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_certificate_of_another_authority_is_refused(server: Server, driver: str, tmp_path: Path) -> None:
    other, _ = make_certificate(tmp_path, "other")
    for mode in ("require", "verify-ca", "verify-full"):
        url = server.url(CONNECT["plain"].partition("?")[0] + f"?sslmode={mode}&sslrootcert={other}")
        with pytest.raises(Exception, match=r"(?i)certificate"):
            DRIVERS[driver](url, "SELECT 1")


def test_what_asyncpg_cannot_do_is_left_out_and_the_rest_kept() -> None:
    url = read_database_url(
        "postgres://u@[::1],b:6000/db?sslmode=verify-full&sslrootcert=system&channel_binding=require"
        "&connect_timeout=3&keepalives_idle=5&gssencmode=disable&fallback_application_name=mine"
    )
    assert asyncpg_address(url) == (
        "postgresql+asyncpg://u@/db?host=%5B%3A%3A1%5D%3A5432&host=b%3A6000&sslmode=verify-full"
        "&sslrootcert=system&application_name=mine"
    )
    arguments = asyncpg_arguments(url, {"timeout": 5.0, "sslmode": "verify-full"})
    assert arguments["timeout"] == 3.0
    assert isinstance(arguments["ssl"], ssl.SSLContext), "asyncpg knows no certificates of the system"
    assert "sslrootcert" not in arguments["dsn"]


def test_what_prefect_says_of_a_connection_is_kept(server: Server) -> None:
    url = server.url(CONNECT["managed"])
    own = {"command_timeout": 0.2, "server_settings": {"lock_timeout": "3s"}}
    assert by_prefect(url, "SHOW lock_timeout", **own) == "3s"
    with pytest.raises(TimeoutError):
        by_prefect(url, "SELECT pg_sleep(2)", **own)


def test_a_session_that_may_not_write_is_not_used_again(server: Server) -> None:
    url = server.url(CONNECT["postgres"])
    engine = create_engine(psycopg_address(url), pool_size=1, max_overflow=0)
    connect_by(url, engine)
    with engine.connect() as conn:
        first = conn.execute(text("SELECT pg_backend_pid()")).scalar()
        conn.execute(text("SET default_transaction_read_only = on"))
        conn.commit()
    with engine.connect() as conn, pytest.raises(DBAPIError, match="read-only"):
        conn.execute(text("CREATE TABLE t (x int)"))
    with engine.connect() as conn:
        assert conn.execute(text("SELECT pg_backend_pid()")).scalar() != first
    engine.dispose()


def test_a_name_that_would_end_a_path_arrives() -> None:
    address = make_url(libpq_address("postgresql://u:p%20w@h/a%3Fb%23%25"))
    _, options = address.get_dialect()().create_connect_args(address)
    assert (options["dbname"], options["user"], options["password"]) == ("a?b#%", "u", "p w")
