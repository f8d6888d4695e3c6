"""What a person wants to know at a glance: which servers answer, and where each use case stands.

Every part is asked by itself. What cannot be asked is left out, with the reason in `problems`, so that
the rest is still told when a server is down.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg

from configs.loading import load_selected
from configs.schema import UseCase
from configs.security.loopback import open_url
from configs.settings import Settings
from flows.inbox_strays import strays_of
from flows.scheduling.deployments import PURPOSES, TAG
from flows.servers.prefect_access import auth_headers
from flows.service_health import problem_of, read_health
from flows.stack import probes, state
from flows.stack.specs import POSTGRES, servers
from models.canary.standing import as_plain, canary_facts
from models.errors import ModelError
from models.mirroring.shown import shadow_facts
from models.probation.shown import probation_facts
from models.production.chosen_labels import find_chosen_labels
from models.production.contract import RegistryReader
from models.production.live_quality import quality_now
from models.production.record_history import record_facts
from models.production.registry_rest import open_registry
from models.retraining.backlog import ProductionFacts, decide, read_production, standing
from store.database.connection import address, connect, database_url
from store.database.embedded import EmbeddedPostgres
from store.database.faults import FAULTS, sentence
from store.drift.checks import DriftCheck, last_check
from store.errors import DatabaseError, SnapshotError
from store.feedback.fence_counts import fence_facts
from store.feedback.revisions.taken_back_counts import taken_back_facts
from store.feedback.rows import count_feedback
from store.pauses import find_pause
from store.quarantine.rows import quarantine_facts
from store.runs.rows import Run, last_run
from store.service_replicas import Replica, read_replicas
from store.sources.standings import source_facts
from store.supervision import read_supervision

TIMEOUT = 5.0


@dataclass(frozen=True)
class ServerStatus:
    """One server."""

    name: str
    state: Literal["up", "starting", "down"]
    ours: bool
    """Whether `ratchet up` starts it."""
    address: str | None
    pid: int | None
    trouble: str | None = None
    """Why it was started again, or cannot be, as its supervisor has it."""


@dataclass(frozen=True)
class Watching:
    """Who keeps the servers running: starts again what ends."""

    pid: int
    since: datetime


@dataclass(frozen=True)
class UseCaseStatus:
    """One use case; None: unknown, or there is none."""

    name: str
    title: str
    production: int | None = None
    problem: str | None = None
    """What is wrong with it in the registry, and what to do."""
    service: str | None = None
    """What the service says is wrong with it: a version that it refuses, and what answers."""
    age_days: float | None = None
    """Days since that version was made."""
    plain: str | None = None
    """How it stands beside a plain model that was judged on the same rows."""
    labels: int | None = None
    new_labels: int | None = None
    """Labels that came since then."""
    new_since: str | None = None
    """`production was trained` or, after a rollback, `a later version was taken back`."""
    untried_labels: int | None = None
    """Those of them that no run has tried to learn from yet."""
    every_labels: int | None = None
    """A retrain starts by itself after this many of those."""
    quarantine: Mapping[str, Any] | None = None
    """How many rows are in quarantine, and the `reasons` of most of them."""
    fence: Mapping[str, Any] | None = None
    """How many rows lie beyond production's fence (`store.feedback.fence_counts`)."""
    taken_back: Mapping[str, Any] | None = None
    """How many labels were taken back, and who did so last."""
    sources: Mapping[str, Any] | None = None
    """Whose labels there are, how often they contradict each other, and which are held back."""
    left_out_rows: int | None = None
    """Stored rows that the last run left out, as they do not fit the configuration."""
    paused: Mapping[str, Any] | None = None
    """Who paused promotion, and why."""
    retrain: Mapping[str, Any] | None = None
    """Whether a retrain is due, and why (`models.retraining.triggers.RetrainDecision`)."""
    quality: Mapping[str, Any] | None = None
    """How the newest labelled answers fare, and what was promised (a `QualityNow`)."""
    record: Mapping[str, Any] | None = None
    """What the record of new models said at the last verdicts (`models.production.record_history`)."""
    probation: Mapping[str, Any] | None = None
    """How the version that was promoted last stands beside the one before (`models.probation.shown`)."""
    canary: Mapping[str, Any] | None = None
    """What is tried on a share of the requests, and how it stands (`models.canary.standing`)."""
    shadow: Mapping[str, Any] | None = None
    """What another version says of live records (`models.mirroring.shown`)."""
    chosen_labels: Mapping[str, Any] | None = None
    """What is missing after the newest verdict believed no label (`models.production.chosen_labels`)."""
    last_run: Mapping[str, Any] | None = None
    last_drift: Mapping[str, Any] | None = None
    next_runs: Mapping[str, str] = field(default_factory=dict)
    """Flow -> time of its next scheduled run."""


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

    @property
    def is_well(self) -> bool:
        """Whether every server is up, and every use case serves what it should."""
        servers_up = all(server.state == "up" for server in self.servers)
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
    server_states = read_servers(settings)
    up = {server.name for server in server_states if server.state == "up"}
    watching = read_watching(settings)
    problems = [
        f"{name} does not answer" + _advice(server_states, name, watching)
        for name in (POSTGRES, "mlflow", "prefect", "worker", "service")
        if name not in up
    ]
    problems += [f"{one.name}: {one.trouble}" for one in server_states if one.trouble]
    if watching is None and state.running(settings.home):
        problems.append("nobody watches the servers, so what ends stays so; `ratchet up --detach` watches")
    if not settings.home.is_dir():
        problems.append(f"nothing was ever started in {settings.home}; another home is named by RATCHET_HOME")
    use_cases = load_selected(settings.config_dirs, settings.use_cases if only is None else [only])
    problems += strays_of(settings)
    stored: dict[str, dict[str, Any]] = {}
    replicas: list[Replica] = []
    if POSTGRES in up:
        try:
            with connect(database_url(settings)) as conn:
                registry = open_registry(settings.mlflow_uri) if "mlflow" in up else None
                stored = {name: stored_facts(conn, one, registry) for name, one in use_cases.items()}
                replicas = read_replicas(conn)
        except (SnapshotError, ModelError) as error:
            problems.append(str(error))
        except FAULTS as error:
            problems.append(sentence(error))
    problems += [silent for one in replicas if (silent := _silence(one)) is not None]
    schedules: dict[str, dict[str, str]] = {}
    if "prefect" in up:
        try:
            schedules = {name: next_runs(settings, name) for name in use_cases}
        except (OSError, ValueError) as error:
            problems.append(f"the schedules cannot be read from Prefect: {error}")
    health = read_health(settings) if "service" in up else {}
    return Status(
        servers=server_states,
        use_cases=tuple(
            UseCaseStatus(
                name,
                one.title,
                service=problem_of(health.get(name)),
                next_runs=schedules.get(name, {}),
                **stored.get(name, {}),
            )
            for name, one in use_cases.items()
        ),
        problems=tuple(problems),
        supervisor=watching,
        replicas=tuple(replicas),
    )


def _silence(replica: Replica) -> str | None:
    """What is said of a service that the database does not hear."""
    if replica.state != "silent":
        return None
    since = f"{replica.seen_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"the service at {replica.address} is silent since {since}: it was killed, or is cut off from the "
        "database and goes on with the versions that it has"
    )


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
    for server in servers(settings):
        process = runs.get(server.name)
        pid = None if process is None else process.pid
        healthy = pid is not None and server.healthy(pid)
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
            statuses.append(ServerStatus(name, "up" if up else "down", False, _address(settings, name), None))
    return tuple(replace(one, trouble=troubles.get(one.name)) for one in statuses)


def _database(settings: Settings) -> ServerStatus:
    ours = settings.database_url is None
    pid = EmbeddedPostgres(settings.home / "postgres").pid() if ours and settings.home.exists() else None
    try:
        url = database_url(settings)
        connect(url).close()
    except DatabaseError:
        where = None if ours else address(str(settings.database_url))
        return ServerStatus(POSTGRES, "starting" if pid else "down", ours, where, pid)
    return ServerStatus(POSTGRES, "up", ours, address(url), pid)


def _address(settings: Settings, name: str) -> str | None:
    return {
        "service": probes.client_url(settings.service_url),
        "prefect": settings.prefect_url.removesuffix("/api"),
        "mlflow": settings.mlflow_uri,
    }.get(name)


def _advice(statuses: tuple[ServerStatus, ...], name: str, watching: Watching | None) -> str:
    """What to do about a server that does not answer."""
    if not any(server.ours for server in statuses if server.name == name):
        return ""
    return "; `ratchet up` starts it" if watching is None else "; it is being started again"


def stored_facts(
    conn: psycopg.Connection[Any], use_case: UseCase, registry: RegistryReader | None
) -> dict[str, Any]:
    """What database and registry know of a use case."""
    run = last_run(conn, use_case.name)
    check = last_check(conn, use_case.name)
    pause = find_pause(conn, use_case.name)
    chosen = find_chosen_labels(conn, use_case)
    from_database: dict[str, Any] = {
        "paused": None if pause is None else pause.as_dict(),
        "quality": quality_now(conn, use_case).as_dict(),
        "record": record_facts(conn, use_case),
        "probation": probation_facts(conn, use_case),
        "canary": as_plain(canary_facts(conn, use_case.name)),
        "shadow": shadow_facts(conn, use_case),
        "chosen_labels": None if chosen is None else chosen.as_dict(),
        "quarantine": quarantine_facts(conn, use_case.name),
        "fence": fence_facts(conn, use_case),
        "taken_back": taken_back_facts(conn, use_case.name),
        "sources": source_facts(conn, use_case.name),
        "left_out_rows": None if run is None else (run.result or {}).get("left_out_rows"),
        "last_run": None if run is None else _run(run),
        "last_drift": None if check is None else _check(check),
    }
    if registry is None:
        return {**from_database, "labels": count_feedback(conn, use_case.name)}
    production = read_production(conn, registry, use_case.name)
    now = standing(conn, use_case.name, production)
    return {
        **from_database,
        "problem": None if production is None else production.problem,
        "production": now.version,
        "plain": _plain(run, production),
        "age_days": now.age_days,
        "labels": now.total_labels,
        "new_labels": now.new_labels,
        "new_since": now.new_since,
        "untried_labels": now.untried_labels,
        "every_labels": use_case.retrain.every_labels,
        "retrain": decide(conn, use_case, now).as_dict(),
    }


def _plain(run: Run | None, production: ProductionFacts | None) -> str | None:
    """As the last run says that had a plain model, else as it was when production was made."""
    told = None if run is None or run.result is None else run.result.get("plain")
    made = None if production is None else production.plain
    return made if told is None else str(told["sentence"])


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "status": run.status,
        "trigger": run.trigger,
        "requested_at": run.requested_at,
        "finished_at": run.finished_at,
        "outcome": (run.result or {}).get("outcome"),
        "error": run.error,
        "warnings": list((run.result or {}).get("warnings") or ()),
    }


def _check(check: DriftCheck) -> dict[str, Any]:
    return {
        "at": check.at,
        "verdict": check.verdict,
        "share": check.share,
        "reason": check.report.get("reason"),
        "parts": check.report.get("parts", {"data": check.verdict}),
        "moved": check.moved,
        "sentence": check.sentence,
        "model_version": check.model_version,
    }


def next_runs(settings: Settings, use_case: str) -> dict[str, str]:
    """Time (ISO 8601) of the next scheduled run of each flow of a use case.

    Asked over Prefect's REST, because importing its client takes seconds.

    Raises:
        OSError: Prefect does not answer, or refuses.
        ValueError: its answer is none of its own.
    """
    times = {}
    for flow in PURPOSES:
        query = {
            "flow_runs": {
                "tags": {"all_": [TAG, use_case, flow]},
                "state": {"type": {"any_": ["SCHEDULED"]}},
            },
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 1,
        }
        runs = _ask(settings, "flow_runs/filter", query)
        if runs:
            times[flow] = str(runs[0]["expected_start_time"])
    return times


def _ask(settings: Settings, call: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"{settings.prefect_url}/{call}",
        data=json.dumps(query).encode(),
        headers={"Content-Type": "application/json", **auth_headers(settings)},
    )
    with open_url(request, TIMEOUT) as response:
        answer: list[dict[str, Any]] = json.load(response)
        return answer
