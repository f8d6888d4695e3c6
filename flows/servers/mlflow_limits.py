"""What of MLflow's server is left out, and where it may read and write.

Whoever reaches its port may call it, so what it can be made to do as its owner is kept to what it is here
for: experiments, runs, versions, and their artifacts in its own store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

BLOCKED_PATHS = (
    "/ajax-api/3.0/mlflow/assistant",
    "/gateway",
    *(
        f"/{api}/{part}"
        for api in ("api", "ajax-api")
        for part in (
            "2.0/mlflow/gateway-proxy",
            "2.0/mlflow/runs/create-promptlab-run",
            "2.0/mlflow/webhooks",
            "3.0/jobs",
            "3.0/mlflow/demo",
            "3.0/mlflow/gateway",
            "3.0/mlflow/genai/evaluate",
            "3.0/mlflow/issues",
            "3.0/mlflow/jobs",
            "3.0/mlflow/mcp-servers",
            "3.0/mlflow/prompt-optimization",
            "3.0/mlflow/scorer/invoke",
        )
    ),
)
"""Beginnings of paths of what runs programs, calls other servers or keeps their passwords.

Its assistant alone runs any command for any program of this machine. Nothing here uses these parts.
"""
STORE = "mlflow-artifacts:"


def confine(store: Any, root: Path) -> None:
    """Have the server touch no files but those below `root`, whatever address a run or a version names.

    An experiment may name any folder for its artifacts, and the server would write there, and read through
    links that others have put there, as its owner.

    Args:
        store: MLflow's tracking store of this process.
        root: the folder of its own artifacts.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    own, create = root.resolve(), store.create_experiment

    class OwnFiles(LocalArtifactRepository):
        """Files of the server's own store."""

        def __init__(
            self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
        ) -> None:
            super().__init__(artifact_uri, tracking_uri, registry_uri)
            if not Path(self.artifact_dir).resolve().is_relative_to(own):
                raise MlflowException.invalid_parameter_value(
                    f"artifacts at '{artifact_uri[:200]}': this server keeps to its own store, {STORE}/"
                )

        @property
        def artifact_dir(self) -> str:
            if not own.parent.is_dir():  # a mount that failed has no artifacts, and takes none
                raise MlflowException(
                    f"{own.parent}: there is no such folder; mount it", error_code=TEMPORARILY_UNAVAILABLE
                )
            return str(super().artifact_dir)

    def create_experiment(name: str, artifact_location: str | None = None, tags: Any = None) -> Any:
        if artifact_location and not artifact_location.startswith(STORE):
            raise MlflowException.invalid_parameter_value(
                f"artifact_location: got '{artifact_location[:200]}'; allowed: none, or one below {STORE}/"
            )
        return create(name, artifact_location, tags)

    for scheme in ("", "file"):
        _artifact_repository_registry.register(scheme, OwnFiles)  # type: ignore[no-untyped-call]
    store.create_experiment = create_experiment
