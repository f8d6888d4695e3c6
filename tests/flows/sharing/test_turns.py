"""Retrains with artifacts and snapshots in a storage: what other homes have of it, what goes, what fails."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from configs.schema import RetentionConfig
from configs.settings import read_settings
from flows.retention.pruning import prune
from flows.retrain.lineage import learned_by
from models.errors import ModelError
from models.production.artifact_digests import vouched_artifact
from models.versions.predictor import Predictor
from store.errors import StorageRefused
from store.objects.contract import Storage
from store.objects.opening import open_storage
from store.runs.rows import running
from tests.flows.retrain.turns import Orchard, open_orchard
from tests.mlflow_servers import running_mlflow
from tests.s3_servers import S3Server

pytestmark = pytest.mark.timeout(400)


@contextmanager
def orchard_on(
    url: str,
    postgres: str,
    database_url: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    **variables: str,
) -> Iterator[tuple[Orchard, Storage]]:
    monkeypatch.setenv("RATCHET_STORAGE", url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    mlflow_home = folder / "mlflow-home"
    mlflow_home.mkdir()
    name = f"sharing_{uuid.uuid4().hex[:8]}"
    with running_mlflow(postgres, mlflow_home, name, **variables) as server:
        made = open_orchard(name, folder / "home", database_url, server.uri, folder)
        settings = replace(made.context.settings, storage_url=url)
        use_case = made.context.use_case
        scored_on = use_case.gate.shadows.model_copy(update={"keep": 1})  # which is kept to be scored
        changed = use_case.model_copy(
            update={
                "gate": use_case.gate.model_copy(update={"shadows": scored_on}),
                "retention": RetentionConfig(snapshots=1, drift_pages=2, mlflow_runs=10),
                "retrain": use_case.retrain.model_copy(update={"keep_versions": 1}),
            }
        )
        context = replace(made.context, settings=settings, use_case=changed)
        yield replace(made, context=context), open_storage(read_settings())


def keys(storage: Storage, folder: str) -> set[str]:
    return {one.key for one in storage.list(folder)}


@pytest.mark.slow
def test_what_is_old_goes_from_the_bucket_and_what_is_kept_opens_elsewhere(
    bucket: str,
    s3_server: S3Server,
    postgres: str,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with orchard_on(f"{bucket}/team", postgres, database_url, tmp_path, monkeypatch, **s3_server.environ) as (
        orchard,
        storage,
    ):
        for turn in range(4):
            orchard.take_in(400, edge=0.5, seed=turn)
            orchard.retrain()
        context, before = orchard.context, {name: keys(storage, name) for name in ("mlflow", "history")}
        assert before["history"]
        assert prune(context, now=datetime.now(UTC), dry_run=True)
        assert {name: keys(storage, name) for name in before} == before, "a dry run deletes nothing"
        removals = {one.what: one.count for one in prune(context, now=datetime.now(UTC)) or ()}
        assert removals["versions"] > 0
        assert removals["snapshots"] > 0
        left = orchard.registry.versions(orchard.name)
        assert keys(storage, "mlflow") < before["mlflow"]
        there = orchard.elsewhere(tmp_path / "there").context
        with there.connect() as conn:
            for one in left:
                artifact = vouched_artifact(
                    conn, there.registry, orchard.name, one.version, there.model_cache, actor="test"
                )
                Predictor.load(artifact).check_probe()
                learned = learned_by(conn, there.registry, one, there.use_case, there.settings.home)
                assert learned.last
        assert not (tmp_path / "there" / "history").exists()


@pytest.mark.slow
def test_a_retrain_without_storage_fails_and_the_next_one_learns_the_same_labels(
    postgres: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    with orchard_on(f"file://{shared}", postgres, database_url, tmp_path, monkeypatch) as (orchard, storage):
        orchard.take_in(400, edge=0.5)
        first = orchard.retrain()
        orchard.take_in(400, edge=0.5, seed=2)
        shared.rename(tmp_path / "away")
        with pytest.raises((StorageRefused, ModelError), match="no such folder; make it, or mount it"):
            orchard.retrain()
        assert not shared.exists()
        with orchard.context.connect() as conn:
            assert running(conn, orchard.name) is None or not running(conn, orchard.name)
            assert conn.execute("SELECT count(*) FROM feedback").fetchone() == (800,)
        assert orchard.registry.alias_version(orchard.name, "production") == first.version
        (tmp_path / "away").rename(shared)
        second = orchard.retrain()
        assert second.version > first.version
        assert keys(storage, "history")
