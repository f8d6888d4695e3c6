"""PgBouncer before a PostgreSQL of a test; tests that need it skip where it is not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.ports import free_port

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(
    PGBOUNCER is None, reason="pgbouncer is not installed: apt install pgbouncer"
)
_CONFIG = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
admin_users = {admin}
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 500
max_prepared_statements = 0
server_round_robin = 1
ignore_startup_parameters = extra_float_digits
"""


@dataclass
class Pooler:
    """One that runs, and can be killed and started again."""

    url: str
    command: Sequence[str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it passes connections on."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        _wait_for(self.url, self.process, self.folder / "log")

    def kill(self) -> None:
        """End it, with all connections."""
        assert self.process is not None
        self.process.kill()  # who was started in the background of a shell ignores SIGQUIT
        self.process.wait(10)

    def tell(self, command: str) -> None:
        """Give it a command of its own, as `RECONNECT`; `PAUSE` returns once no transaction is open."""
        console = urlsplit(self.url)._replace(path="/pgbouncer").geturl()
        with psycopg.connect(console, autocommit=True) as conn:
            conn.execute(command)


@contextmanager
def pooled(url: str, folder: Path, *, mode: str = "transaction", size: int = 20) -> Iterator[str]:
    """The address of a pooler before the server of `url`, which hands a session to another at each chance."""
    with running_pooler(url, folder, mode=mode, size=size) as pooler:
        yield pooler.url


@contextmanager
def running_pooler(url: str, folder: Path, *, mode: str = "transaction", size: int = 20) -> Iterator[Pooler]:
    """The same with its process."""
    assert PGBOUNCER is not None
    parts = urlsplit(url)
    port = free_port()
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    users, config = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{parts.username}" "{parts.password}"\n', encoding="utf-8")
    text = _CONFIG.format(
        host=parts.hostname,
        port=parts.port,
        own=port,
        users=users,
        admin=parts.username,
        mode=mode,
        size=size,
    )
    version = subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True, check=True).stdout
    if _is_before_121(version):  # which knows none in any case
        text = text.replace("max_prepared_statements = 0\n", "")
    config.write_text(text, encoding="utf-8")
    if os.geteuid() == 0:  # which it refuses to run as
        for path in (users, config):
            shutil.chown(path, "nobody")
        for above in folder.parents:
            if above.stat().st_uid == 0 and above != Path("/") and not above.stat().st_mode & 0o001:
                above.chmod(above.stat().st_mode | 0o011)
    command = [PGBOUNCER, *(["-u", "nobody"] if os.geteuid() == 0 else []), "-q", str(config)]
    own = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
    pooler = Pooler(own, command, folder)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.kill()


def _is_before_121(version: str) -> bool:
    major, minor = version.split()[1].split(".")[:2]
    return (int(major), int(minor)) < (1, 21)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(log.read_text(encoding="utf-8", errors="replace")) from None
            time.sleep(0.1)
        else:
            return
