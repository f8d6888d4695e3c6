"""What a person wants to know at a glance: which servers answer, and where each use case stands.

Every part is asked by itself. What cannot be asked is left out, with the reason in `problems`, so that
the rest is still told when a server is down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

from configs.loading import load_selected
from configs.schema import UseCase
from configs.settings import Settings
from flows.inbox_strays import strays_of
from flows.stack.specs import POSTGRES
from flows.status.health import problem_of, read_health
from flows.status.prefect import PoolWorker, next_runs, pool_workers
from flows.status.servers import ServerStatus, Watching, read_servers, read_watching, server_problems
from flows.status.use_cases import UseCaseStatus, stored_facts
from models.errors import ModelError
from models.production.registry_rest import open_registry
from store.database.connection import connect, database_url
from store.database.faults import FAULTS, sentence
from store.errors import SnapshotError
from store.service_replicas import Replica, read_replicas


@dataclass(frozen=True)
class Status:
    """All of it."""

    servers: tuple[ServerStatus, ...]
    use_cases: tuple[UseCaseStatus, ...]
    problems: tuple[str, ...]
    supervisor: Watching | None = None
    """None: nobody watches."""
    replicas: tuple[Replica, ...] = ()
    """Services on this database, wherever they run."""
    workers: tuple[PoolWorker, ...] = ()
    """Who starts flow runs, wherever they run."""

    @property
    def is_well(self) -> bool:
        """Whether every server does all that it is there for, and every use case serves what it should."""
        servers_up = all(server.does_all for server in self.servers)
        return servers_up and all(one.problem is None and one.service is None for one in self.use_cases)

    def as_dict(self) -> dict[str, Any]:
        """The status as plain values, for JSON."""
        return asdict(self)


def read_status(settings: Settings, only: str | None = None) -> Status:
    """Ask everything that answers.

    Args:
        only: the use case to tell of; None: all that are served here.

    Raises:
        UnknownUseCase: there is none of this name.
    """
    servers = read_servers(settings)
    up = {server.name for server in servers if server.state == "up"}
    watching = read_watching(settings)
    problems = server_problems(settings, servers, watching)
    use_cases = load_selected(settings.config_dirs, settings.use_cases if only is None else [only])
    problems += strays_of(settings)
    stored = _Stored({}, (), ())
    if POSTGRES in up:
        stored = _read_stored(settings, use_cases, has_registry="mlflow" in up)
    problems += stored.problems
    problems += [silent for one in stored.replicas if (silent := _silence(one)) is not None]
    schedules: dict[str, dict[str, str]] = {}
    workers: tuple[PoolWorker, ...] = ()
    if "prefect" in up:
        try:
            schedules = next_runs(settings, use_cases)
            workers = pool_workers(settings)
        except (OSError, ValueError) as error:
            problems.append(f"schedules and workers cannot be read from Prefect: {error}")
    health = read_health(settings) if "service" in up else {}
    return Status(
        servers=servers,
        use_cases=tuple(
            UseCaseStatus(
                name,
                one.title,
                service=problem_of(health.get(name)),
                next_runs=schedules.get(name, {}),
                **stored.facts.get(name, {}),
            )
            for name, one in use_cases.items()
        ),
        problems=tuple(problems),
        supervisor=watching,
        replicas=stored.replicas,
        workers=workers,
    )


@dataclass(frozen=True)
class _Stored:
    """What database and registry know."""

    facts: Mapping[str, Mapping[str, Any]]
    """By use case (`stored_facts`)."""
    replicas: tuple[Replica, ...]
    problems: tuple[str, ...]


def _read_stored(settings: Settings, use_cases: Mapping[str, UseCase], *, has_registry: bool) -> _Stored:
    """All of it; what was read before something failed is kept."""
    facts: dict[str, dict[str, Any]] = {}
    replicas: list[Replica] = []
    problems: list[str] = []
    try:
        with connect(database_url(settings)) as conn:
            registry = open_registry(settings.mlflow_uri) if has_registry else None
            for name, one in use_cases.items():
                facts[name] = stored_facts(conn, one, registry)
            replicas = read_replicas(conn)
    except (SnapshotError, ModelError) as error:
        problems.append(str(error))
    except FAULTS as error:
        problems.append(sentence(error))
    return _Stored(facts, tuple(replicas), tuple(problems))


def _silence(replica: Replica) -> str | None:
    """What is said of a service that the database does not hear."""
    if replica.state != "silent":
        return None
    since = f"{replica.seen_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"the service at {replica.address} is silent since {since}: it was killed, or is cut off from the "
        "database and goes on with the versions that it has"
    )
