"""MLflow's tracking server and registry, in one process.

`mlflow server` imports all of MLflow in a launcher that then does the same again in a child: 12 s
and 260 MB more than this on two cores. What it sets up is set up here, by MLflow's own names.
"""

from __future__ import annotations

import os
import uuid

from configs.security.origins import LOOPBACK_NAMES
from configs.settings import Settings, read_settings
from flows.servers.drivers import connect_by, psycopg_address
from flows.servers.guard import BlockPaths, guard_app
from flows.servers.mlflow_limits import BLOCKED_PATHS, confine
from flows.servers.mlflow_storage import artifact_root, files_root, reach_bucket
from store.database.connection import tool_url
from store.database.sessions import session_url
from store.objects.opening import open_storage

ARTIFACT_ROOT = "mlflow-artifacts:/"
"""Clients send artifacts to the server, which keeps them: no client needs to see the folder."""

HOSTS, ORIGINS = "MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"


def serve(settings: Settings) -> None:
    """Serve until the process is told to end."""
    url = tool_url(session_url(settings), "mlflow")
    store = psycopg_address(url)
    connect_by(url)
    storage = open_storage(settings)
    _set_up(store, artifact_root(storage))
    os.environ.setdefault(HOSTS, allowed_hosts(settings))

    import uvicorn
    from mlflow.server import _UVICORN_LOG_CONFIG
    from mlflow.server.fastapi_app import app
    from mlflow.server.handlers import _get_tracking_store, initialize_backend_stores

    initialize_backend_stores(store, store, ARTIFACT_ROOT)
    confine(_get_tracking_store(), files_root(storage, settings.home))
    reach_bucket(storage)
    uvicorn.run(
        guard_app(
            BlockPaths(app, BLOCKED_PATHS), settings, settings.mlflow_port, os.environ.get(ORIGINS, "")
        ),
        host="127.0.0.1",
        port=settings.mlflow_port,
        log_config=str(_UVICORN_LOG_CONFIG),
        access_log=False,
    )


def allowed_hosts(settings: Settings) -> str:
    """What MLflow's own check lets through, as patterns.

    Its default has `10.*` and `192.168.*` among them, which a name such as `10.evil.example` fits too.
    """
    names = [*LOOPBACK_NAMES, *settings.allowed_hosts]
    hosts = [f"[{name}]" if ":" in name else name for name in names]
    return ",".join(pattern for name in hosts for pattern in (name, f"{name.replace('[', '[[]')}:*"))


def _set_up(store: str, artifacts: str) -> None:
    """The variables that `mlflow server` hands to its workers; they are read on import."""
    from mlflow.environment_variables import (
        _MLFLOW_IN_JOB_EXECUTOR,
        _MLFLOW_SERVER_BOOT_ID,
        _MLFLOW_SGI_NAME,
        MLFLOW_ENABLE_WORKSPACES,
    )
    from mlflow.server import constants

    os.environ.update(
        {
            constants.BACKEND_STORE_URI_ENV_VAR: store,
            constants.REGISTRY_STORE_URI_ENV_VAR: store,
            constants.ARTIFACT_ROOT_ENV_VAR: ARTIFACT_ROOT,
            constants.ARTIFACTS_DESTINATION_ENV_VAR: artifacts,
            constants.SERVE_ARTIFACTS_ENV_VAR: "true",
            _MLFLOW_SGI_NAME.name: "uvicorn",
            _MLFLOW_SERVER_BOOT_ID.name: uuid.uuid4().hex,
            _MLFLOW_IN_JOB_EXECUTOR.name: "false",
            MLFLOW_ENABLE_WORKSPACES.name: "false",
        }
    )


if __name__ == "__main__":
    serve(read_settings())
