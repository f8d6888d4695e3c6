"""The environment of everything that Ratchet starts, built in one place.

The same variables serve child processes (`child_environment`) and this process
(`apply_environment`): Prefect and MLflow read their settings when they are imported, so that comes first.
What the user has set for Prefect, MLflow or BentoML wins over the choices made here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from configs.security.proxies import proxy_environment
from configs.settings import Settings, own_hosts
from flows.servers.prefect_access import profile_environment

SERVICE = "service"
OF_ANOTHER_PYTHON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Variables that say where one Python finds its packages, and would mislead another."""
MARK_HOME = "RATCHET_STACK_HOME"
"""Marks every process of a stack with the home that it belongs to; descendants inherit it."""
MARK_SERVER = "RATCHET_STACK_SERVER"
"""Marks every process of a stack with the server that it is a part of."""

_OF_POSTGRES = re.compile(r"PG[A-Z_]+")
"""Variables of PostgreSQL's clients (`PGSSLMODE`, `PGSERVICE`, ...), which say how another database is
reached: nothing of them is meant for that of the home."""
_NOT_READ = "PGDATESTYLE"
"""Of them what psycopg cannot read times in, whatever the database."""
TELEMETRY_OFF = {
    "DO_NOT_TRACK": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""Without these, BentoML, Evidently, MLflow and Prefect send usage statistics."""
AUTHORITIES = Path(__file__).parent / "nobody.pem"
"""A certificate whose key was never kept, so it has signed no other."""
OF_OUR_OWN_PREFECT = {
    # It is asked without TLS. Prefect's client reads all authorities of the machine for that as well, nine
    # times a flow run, which is half of what a run spends that has nothing to do.
    "PREFECT_API_SSL_CERT_FILE": str(AUTHORITIES),
    # Client and server are of one installation.
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
}
"""Choices for Prefect's client where its server is started here."""
QUIET = {
    # A bar or a step shows what happens; Prefect's lines go to its server all the same.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": "flows.servers.prefect_console.CommandConsole",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
"""Variables that keep the tools' lines off the terminal of a command."""


def tool_environment(settings: Settings) -> dict[str, str]:
    """Variables by which Ratchet's own modules, Prefect, MLflow and BentoML find one another."""
    variables = {
        "RATCHET_HOME": str(settings.home),
        "RATCHET_STORAGE": settings.storage_url or "",
        "RATCHET_HOST": settings.host,
        "RATCHET_PORT": str(settings.port),
        "RATCHET_MLFLOW_PORT": str(settings.mlflow_port),
        "RATCHET_PREFECT_PORT": str(settings.prefect_port),
        "RATCHET_WORKERS": str(settings.workers),
        "RATCHET_USE_CASES": ",".join(settings.use_cases),
        "RATCHET_LOG_FORMAT": settings.log_format,
        "RATCHET_ACCESS_LOG": str(int(settings.access_log)),
        "RATCHET_WARM_FLOWS": str(int(settings.warm_flows)),
        "RATCHET_CONFIGS": os.pathsep.join(str(path) for path in settings.config_dirs[1:]),
        "RATCHET_API_KEYS": str(settings.api_keys),
        "RATCHET_ALLOWED_ORIGINS": ",".join(settings.allowed_origins),
        "RATCHET_ALLOWED_HOSTS": ",".join(settings.allowed_hosts),
        "RATCHET_MAX_CONNECTIONS": str(settings.max_connections),
        "RATCHET_MAX_IN_FLIGHT": str(settings.max_in_flight),
        "RATCHET_SLOW_CLIENT_SECONDS": str(settings.slow_client_seconds),
        "RATCHET_DRAIN_SECONDS": str(settings.drain_seconds),
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "PREFECT_API_URL": settings.prefect_url,
    }
    if settings.service_python is not None:
        variables["RATCHET_SERVICE_PYTHON"] = str(settings.service_python)
    files = {
        "RATCHET_COMPUTE_CA": settings.compute_ca,
        "RATCHET_COMPUTE_CERT": settings.compute_cert,
        "RATCHET_COMPUTE_KEY": settings.compute_key,
    }
    variables |= {name: str(path) for name, path in files.items() if path is not None}
    if settings.database_url is not None:
        variables["RATCHET_DATABASE_URL"] = settings.database_url
    if settings.direct_database_url is not None:
        variables["RATCHET_DATABASE_DIRECT_URL"] = settings.direct_database_url
    return variables | profile_environment(settings) | TELEMETRY_OFF


def tool_defaults(settings: Settings) -> dict[str, str]:
    """Choices that a variable set by the user overrides."""
    return (
        _log_defaults(settings)
        | profile_environment(settings)
        | (OF_OUR_OWN_PREFECT if settings.starts_prefect else {})
        | {
            "BENTOML_HOME": str(settings.home / "bentoml"),
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            # Its own patience, 7 tries with doubling waits, hides an outage for minutes.
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "PREFECT_HOME": str(settings.home / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            # Its events it deletes after a week by itself, its runs with their logs only when told to.
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * 24 * 3600),
            "PREFECT_CLI_PROMPT": "false",
            "GIT_PYTHON_REFRESH": "quiet",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
    )


def _log_defaults(settings: Settings) -> dict[str, str]:
    """How Prefect writes its lines, and so the worker and its flow runs theirs."""
    if settings.log_format == "text":
        return {}
    return {
        "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
        "PREFECT_LOGGING_FORMATTERS_JSON_CLASS": "configs.logs.JsonLines",
        "PREFECT_LOGGING_COLORS": "false",
    }


def python_of(settings: Settings, server: str) -> str:
    """The Python that a server is started with."""
    own = settings.service_python if server == SERVICE else None
    return sys.executable if own is None else str(own)


def child_environment(
    settings: Settings, server: str, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The whole environment of a child process that belongs to `server`."""
    inherited = dict(os.environ if base is None else base)
    for name, value in QUIET.items():  # the terminal of a command is no log of a server
        if inherited.get(name) == value:
            del inherited[name]
    inherited = {name: value for name, value in inherited.items() if not _misleads(settings, name)}
    if server == SERVICE and settings.service_python is not None:
        inherited = {name: value for name, value in inherited.items() if name not in OF_ANOTHER_PYTHON}
    # `python` and the tools' commands are those of its environment, whether it was activated or not.
    programs = str(Path(python_of(settings, server)).parent)
    path = os.pathsep.join(part for part in (programs, inherited.get("PATH")) if part)
    return {
        **tool_defaults(settings),
        **inherited,
        **tool_environment(settings),
        **proxy_environment(inherited, own_hosts(settings)),
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        # Logs are UTF-8, whatever the terminal is.
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
        # Compiled once and kept, the libraries import a third faster at every start and flow run.
        "PYTHONDONTWRITEBYTECODE": "",
        MARK_HOME: str(settings.home),
        MARK_SERVER: server,
    }


def apply_environment(settings: Settings) -> None:
    """Set the same variables in this process; call it before Prefect or MLflow is imported."""
    for name in [name for name in os.environ if _misleads(settings, name)]:
        del os.environ[name]
    for name, value in tool_defaults(settings).items():
        os.environ.setdefault(name, value)
    os.environ.update(tool_environment(settings))
    os.environ.update(proxy_environment(os.environ, own_hosts(settings)))


def _misleads(settings: Settings, name: str) -> bool:
    """Whether a variable would have clients look for the database elsewhere, or read it wrongly."""
    is_own = settings.database_url is None
    return name == _NOT_READ or (is_own and _OF_POSTGRES.fullmatch(name) is not None)


def quieten_logs() -> None:
    """Keep the tools' own log lines off this terminal; call it before Prefect or MLflow is imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
