"""Servers that no `ratchet up` of this home runs: started here by themselves, or those of other homes."""

from __future__ import annotations

from pathlib import Path

import psutil

from configs.settings import Settings
from flows.servers.environment import SERVICE
from flows.stack import probes, processes, state
from flows.stack.specs import Server
from store.database.connection import connect, database_url
from store.database.faults import FAULTS
from store.runs.workers import worker_address
from store.service_replicas import has_served, read_replicas

WORKER = "worker"


def started_by_itself(settings: Settings, server: Server) -> int | None:
    """Process id of a server of this home that answers, and that `ratchet up` has not started; None: none is.

    The service, MLflow or another by the command that its machine runs beside others (docs/storage.md).
    """
    if server.name == SERVICE:
        return probes.own_service(settings)
    pid = processes.listener(server.port) if server.port is not None else probes.ready_worker(settings.home)
    if pid is None or not _is_of_home(pid, server.command[2], settings.home):
        return None
    return pid if server.healthy(pid) else None


def run_elsewhere(settings: Settings) -> dict[str, str]:
    """Servers that other homes on this database run for this one, each with where that is, for people.

    None where `ratchet up` runs here, whose own servers are missed once they are down; none that the database
    does not know of. A service is one of others only where this home has never had one.
    """
    if state.running(settings.home) or state.read_supervisor(settings.home) is not None:
        return {}
    try:
        with connect(database_url(settings)) as conn:
            worker = worker_address(conn)
            services = [] if has_served(settings.home) else read_replicas(conn)
    except FAULTS:  # said of the database
        return {}
    found = {}
    if worker is not None:
        found[WORKER] = f"connected from {worker}"
        if settings.starts_prefect:  # by which that worker lives; nobody has named it here
            found["prefect"] = "that of the worker"
    if serving := [one.address for one in services if one.state == "serving"]:
        found[SERVICE] = ", ".join(serving)
    return found


def _is_of_home(pid: int, module: str, home: Path) -> bool:
    """Whether a process is a module of Ratchet that was started with this home."""
    try:
        process = psutil.Process(pid)
        named = process.environ().get("RATCHET_HOME", ".ratchet")
        return module in process.cmdline() and Path(process.cwd(), named).resolve() == home
    except (psutil.Error, OSError):
        return False
