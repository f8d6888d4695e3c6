"""A PostgreSQL with TLS and an authority of its own: what each of the three drivers makes of an address."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from inspect import iscoroutinefunction

import pytest

from configs.addresses.database_url import read_database_url
from flows.servers.prefect_notices import CONNECTS, listen_by
from store.database.connection import connect, ensure_databases, migrate
from store.errors import DatabaseUnavailable
from tests.flows.servers.test_drivers import DRIVERS
from tests.ports import closed_port
from tests.tls_servers import CERTIFIED, QUOTED, USER, TlsServer, needs_postgres_with_tls, tls_server

pytestmark = needs_postgres_with_tls
ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    with tls_server(tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_socket_of_asyncpg() -> Iterator[None]:
    """What asyncpg leaves open when TLS fails is collected here, and not in another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def address(server: TlsServer, query: str, *, host: str = "localhost", user: str = "") -> str:
    certificate, key = server.client
    filled = query.format(
        ca=server.authority.certificate, other=server.other.certificate, certificate=certificate, key=key
    )
    who = user or f"{USER}:{QUOTED}"
    return read_database_url(f"postgres://{who}@{host}:{server.port}/ratchet?{filled}")


GOOD = {
    "verified": "sslmode=verify-full&sslrootcert={ca}",
    "authority": "sslmode=verify-ca&sslrootcert={ca}",
    "managed": "sslmode=verify-full&sslrootcert={ca}&channel_binding=require&gssencmode=disable"
    "&target_session_attrs=read-write&connect_timeout=5&application_name=mine&keepalives=1&keepalives_idle=5",
    "minimum": "sslmode=require&ssl_min_protocol_version=TLSv1.3",
    "prefer": "sslmode=prefer",
    "allow": "sslmode=allow",
    "unsaid": "",
    "certified": "sslmode=verify-full&sslrootcert={ca}&sslcert={certificate}&sslkey={key}",
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("query", GOOD.values(), ids=GOOD)
def test_it_connects_encrypted(server: TlsServer, driver: str, query: str) -> None:
    user = CERTIFIED if "sslcert" in query else ""
    url = address(server, query, user=user)
    assert DRIVERS[driver](url, ENCRYPTED) is True
    assert DRIVERS[driver](url, "SELECT current_user") == (user or USER)
    if "application_name" in query:
        assert DRIVERS[driver](url, "SHOW application_name") == "mine"


REFUSED = {
    "another name": ("sslmode=verify-full&sslrootcert={ca}", "127.0.0.1", ""),
    "another authority": ("sslmode=verify-full&sslrootcert={other}", "localhost", ""),
    "another authority, unnamed": ("sslmode=verify-ca&sslrootcert={other}", "127.0.0.1", ""),
    "another authority, required": ("sslmode=require&sslrootcert={other}", "localhost", ""),
    "no certificate": ("sslmode=verify-full&sslrootcert={ca}", "localhost", CERTIFIED),
    "no encryption": ("sslmode=disable", "localhost", ""),
    "the system knows no such authority": ("sslmode=verify-full&sslrootcert=system", "localhost", ""),
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("query", "host", "user"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_and_no_password_is_shown(
    server: TlsServer, driver: str, query: str, host: str, user: str
) -> None:
    with pytest.raises(Exception, match=r"(?i)certificate|no encryption|host name|pg_hba") as caught:
        DRIVERS[driver](address(server, query, host=host, user=user), "SELECT 1")
    for secret in ("p@ss", QUOTED):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("driver", DRIVERS)
def test_certificates_of_the_system(server: TlsServer, driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.authority.certificate))
    url = address(server, "sslmode=verify-full&sslrootcert=system")
    assert DRIVERS[driver](url, ENCRYPTED) is True
    with pytest.raises(Exception, match=r"(?i)certificate|host name"):
        DRIVERS[driver](
            address(server, "sslmode=verify-full&sslrootcert=system", host="127.0.0.1"), "SELECT 1"
        )


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_host_that_is_gone_is_passed_over(server: TlsServer, driver: str) -> None:
    query = f"sslmode=verify-full&sslrootcert={server.authority.certificate}&target_session_attrs=read-write"
    url = read_database_url(
        f"postgres://{USER}:{QUOTED}@localhost:{closed_port()},localhost:{server.port}/ratchet?{query}"
    )
    assert DRIVERS[driver](url, ENCRYPTED) is True


def test_all_databases_are_made_and_tables_migrate(server: TlsServer) -> None:
    url = address(server, GOOD["verified"])
    ensure_databases(url)
    migrate(url)
    with connect(url) as conn:
        assert conn.execute("SELECT to_regclass('feedback')::text").fetchone() == ("feedback",)


def test_prefect_listens_by_the_whole_address(server: TlsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.server.events import triggers

    assert iscoroutinefunction(vars(triggers)[CONNECTS]), "what is replaced has another name by now"
    monkeypatch.setitem(vars(triggers), CONNECTS, None)
    monkeypatch.setenv("SSL_CERT_FILE", str(server.authority.certificate))
    listen_by(address(server, "sslmode=verify-full&sslrootcert=system"))

    async def ask() -> object:
        conn = await vars(triggers)[CONNECTS]()
        assert conn is not None
        try:
            return await conn.fetchval(ENCRYPTED)
        finally:
            await conn.close()

    assert asyncio.run(ask()) is True
    listen_by(None)
    assert asyncio.run(vars(triggers)[CONNECTS]()) is None


def test_a_certificate_that_is_not_believed_is_told_with_what_to_do(server: TlsServer) -> None:
    url = address(server, "sslmode=verify-full&sslrootcert={other}")
    with pytest.raises(DatabaseUnavailable, match="certificate verify failed; sslrootcert must name a file"):
        connect(url)


def test_what_is_wrong_is_told_of_the_server_and_not_of_the_password(server: TlsServer) -> None:
    url = address(server, GOOD["verified"], host="127.0.0.1")
    with pytest.raises(
        DatabaseUnavailable, match=rf"127\.0\.0\.1:{server.port}/ratchet .*certificate"
    ) as told:
        connect(url)
    assert "p@ss" not in str(told.value)
    wrong = url.replace(QUOTED, "secret").replace("127.0.0.1", "localhost")
    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as told:
        connect(wrong)
    assert "secret" not in str(told.value)
