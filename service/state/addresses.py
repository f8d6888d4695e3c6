"""Addresses of pages in the web interfaces of MLflow and Prefect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from configs.addresses.web_url import shown
from models.production.contract import RunFacts, Version
from store.runs.rows import Run


class Addresses:
    """Addresses of pages; None where a server has no web interface at an address that is known."""

    def __init__(self, mlflow_uri: str = "", prefect_url: str = "") -> None:
        uri, prefect = shown(mlflow_uri).rstrip("/"), shown(prefect_url).rstrip("/")
        self._mlflow = uri if uri.startswith(("http://", "https://")) else None
        # A hosted Prefect has its pages elsewhere.
        self._prefect = prefect.removesuffix("/api") if prefect.endswith("/api") else None

    def model(self, use_case: str, version: int | None = None) -> str | None:
        """The page of a model or of one version."""
        if self._mlflow is None:
            return None
        page = f"{self._mlflow}/#/models/{quote(use_case)}"
        return page if version is None else f"{page}/versions/{version}"

    def run(self, version: Version, facts: RunFacts | None) -> str | None:
        """The page of the run that logged a version."""
        if self._mlflow is None or facts is None:
            return None
        return f"{self._mlflow}/#/experiments/{facts.experiment_id}/runs/{version.run_id}"

    def compare(self, versions: Sequence[Version | None], facts: Mapping[int, RunFacts | None]) -> str | None:
        """The page that compares the runs of several versions; None for fewer than two."""
        with_run = [
            version for version in versions if version is not None and facts[version.version] is not None
        ]
        if self._mlflow is None or len(with_run) < 2:
            return None
        runs = quote(json.dumps([version.run_id for version in with_run]))
        experiments = {
            run.experiment_id for version in with_run if (run := facts[version.version]) is not None
        }
        return (
            f"{self._mlflow}/#/compare-runs?runs={runs}&experiments={quote(json.dumps(sorted(experiments)))}"
        )

    def flow_run(self, run: Run | None) -> str | None:
        """The page of the flow run behind a retrain that has begun."""
        if self._prefect is None or run is None or run.flow_run_id is None or run.started_at is None:
            return None
        return f"{self._prefect}/runs/flow-run/{run.flow_run_id}"
