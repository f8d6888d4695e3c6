"""The model registry: versions and aliases in MLflow, one registered model per use case.

MLflow deprecated stages in 2.9, so "the Production stage" is the alias `production`. Beside it stand
`challenger` (the last one judged), `previous` (what production was before) and `original` (the first).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.absent_packages import OF_MLFLOW, note_absent
from models.errors import ArtifactError, RegistryUnavailable, UnknownVersion
from models.production.contract import GREATEST_VERSION, Alias, RunFacts, Version
from models.versions.cache import fetch_artifact

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Folder of the artifact inside the MLflow model, as `mlflow.pyfunc.log_model(data_path=...)` lays it out.
ARTIFACT_PATH = "data/ratchet"
# What MLflow says of files that are not in its store; it has no code for it.
_MISSING = ("404 Client Error", "No such artifact", "No such file")


class Registry:
    """Reads and moves versions and aliases.

    Every method raises `RegistryUnavailable` when the MLflow server cannot be reached.
    """

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri

    def alias_version(self, use_case: str, alias: Alias) -> int | None:
        """Version that `alias` names; None when there is no such model or alias."""
        with translated(self.tracking_uri):
            try:
                model_version = self._client().get_model_version_by_alias(use_case, alias)
            except Exception as error:
                if _error_code(error) in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return int(model_version.version)

    def aliases(self, use_case: str) -> dict[str, int]:
        """All aliases of the model and the versions they name."""
        with translated(self.tracking_uri):
            try:
                model = self._client().get_registered_model(use_case)
            except Exception as error:
                if _error_code(error) == "RESOURCE_DOES_NOT_EXIST":
                    return {}
                raise
        return {alias: int(version) for alias, version in model.aliases.items()}

    def version(self, use_case: str, version: int) -> Version:
        """What is known of one version.

        Raises:
            UnknownVersion: the registry has none of that number.
        """
        if version > GREATEST_VERSION:
            raise UnknownVersion(use_case, version)
        with translated(self.tracking_uri):
            try:
                model_version = self._client().get_model_version(use_case, str(version))
            except Exception as error:
                if _error_code(error) == "RESOURCE_DOES_NOT_EXIST":
                    raise UnknownVersion(use_case, version) from error
                raise
        return Version(
            use_case=use_case,
            version=int(model_version.version),
            run_id=model_version.run_id or "",
            tags=dict(model_version.tags),
            aliases=tuple(model_version.aliases),
            created_ms=int(model_version.creation_timestamp),
        )

    def metrics(self, run_id: str) -> dict[str, float]:
        """Last value of every metric of an MLflow run."""
        with translated(self.tracking_uri):
            return dict(self._client().get_run(run_id).data.metrics)

    def run(self, run_id: str) -> RunFacts | None:
        """What an MLflow run holds; None when there is no such run."""
        with translated(self.tracking_uri):
            try:
                run = self._client().get_run(run_id)
            except Exception as error:
                if _error_code(error) == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise
        return RunFacts(run.info.experiment_id, dict(run.data.metrics))

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """A file that an MLflow run keeps; None when there is no such run or file."""
        with tempfile.TemporaryDirectory() as folder, translated(self.tracking_uri):
            names = [] if self.run(run_id) is None else self._client().list_artifacts(run_id)
            if path not in [one.path for one in names]:
                return None
            return Path(self._client().download_artifacts(run_id, path, folder)).read_bytes()

    def register(
        self, use_case: str, model_uri: str, run_id: str, tags: Mapping[str, str], *, beyond: int = 0
    ) -> int:
        """Make a new version of the model logged at `model_uri` (`models:/<id>`) and return its number.

        Args:
            beyond: the highest number that ever was one of the use case's: where a model was deleted, MLflow
                counts from 1 again, and another version would have the number of one that serves.
        """
        from mlflow.exceptions import MlflowException

        client = self._client()
        with translated(self.tracking_uri):
            try:
                client.create_registered_model(use_case)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            while True:
                created = client.create_model_version(
                    use_case,
                    model_uri,
                    run_id=run_id,
                    tags=dict(tags),
                    model_id=model_uri.removeprefix("models:/"),
                )
                if int(created.version) > beyond:
                    return int(created.version)
                client.delete_model_version(use_case, created.version)

    def versions(self, use_case: str) -> list[Version]:
        """Every version, oldest first."""
        named = self.aliases(use_case)
        listed: list[Any] = []
        token: str | None = None
        with translated(self.tracking_uri):
            while token != "":
                page = self._client().search_model_versions(f"name='{use_case}'", page_token=token)
                listed += page
                token = page.token or ""
        return [
            Version(
                use_case=use_case,
                version=int(one.version),
                run_id=one.run_id or "",
                tags=dict(one.tags),
                # A search leaves aliases out.
                aliases=tuple(alias for alias, number in named.items() if number == int(one.version)),
                created_ms=int(one.creation_timestamp),
            )
            for one in sorted(listed, key=lambda one: int(one.version))
        ]

    def delete(self, version: Version) -> None:
        """Delete a version and its artifacts; its run, with metrics and data, stays.

        The version goes last: cut off before, it is still listed and can be deleted again.
        """
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        client, name, number = self._client(), version.use_case, str(version.version)
        with translated(self.tracking_uri):
            model_id = (client.get_model_version(name, number).source or "").removeprefix("models:/")
            stored = client.get_model_version_download_uri(name, number)
            artifacts: Any = get_artifact_repository(stored, tracking_uri=self.tracking_uri)
            artifacts.delete_artifacts()
            if model_id.startswith("m-"):
                try:
                    client.delete_logged_model(model_id)
                except Exception as error:
                    if _error_code(error) != "RESOURCE_DOES_NOT_EXIST":
                        raise
            client.delete_model_version(name, number)

    def set_alias(self, use_case: str, alias: Alias, version: int) -> None:
        """Point `alias` at `version`.

        Raises:
            UnknownVersion: the registry has none of that number.
        """
        with translated(self.tracking_uri):
            try:
                self._client().set_registered_model_alias(use_case, alias, str(version))
            except Exception as error:
                if _error_code(error) == "RESOURCE_DOES_NOT_EXIST":
                    raise UnknownVersion(use_case, version) from error
                raise

    def delete_alias(self, use_case: str, alias: Alias) -> None:
        """Remove `alias` from the model."""
        with translated(self.tracking_uri):
            self._client().delete_registered_model_alias(use_case, alias)

    def download(self, use_case: str, version: int, cache_dir: Path, digest: str | None = None) -> Path:
        """Directory with the artifact of a version, whole; fetched where this machine has no whole copy.

        Args:
            digest: what the ledger knows the version by; None: the manifest is believed.

        Raises:
            UnknownVersion: it is not here, and the registry has none of that number.
            ArtifactDamaged: what the registry has is not what was registered.
        """
        return fetch_artifact(
            cache_dir, use_case, version, digest, lambda folder: self._fetch(use_case, version, folder)
        )

    def download_logged(self, model_uri: str, target: Path) -> None:
        """Fetch the artifact of a model that was logged, and perhaps never registered, into a new folder.

        Args:
            model_uri: `models:/<id>`.

        Raises:
            ArtifactError: MLflow has it no more.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".incoming-") as incoming:
            with translated(self.tracking_uri):
                try:
                    model = self._client().get_logged_model(model_uri.removeprefix("models:/"))
                except Exception as error:
                    if _error_code(error) == "RESOURCE_DOES_NOT_EXIST":
                        raise ArtifactError(target, "MLflow has it no more") from error
                    raise
            self._download(model.artifact_location, Path(incoming)).rename(target)

    def requirements(self, use_case: str, version: int) -> dict[str, str]:
        """Packages at the versions that the MLflow model of a version asks for; none where it has no list.

        Raises:
            UnknownVersion: the registry has none of that number.
        """
        import mlflow.artifacts

        with translated(self.tracking_uri), tempfile.TemporaryDirectory() as folder:
            listed = f"{self._download_uri(use_case, version)}/requirements.txt"
            try:
                fetched = mlflow.artifacts.download_artifacts(
                    artifact_uri=listed, dst_path=folder, tracking_uri=self.tracking_uri
                )
            except Exception as error:
                if any(words in str(error) for words in _MISSING):
                    return {}
                raise
            lines = Path(fetched).read_text(encoding="utf-8").splitlines()
        pinned = (line.partition("==") for line in lines if "==" in line)
        return {name.strip(): number.strip() for name, _, number in pinned}

    def _fetch(self, use_case: str, version: int, folder: Path) -> Path:
        with translated(self.tracking_uri):
            # A `models:/` address would be looked up in the process-wide registry instead of this one.
            stored = self._download_uri(use_case, version)
        return self._download(stored, folder)

    def _download(self, stored: str, folder: Path) -> Path:
        """The artifact of the model that is stored there, in a folder."""
        import mlflow.artifacts

        with translated(self.tracking_uri):
            try:
                fetched = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"{stored}/{ARTIFACT_PATH}",
                    dst_path=str(folder),
                    tracking_uri=self.tracking_uri,
                )
            except Exception as error:
                if any(words in str(error) for words in _MISSING):
                    raise ArtifactError(folder, "its files are not there any more") from error
                raise
        return Path(fetched)

    def _download_uri(self, use_case: str, version: int) -> str:
        try:
            return str(self._client().get_model_version_download_uri(use_case, str(version)))
        except Exception as error:
            if _error_code(error) == "RESOURCE_DOES_NOT_EXIST":
                raise UnknownVersion(use_case, version) from error
            raise

    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        note_absent(OF_MLFLOW)
        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)


def _error_code(error: Exception) -> str:
    return str(getattr(error, "error_code", ""))


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Turn what MLflow raises when its server is away into `RegistryUnavailable`."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield
    except (RequestException, ConnectionError) as error:
        raise RegistryUnavailable(uri, str(error)) from error
    except MlflowException as error:
        if "API request to" in str(error) and "failed" in str(error):
            raise RegistryUnavailable(uri, _said(str(error))) from error
        raise


def _said(reason: str) -> str:
    """MLflow's client does not tell what a server says with 503, which ours does where its storage fails."""
    if "too many 503" not in reason:
        return reason
    return "503, as it cannot use its storage now: `ratchet doctor` and logs/mlflow.log say why"
