"""Which servers answer, whoever started them, who watches them, and what is wrong there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from configs.addresses.web_url import shown
from configs.settings import Settings
from flows.servers.own_prefect import wrong_address
from flows.stack import probes, state
from flows.stack.errors import OWN_SERVERS
from flows.stack.specs import POSTGRES, servers
from flows.status.elsewhere import run_elsewhere, started_by_itself
from store.database.connection import address, connect, database_url
from store.database.embedded import EmbeddedPostgres
from store.database.faults import FAULTS, READ_ONLY, sentence
from store.service_workers import living_workers
from store.supervision import read_supervision

State = Literal["up", "starting", "down", "elsewhere"]
"""`elsewhere`: other homes on the same database run it, and this one does not."""
FINE = ("up", "elsewhere")


@dataclass(frozen=True)
class ServerStatus:
    """One server."""

    name: str
    state: State
    ours: bool
    """Whether `ratchet up` starts it."""
    address: str | None
    pid: int | None
    trouble: str | None = None
    """Why it was started again, or cannot be, as its supervisor has it; why a server of yours is
    of no use."""

    @property
    def does_all(self) -> bool:
        """Whether it is up, here or elsewhere, and not a database in which nothing can be stored."""
        return self.state in FINE and self.trouble != READ_ONLY


@dataclass(frozen=True)
class Watching:
    """Who keeps the servers running: starts again what ends."""

    pid: int
    since: datetime


def read_watching(settings: Settings) -> Watching | None:
    """Who watches the servers now."""
    supervisor = state.read_supervisor(settings.home)
    return (
        None
        if supervisor is None
        else Watching(supervisor.pid, datetime.fromtimestamp(supervisor.began, UTC))
    )


def read_servers(settings: Settings) -> tuple[ServerStatus, ...]:
    """Every server that Ratchet uses, whoever started it."""
    runs = state.running(settings.home)
    statuses = [_database(settings)]
    supervision = read_supervision(settings.home)
    troubles = {} if supervision is None or not supervision.is_alive() else supervision.troubles()
    elsewhere = run_elsewhere(settings) if statuses[0].state == "up" else {}
    for server in servers(settings):
        process = runs.get(server.name)
        pid = None if process is None else process.pid
        healthy = pid is not None and server.healthy(pid)
        if pid is None:
            pid = started_by_itself(settings, server)
            healthy = pid is not None
        if pid is None and server.name in elsewhere:
            statuses.append(ServerStatus(server.name, "elsewhere", True, elsewhere[server.name], None))
            continue
        where = _address(settings, server.name)
        statuses.append(
            ServerStatus(server.name, "up" if healthy else "starting" if pid else "down", True, where, pid)
        )
    for name, ours, probe in (
        ("prefect", settings.starts_prefect, f"{settings.prefect_url}/health"),
        ("mlflow", settings.starts_mlflow, f"{settings.mlflow_uri}/health"),
    ):
        if not ours:
            # A tracking URI that is no HTTP address has no server that could be down.
            up = not probe.startswith("http") or probes.answers(probe)
            trouble = wrong_address(settings) if name == "prefect" else None
            condition: Literal["up", "down"] = "up" if up and trouble is None else "down"
            statuses.append(ServerStatus(name, condition, False, _address(settings, name), None, trouble))
    return tuple(replace(one, trouble=troubles.get(one.name, one.trouble)) for one in statuses)


def _database(settings: Settings) -> ServerStatus:
    ours = settings.database_url is None
    pid = EmbeddedPostgres(settings.home / "postgres").pid() if ours and settings.home.exists() else None
    try:
        url = database_url(settings)
        with connect(url) as conn:
            takes_none = conn.execute("SELECT current_setting('transaction_read_only')").fetchone() == ("on",)
    except FAULTS as error:
        said = sentence(error)
        if ours:
            # One that runs may have reasons of its own, such as that all its connections are taken.
            return ServerStatus(
                POSTGRES, "starting" if pid else "down", True, None, pid, said if pid else None
            )
        return ServerStatus(POSTGRES, "down", False, address(str(settings.database_url)), None, said)
    return ServerStatus(POSTGRES, "up", ours, address(url), pid, READ_ONLY if takes_none else None)


def _address(settings: Settings, name: str) -> str | None:
    return {
        "service": probes.client_url(settings.service_url),
        "prefect": shown(settings.prefect_url).removesuffix("/api"),
        "mlflow": shown(settings.mlflow_uri),
    }.get(name)


def server_problems(
    settings: Settings, statuses: tuple[ServerStatus, ...], watching: Watching | None
) -> list[str]:
    """What is wrong with the servers, a sentence each, and what to do."""
    fine = {server.name for server in statuses if server.state in FINE}
    problems = [
        f"{name} does not answer" + _advice(settings, statuses, name, watching)
        for name in (POSTGRES, "mlflow", "prefect", "worker", "service")
        if name not in fine and not _says_why(statuses, name)
    ]
    problems += [f"{one.name}: {one.trouble}" for one in statuses if one.trouble]
    if watching is None and state.running(settings.home):
        problems.append("nobody watches the servers, so what ends stays so; `ratchet up --detach` watches")
    if not settings.home.is_dir():
        problems.append(f"nothing was ever started in {settings.home}; another home is named by RATCHET_HOME")
    return problems


def _says_why(statuses: tuple[ServerStatus, ...], name: str) -> bool:
    """Whether it is the database of the home, runs, and says itself why it lets nobody in."""
    return name == POSTGRES and any(
        one.trouble is not None and one.state == "starting" for one in statuses if one.name == name
    )


def _advice(
    settings: Settings, statuses: tuple[ServerStatus, ...], name: str, watching: Watching | None
) -> str:
    """What to do about a server that does not answer."""
    if not any(server.ours for server in statuses if server.name == name):
        return f"; {OWN_SERVERS[name]} names it" if name in OWN_SERVERS else ""
    if watching is not None:
        return "; it is being started again"
    alone = bool(living_workers(settings.home)) and not state.running(settings.home)
    if name == "mlflow" and alone:  # of a home that only serves, where `ratchet up` would start all
        return "; `python -m flows.servers.mlflow` starts it, or MLFLOW_TRACKING_URI names another's"
    return "; `ratchet up` starts it"
