"""A real PostgreSQL with TLS, of the system, as the embedded one has none; tests skip where there is none."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from store.database.embedded_user import launcher_for
from tests.ports import free_port

_HOMES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
INITDB = shutil.which("initdb") or (str(_HOMES[-1]) if _HOMES else None)
needs_postgres_with_tls = pytest.mark.skipif(
    INITDB is None or shutil.which("openssl") is None,
    reason="no PostgreSQL with TLS is installed: apt install postgresql openssl",
)
USER, PASSWORD = "ratchet", "p@ss word"
QUOTED = "p%40ss%20word"
CERTIFIED = "certified"
"""A role that shows a certificate in place of a password."""
_HBA = """\
hostssl all certified {callers} cert
hostssl all all {callers} scram-sha-256
"""
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Authority:
    """Who signs certificates."""

    certificate: Path
    key: Path

    def sign(self, folder: Path, name: str, *names: str) -> tuple[Path, Path]:
        """A certificate with its key, for a common name and names of servers."""
        key, request, made = (folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
        more = ["-addext", f"subjectAltName={','.join(names)}"] if names else []
        openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", *more,
                "-keyout", str(key), "-out", str(request))  # fmt: skip
        openssl("x509", "-req", "-days", "2", "-in", str(request), "-CA", str(self.certificate), "-CAkey",
                str(self.key), "-CAcreateserial", "-copy_extensions", "copy", "-out", str(made))  # fmt: skip
        key.chmod(0o600)
        return made, key


@dataclass(frozen=True)
class TlsServer:
    """One that is called by nothing else than by what its certificate names."""

    port: int
    authority: Authority
    other: Authority
    """Who signed nothing here."""
    client: tuple[Path, Path]
    """Certificate and key of the role `certified`."""


def openssl(*words: str) -> None:
    """Run it."""
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def make_authority(folder: Path, name: str) -> Authority:
    """A new one."""
    authority = Authority(folder / f"{name}.crt", folder / f"{name}.key")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", str(authority.key), "-out", str(authority.certificate))  # fmt: skip
    return authority


@contextmanager
def tls_server(
    folder: Path, listen: str = LOOPBACK, name: str = "DNS:localhost", callers: str = f"{LOOPBACK}/32"
) -> Iterator[TlsServer]:
    """A server that takes no connection without TLS.

    Args:
        listen: address that it listens on.
        name: of its certificate, as OpenSSL writes it: `DNS:localhost`, `IP:10.0.0.1`.
        callers: the network that may connect.
    """
    assert INITDB is not None
    authority, other = make_authority(folder, "ours"), make_authority(folder, "theirs")
    certificate, key = authority.sign(folder, "localhost", name)
    client = authority.sign(folder, CERTIFIED)
    home, data, password = folder / "server", folder / "server" / "data", folder / "server" / "password"
    home.mkdir()
    launcher = launcher_for(home)
    password.write_text(PASSWORD, encoding="utf-8")
    for path in (home, password, key):
        launcher.give(path)
    done = launcher.run([INITDB, "--pgdata", str(data), "--username", USER, "--pwfile", str(password),
                         "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"])  # fmt: skip
    assert done.returncode == 0, done.stderr
    port = free_port()
    settings = {
        "port": port, "listen_addresses": listen, "unix_socket_directories": "", "fsync": "off",
        "ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key, "ssl_ca_file": authority.certificate,
    }  # fmt: skip
    lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(lines)
    (data / "pg_hba.conf").write_text(_HBA.format(callers=callers), encoding="utf-8")
    control, log = [str(Path(INITDB).with_name("pg_ctl")), "--pgdata", str(data)], home / "log"
    started = launcher.run([*control, "start", "--wait", "--log", str(log)])
    assert started.returncode == 0, log.read_text(encoding="utf-8") if log.exists() else started.stderr
    try:
        with psycopg.connect(
            host=listen, port=port, user=USER, password=PASSWORD, dbname="postgres", autocommit=True
        ) as conn:
            conn.execute("CREATE DATABASE ratchet")
            conn.execute(f"CREATE ROLE {CERTIFIED} LOGIN CREATEDB")
        yield TlsServer(port, authority, other, client)
    finally:
        launcher.run([*control, "stop", "--mode", "immediate"])
