"""The few registry calls that servers and quick commands make, over MLflow's REST, without importing MLflow.

Importing MLflow takes seconds and 140 MB, which a server cannot spare while it answers. For a
tracking URI that is no HTTP address (a file, a hosted workspace) the client library is used after all.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import Any
from urllib import error, parse, request

from configs.security.loopback import open_url
from models.errors import ArtifactError, RegistryUnavailable, UnknownVersion
from models.production.contract import GREATEST_VERSION, Alias, RegistryClient, RunFacts, Version
from models.production.registry import ARTIFACT_PATH, Registry
from models.versions.artifact import MANIFEST, listed_files
from models.versions.cache import fetch_artifact

TIMEOUT = 5.0
_CHUNK = 1024 * 1024
_PAGE = 200
_NOT_SAID_OF_FILES = (401, 403, 407, 408, 425, 429)
"""Answers that tell of who asks, of a proxy, or of a moment, and not of what is there."""
_ANSWERS: Mapping[str, frozenset[str]] = {
    "registered-models/alias": frozenset({"model_version"}),
    "registered-models/get": frozenset({"registered_model"}),
    "model-versions/get": frozenset({"model_version"}),
    "model-versions/search": frozenset({"model_versions", "next_page_token"}),
    "runs/get": frozenset({"run"}),
    "experiments/get-by-name": frozenset({"experiment"}),
}
_EMPTY = ("model-versions/search",)
"""What each call's answer has, or may be without; another server, or a proxy's page, has none of it."""


def open_registry(tracking_uri: str) -> RegistryClient:
    """The registry at a tracking URI."""
    http = tracking_uri.startswith(("http://", "https://"))
    return MlflowRest(tracking_uri) if http else Registry(tracking_uri)


def has_more_runs(tracking_uri: str, experiment: str, keep: int) -> bool:
    """Whether an experiment has more runs than so many; where only MLflow's library can tell: it may.

    Raises:
        RegistryUnavailable: MLflow does not answer.
    """
    if not tracking_uri.startswith(("http://", "https://")):
        return True
    return MlflowRest(tracking_uri).has_more_runs(experiment, keep)


class MlflowRest:
    """Reads versions, and reads and moves aliases, over HTTP."""

    def __init__(self, tracking_uri: str, timeout: float = TIMEOUT) -> None:
        self.tracking_uri = tracking_uri.rstrip("/")
        self._timeout = timeout

    def alias_version(self, use_case: str, alias: Alias) -> int | None:
        """Version that `alias` names; None when there is no such model or alias."""
        answer = self._get("registered-models/alias", {"name": use_case, "alias": alias})
        return None if answer is None else int(answer["model_version"]["version"])

    def aliases(self, use_case: str) -> dict[str, int]:
        """All aliases of the model and the versions they name."""
        answer = self._get("registered-models/get", {"name": use_case})
        entries = [] if answer is None else answer["registered_model"].get("aliases", [])
        return {entry["alias"]: int(entry["version"]) for entry in entries}

    def set_alias(self, use_case: str, alias: Alias, version: int) -> None:
        """Point `alias` at `version`."""
        self._send("POST", {"name": use_case, "alias": alias, "version": str(version)})

    def delete_alias(self, use_case: str, alias: Alias) -> None:
        """Remove `alias` from the model."""
        self._send("DELETE", {"name": use_case, "alias": alias})

    def version(self, use_case: str, version: int) -> Version:
        """What is known of one version.

        Raises:
            UnknownVersion: the registry has none of that number.
        """
        query = {"name": use_case, "version": str(version)}
        answer = self._get("model-versions/get", query) if version <= GREATEST_VERSION else None
        if answer is None:
            raise UnknownVersion(use_case, version)
        entry = answer["model_version"]
        return _version(entry, tuple(entry.get("aliases", [])))

    def versions(self, use_case: str) -> list[Version]:
        """Every version, oldest first; none where there is no such model."""
        named = self.aliases(use_case)  # a search leaves them out
        query = {"filter": f"name='{use_case}'", "max_results": str(_PAGE)}
        listed: list[Version] = []
        while True:
            answer = self._get("model-versions/search", query) or {}
            for one in answer.get("model_versions", []):
                number = int(one["version"])
                listed.append(_version(one, tuple(name for name, v in named.items() if v == number)))
            if not answer.get("next_page_token"):
                return sorted(listed, key=lambda version: version.version)
            query = {**query, "page_token": answer["next_page_token"]}

    def metrics(self, run_id: str) -> dict[str, float]:
        """Last value of every metric of an MLflow run."""
        run = self.run(run_id)
        return {} if run is None else dict(run.metrics)

    def run(self, run_id: str) -> RunFacts | None:
        """What an MLflow run holds; None when there is no such run."""
        answer = self._get("runs/get", {"run_id": run_id})
        if answer is None:
            return None
        entries = answer["run"]["data"].get("metrics", [])
        metrics = {entry["key"]: float(entry["value"]) for entry in entries}
        return RunFacts(answer["run"]["info"]["experiment_id"], metrics)

    def has_more_runs(self, experiment: str, keep: int) -> bool:
        """Whether an experiment has more runs than so many."""
        found = self._get("experiments/get-by-name", {"experiment_name": experiment})
        if found is None:
            return False
        query = {"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": keep + 1}
        call = request.Request(
            f"{self.tracking_uri}/api/2.0/mlflow/runs/search",
            data=json.dumps(query).encode(),
            headers={**_credentials(), "Content-Type": "application/json"},
        )
        try:
            with open_url(call, self._timeout) as answer:
                return len(json.load(answer).get("runs", [])) > keep
        except (OSError, ValueError, AttributeError, HTTPException) as away:
            raise RegistryUnavailable(self.tracking_uri, _reason(away)) from away

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """A file that an MLflow run keeps; None when there is no such run or file."""
        try:
            with self._open(f"/get-artifact?{parse.urlencode({'run_id': run_id, 'path': path})}") as answer:
                content: bytes = answer.read()
        except error.HTTPError as refused:
            if refused.code < 500:
                return None
            raise RegistryUnavailable(self.tracking_uri, _refusal(refused, path)) from refused
        except (OSError, HTTPException) as away:
            raise RegistryUnavailable(self.tracking_uri, str(away)) from away
        return content

    def download(self, use_case: str, version: int, cache_dir: Path, digest: str | None = None) -> Path:
        """Directory with the artifact of a version, whole; fetched where this machine has no whole copy.

        Args:
            digest: what the ledger knows the version by; None: the manifest is believed.

        Raises:
            UnknownVersion: it is not here, and the registry has none of that number.
            ArtifactDamaged: what the registry has is not what was registered.
        """
        return fetch_artifact(
            cache_dir, use_case, version, digest, lambda folder: self._fetch_all(use_case, version, folder)
        )

    def _fetch_all(self, use_case: str, version: int, folder: Path) -> Path:
        """Manifest first, then the files that it names."""
        artifact = folder / "artifact"
        self._fetch(use_case, version, MANIFEST, artifact / MANIFEST)
        for name in listed_files(artifact):
            self._fetch(use_case, version, name, artifact / name)
        return artifact

    def _fetch(self, use_case: str, version: int, name: str, target: Path) -> None:
        """Write a file of a version; raises `OSError` where that cannot be done on this machine."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for chunk in self._chunks(use_case, version, name, target):
                file.write(chunk)

    def _chunks(self, use_case: str, version: int, name: str, target: Path) -> Iterator[bytes]:
        """What the server has of a file, to its end: what was cut off on the way is not what it has."""
        query = {"name": use_case, "version": str(version), "path": f"{ARTIFACT_PATH}/{name}"}
        try:
            with self._open(f"/model-versions/get-artifact?{parse.urlencode(query)}") as answer:
                while chunk := answer.read(_CHUNK):
                    yield chunk
                if answer.length:
                    raise IncompleteRead(b"", answer.length)
        except error.HTTPError as refused:
            if refused.code >= 500 or refused.code in _NOT_SAID_OF_FILES:
                raise RegistryUnavailable(self.tracking_uri, _refusal(refused, name)) from refused
            self.version(use_case, version)  # which says so when there is no such version
            raise ArtifactError(target, f"the registry answers {refused.code} for {name}") from refused
        except (OSError, HTTPException) as away:
            raise RegistryUnavailable(self.tracking_uri, _reason(away)) from away

    def _get(self, call: str, query: Mapping[str, str]) -> Any:
        """JSON of a call; None where MLflow says that the thing does not exist."""
        try:
            with self._open(f"/api/2.0/mlflow/{call}?{parse.urlencode(query)}") as answer:
                content = json.load(answer)
            expected = _ANSWERS[call]
            known = isinstance(content, dict) and (
                expected & content.keys() or (call in _EMPTY and not content)
            )
            if not known:
                raise ValueError("its answer is not one of MLflow's registry")
            return content
        except error.HTTPError as refused:
            body = refused.read(4096).decode("utf-8", "replace")
            missing = "RESOURCE_DOES_NOT_EXIST" in body
            # MLflow calls an alias that was never set an invalid parameter.
            if missing or ("INVALID_PARAMETER_VALUE" in body and call.endswith("/alias")):
                return None
            raise RegistryUnavailable(self.tracking_uri, f"{refused.code} {body}") from refused
        except (OSError, ValueError, HTTPException) as away:
            raise RegistryUnavailable(self.tracking_uri, _reason(away)) from away

    def _send(self, method: str, content: Mapping[str, str]) -> None:
        """Move an alias."""
        call = request.Request(
            f"{self.tracking_uri}/api/2.0/mlflow/registered-models/alias",
            data=json.dumps(content).encode(),
            headers={**_credentials(), "Content-Type": "application/json"},
            method=method,
        )
        try:
            with open_url(call, self._timeout):
                pass
        except error.HTTPError as refused:
            body = refused.read(4096).decode("utf-8", "replace")
            if "RESOURCE_DOES_NOT_EXIST" in body and "version" in content:
                raise UnknownVersion(content["name"], int(content["version"])) from refused
            raise RegistryUnavailable(self.tracking_uri, f"{refused.code} {body}") from refused
        except (OSError, HTTPException) as away:
            raise RegistryUnavailable(self.tracking_uri, _reason(away)) from away

    def _open(self, path: str) -> Any:
        call = request.Request(self.tracking_uri + path, headers=_credentials())
        return open_url(call, self._timeout)


def _version(entry: Mapping[str, Any], aliases: tuple[str, ...]) -> Version:
    return Version(
        use_case=entry["name"],
        version=int(entry["version"]),
        run_id=entry.get("run_id", ""),
        tags={tag["key"]: tag["value"] for tag in entry.get("tags", [])},
        aliases=aliases,
        created_ms=int(entry["creation_timestamp"]),
    )


def _refusal(refused: error.HTTPError, name: str) -> str:
    """What a server that cannot give a file says of it; its storage may be away, which it names."""
    try:
        said = str(json.loads(refused.read(4096))["message"])[:500]
    except (OSError, ValueError, KeyError, TypeError, HTTPException):
        said = ""
    return f"{refused.code} for {name}" + (f": {said}" if said else "")


def _reason(away: Exception) -> str:
    """Why it does not answer; a page of a proxy is no JSON."""
    if isinstance(away, json.JSONDecodeError):
        return "what it answers is no JSON; another server, or a proxy, answers in its place"
    return str(away) or type(away).__name__


def _credentials() -> dict[str, str]:
    """MLflow's own variables for servers that ask who is there."""
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if token:
        return {"Authorization": f"Bearer {token}"}
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {}
