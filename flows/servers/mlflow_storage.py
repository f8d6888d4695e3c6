"""Where MLflow's server keeps artifacts: below `mlflow/` of the storage, by MLflow's own stores.

What S3 refuses is told by MLflow as if the artifact were missing or the caller unknown; who asks would take a
version for damaged that is whole. So everything but an object that is not there becomes 503, in our words.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from store.errors import StorageError
from store.objects.contract import Storage
from store.objects.folders import FolderStorage
from store.objects.s3 import S3Storage
from store.objects.s3_faults import fault_of, is_missing

FOLDER = "mlflow"
_ASKED = ("log_artifact", "log_artifacts", "list_artifacts", "delete_artifacts", "_download_file")

log = logging.getLogger("mlflow.ratchet")


def artifact_root(storage: Storage) -> str:
    """What `mlflow server --artifacts-destination` is told: a folder, which is made, or an address.

    Raises:
        StorageRefused: the folder that should be shared is not there.
    """
    if isinstance(storage, FolderStorage):
        storage.ensure_folder()
        root = storage.folder / FOLDER
        root.mkdir(parents=True, exist_ok=True)
        return str(root)
    return f"{storage.url}/{FOLDER}"


def files_root(storage: Storage, home: Path) -> Path:
    """The only folder in which the server may touch files."""
    return (storage.folder if isinstance(storage, FolderStorage) else home) / FOLDER


def reach_bucket(storage: Storage) -> None:
    """Tell MLflow how the bucket is reached, and keep it to what is its own there."""
    if not isinstance(storage, S3Storage):
        return
    for name, value in storage.access.mlflow().items():
        os.environ.setdefault(name, value)
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry

    repository = _own_objects(storage)
    _artifact_repository_registry.register("s3", repository)  # type: ignore[no-untyped-call]


def _own_objects(storage: S3Storage) -> type[Any]:
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

    own = f"{storage.url}/{FOLDER}"

    class OwnObjects(S3ArtifactRepository):
        """Objects of the server's own store."""

        def __init__(self, artifact_uri: str, *rest: Any, **named: Any) -> None:
            super().__init__(artifact_uri, *rest, **named)
            if not f"{artifact_uri}/".startswith(f"{own}/") or ".." in artifact_uri.split("/"):
                raise MlflowException.invalid_parameter_value(
                    f"artifacts at '{artifact_uri[:200]}': this server keeps to its own store"
                )

    for name in _ASKED:
        setattr(OwnObjects, name, _telling(getattr(OwnObjects, name), storage))
    return OwnObjects


def _telling(method: Callable[..., Any], storage: S3Storage) -> Callable[..., Any]:
    """A method that asks S3, with its faults told in our words."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException

    @wraps(method)
    def told(*args: Any, **named: Any) -> Any:
        try:
            return method(*args, **named)
        except (MlflowException, Boto3Error, BotoCoreError, ClientError) as error:
            raise _as_mlflow(storage, error) from error

    return told


def _as_mlflow(storage: S3Storage, error: Exception) -> Exception:
    """What MLflow should say: an artifact is not there, the storage is at fault, or what it says itself."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE

    cause = error.__cause__ or error.__context__ if isinstance(error, MlflowException) else error
    if not isinstance(cause, Exception):
        return error
    fault = _gone(storage) if is_missing(cause) else fault_of(storage.url, storage.access.place, cause)
    if fault is None:
        return MlflowException("No such artifact", error_code=RESOURCE_DOES_NOT_EXIST)
    log.warning("%s", fault)
    return MlflowException(str(fault), error_code=TEMPORARILY_UNAVAILABLE)


def _gone(storage: S3Storage) -> StorageError | None:
    """What is wrong where an object is not there: a bucket that is gone answers the same."""
    try:
        next(storage.list(FOLDER), None)
    except StorageError as fault:
        return fault
    return None
