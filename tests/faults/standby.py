"""A standby of a PostgreSQL, and one address that leads to whichever of the two is in charge."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg

from store.database.embedded import EmbeddedPostgres, binary
from store.database.embedded_user import launcher_for
from store.database.processes import processes_in

CHUNK = 64 * 1024


def make_standby(primary: EmbeddedPostgres, folder: Path) -> EmbeddedPostgres:
    """A running copy that follows `primary` by streaming replication."""
    folder.mkdir(mode=0o700, parents=True)
    launcher = launcher_for(folder)
    shutil.copy(primary.folder / "password", folder / "password")
    data = folder / "data"
    data.mkdir(mode=0o700)
    launcher.give(folder / "password")
    launcher.give(data)
    done = launcher.run(
        [str(binary("pg_basebackup")), "--dbname", primary.url, "--pgdata", str(data),
         "--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast"]
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    standby = EmbeddedPostgres(folder)
    standby.start()
    return standby


def wait_until_equal(primary: EmbeddedPostgres, standby: EmbeddedPostgres, seconds: float = 30.0) -> None:
    """Until the standby has what the primary has; replication here is synchronous from then on."""
    with psycopg.connect(primary.url, autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        conn.execute("SELECT pg_reload_conf()")
        until = time.monotonic() + seconds
        while conn.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone() is None:
            assert time.monotonic() < until, "the standby does not follow"
            time.sleep(0.1)
    assert standby.pid() is not None


def promote(standby: EmbeddedPostgres) -> None:
    """Make it the primary."""
    with psycopg.connect(standby.url, autocommit=True) as conn:
        assert conn.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)
        conn.execute("ALTER SYSTEM RESET synchronous_standby_names")
        conn.execute("SELECT pg_reload_conf()")


def kill(server: EmbeddedPostgres) -> None:
    """kill -9 of the server, with all its processes."""
    for pid in processes_in(server.data):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Address:
    """A port whose connections go to one server, and after `lead_to` to another: a managed failover."""

    def __init__(self, target: EmbeddedPostgres) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The address that clients use."""
        parts = urlsplit(self._target.url)
        user = parts.netloc.rsplit("@", 1)[0]
        return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self._listener.getsockname()[1]}"))

    def lead_to(self, target: EmbeddedPostgres) -> None:
        """Cut every connection; new ones go to `target`."""
        with self._lock:
            self._target = target
            cut, self._sockets = self._sockets, set()
        for one in cut:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()
        self.lead_to(self._target)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            port = urlsplit(self._target.url).port
            try:
                server = socket.create_connection(("127.0.0.1", port), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._sockets |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._sockets.discard(one)
            one.close()
