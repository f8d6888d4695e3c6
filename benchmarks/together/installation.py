"""Two machines of a test network and a third with what they share, each with addresses of its own.

This machine has PostgreSQL, MLflow, Prefect, the S3 server, the Dask scheduler, and the first worker of
flows, which registers the deployments; either machine of the network has a server with a home of its own
and a Dask worker, and the second one the other worker of flows.
"""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.together.processes import done, environment, started, wait_for
from benchmarks.together.rows import NAME, write_config
from configs.addresses.database_url import read_database_url
from configs.settings import read_settings
from flows.servers.environment import child_environment
from flows.servers.prefect_access import password_file
from tests.dask_clusters import DaskProcesses
from tests.e2e.replicas.fleet import Keys, ReplicaServer, make_keys
from tests.e2e.replicas.networks import DATABASE, MLFLOW, OF_TEN, Network, network, reachable_at
from tests.ports import free_port
from tests.s3_servers import S3Server, running_s3
from tests.tls_servers import QUOTED, USER, TlsServer, tls_server

SHARED = MLFLOW
"""Where all machines find MLflow, Prefect and S3; to the first two a proxy leads from there."""
BUCKET, PREFIX = "ratchet-together", "team"
START_SECONDS = 240.0
HOMES = ("shared", "first", "second", "server1", "server2", "alone")


@dataclass
class Installation:
    """What runs, and how it is reached."""

    folder: Path
    network: Network
    postgres: TlsServer
    s3: S3Server
    dask: DaskProcesses
    mlflow: str
    """Address of MLflow for all machines."""
    prefect: str
    """That of Prefect's API."""
    prefect_login: str
    keys: Keys
    opened: ExitStack
    servers: dict[str, ReplicaServer] = field(default_factory=dict)

    @property
    def database_url(self) -> str:
        """With all that a managed service would write into it."""
        return database_url(self.postgres)

    def home(self, name: str) -> Path:
        """The home of a machine, or of a process of one."""
        return self.folder / "homes" / name

    def variables(self, home: str, **more: str) -> dict[str, str]:
        """The environment of a process of that home."""
        own = {
            "RATCHET_HOME": str(self.home(home)),
            "RATCHET_COMPUTE": self.dask.address,
            "MLFLOW_TRACKING_URI": self.mlflow,
            "PREFECT_API_URL": self.prefect,
            "PREFECT_API_AUTH_STRING": self.prefect_login,
        }
        return environment(**shared_variables(self.folder, self.postgres, self.s3) | own | more)

    def place(self, number: int) -> tuple[str, str]:
        """Namespace and address of a machine of the network."""
        return list(self.network.places.items())[number]

    def first_worker(self) -> subprocess.Popen[bytes]:
        """That of the first machine, which registers the deployments."""
        variables = self.variables("first")
        whole = child_environment(read_settings(variables), "worker", variables)
        return self._start("first worker", [sys.executable, "-m", "flows.scheduling.worker"], whole)

    def second_worker(self) -> subprocess.Popen[bytes]:
        """`ratchet worker` on the second machine of the network."""
        command = [sys.executable, "-m", "flows.cli", "worker", "--runs", "2"]
        inside = ("ip", "netns", "exec", self.place(1)[0])
        return self._start("second worker", command, self.variables("second"), inside)

    def start_servers(self) -> None:
        """One on each machine of the network, once the first version is production."""
        for number in range(2):
            name, (place, address) = f"server {number + 1}", self.place(number)
            variables = self.variables(f"server{number + 1}")
            made = {key: value for key, value in variables.items() if key not in _OF_SERVER}
            server = ReplicaServer(
                place,
                address,
                self.home(f"server{number + 1}"),
                self.database_url,
                self.mlflow,
                self.keys,
                **made,
            )
            self.opened.callback(server.__exit__)
            self.servers[name] = server
        for server in self.servers.values():
            server.wait_until_ready(START_SECONDS)

    def add_dask_workers(self) -> None:
        """One on each machine of the network."""
        for number in range(2):
            place, address = self.place(number)
            self.dask.add_worker(host=address, inside=("ip", "netns", "exec", place))

    def ratchet(self, *words: str, home: str = "first", **more: str) -> str:
        """What a command of the first machine prints."""
        return done([sys.executable, "-m", "flows.cli", *words], self.variables(home, **more))

    def prefect_client(self) -> httpx.Client:
        """Of Prefect's API, as a person's."""
        return httpx.Client(base_url=self.prefect, headers=basic(self.prefect_login), timeout=60)

    def log(self, name: str) -> str:
        """The end of what a process has said."""
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace")[-6000:] if path.exists() else ""

    def _start(
        self, name: str, command: list[str], variables: Mapping[str, str], inside: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        log = self.folder / "logs" / f"{name}.log"
        return self.opened.enter_context(started(command, variables, log, inside))


_OF_SERVER = (
    "RATCHET_HOME", "RATCHET_DATABASE_URL", "MLFLOW_TRACKING_URI", "RATCHET_API_KEYS",
    "RATCHET_HOST", "RATCHET_PORT",
)  # fmt: skip
"""What `ReplicaServer` says itself."""


def database_url(server: TlsServer, query: str = "") -> str:
    """Of our database, verified; or with other options."""
    said = query or (
        f"sslmode=verify-full&sslrootcert={server.authority.certificate}&channel_binding=require"
        "&target_session_attrs=read-write"
    )
    return read_database_url(f"postgres://{USER}:{QUOTED}@{DATABASE}:{server.port}/ratchet?{said}")


def shared_variables(folder: Path, postgres: TlsServer, s3: S3Server) -> dict[str, str]:
    """What all machines have in common."""
    return {
        "RATCHET_DATABASE_URL": database_url(postgres),
        "RATCHET_STORAGE": f"s3://{BUCKET}/{PREFIX}",
        "RATCHET_CONFIGS": str(folder / "configs"),
        "RATCHET_USE_CASES": NAME,
        "RATCHET_API_KEYS": str(folder / "keys.yaml"),
        **s3.environ,
    }


@contextmanager
def installed(folder: Path, iterations: int) -> Iterator[Installation]:
    """All but the workers of flows and the servers, which are started as the demonstration goes on.

    What ends it ends all in order; from then on signals do not disturb that.
    """
    write_config(folder / "configs", iterations)
    for name in ("postgres", "s3", "dask", *(f"homes/{home}" for home in HOMES)):
        (folder / name).mkdir(parents=True)
    with ExitStack() as opened:
        try:
            yield _install(folder, opened)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)


def _install(folder: Path, opened: ExitStack) -> Installation:
    net = opened.enter_context(network())
    postgres = opened.enter_context(
        tls_server(folder / "postgres", DATABASE, f"IP:{DATABASE}", f"10.{OF_TEN}.0.0/16")
    )
    s3 = opened.enter_context(running_s3(folder / "s3", host=SHARED))
    s3.make_bucket(BUCKET)
    home = folder / "homes" / "shared"
    common = environment(**shared_variables(folder, postgres, s3), RATCHET_HOME=str(home))
    done([sys.executable, "-m", "store.database.prepare"], common)
    ports = {name: free_port() for name in ("mlflow", "prefect")}
    common |= {f"RATCHET_{name.upper()}_PORT": str(port) for name, port in ports.items()}
    common["RATCHET_ALLOWED_HOSTS"] = SHARED
    for name, port in ports.items():
        _start_tool(opened, folder, name, port, common)
    dask = DaskProcesses(folder / "dask", free_port(), host=DATABASE)
    opened.callback(dask.stop)
    dask.start_scheduler()
    made = Installation(
        folder, net, postgres, s3, dask,
        f"http://{SHARED}:{ports['mlflow']}", f"http://{SHARED}:{ports['prefect']}/api",
        password_file(home).read_text(encoding="utf-8").strip(), make_keys(folder / "keys.yaml"), opened,
    )  # fmt: skip
    made.add_dask_workers()
    return made


def basic(login: str) -> dict[str, str]:
    """The header that Prefect's API wants."""
    return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def _start_tool(opened: ExitStack, folder: Path, name: str, port: int, common: Mapping[str, str]) -> None:
    """MLflow's server or Prefect's, as `ratchet up` starts it, at the address of all machines too."""
    log, path = folder / "logs" / f"{name}.log", "/health" if name == "mlflow" else "/api/health"
    variables = child_environment(read_settings(common), name, common)
    command = [sys.executable, "-m", f"flows.servers.{name}"]
    process = opened.enter_context(started(command, variables, log))
    opened.enter_context(reachable_at(SHARED, port))
    home = folder / "homes" / "shared"

    def answers() -> bool:
        try:
            headers = (
                {} if name == "mlflow" else basic(password_file(home).read_text(encoding="utf-8").strip())
            )
            return httpx.get(f"http://{SHARED}:{port}{path}", headers=headers, timeout=5).status_code == 200
        except (httpx.HTTPError, FileNotFoundError):
            return False

    wait_for(answers, name, process, log, START_SECONDS)
