"""MLflow's server with artifacts in a bucket: kept, read and deleted there, and what is told of a fault."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import psycopg
import pytest
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from models.errors import RegistryUnavailable
from models.production.registry import translated
from models.production.registry_rest import MlflowRest
from tests.mlflow_servers import running_mlflow
from tests.s3_servers import S3Server, running_s3


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own retries of what answers 503 take minutes; Ratchet's commands set the same."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


@dataclass
class Kept:
    """MLflow, and where it keeps artifacts."""

    uri: str
    database: str
    url: str
    s3: S3Server
    home: Path

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri, registry_uri=self.uri)

    def objects(self) -> list[str]:
        bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        listed = self.s3.client().list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [one["Key"].removeprefix(f"{prefix}/") for one in listed.get("Contents", ())]

    def run(self, text: str = "kept") -> Any:
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_experiment("things")
        with translated(self.uri), mlflow.start_run() as run:
            mlflow.log_text(text, "folder/note.txt")
        return run


@contextmanager
def mlflow_on(s3: S3Server, postgres: str, home: Path) -> Iterator[Kept]:
    url = s3.make_bucket(f"mlflow-{uuid.uuid4().hex[:8]}") + "/team/ratchet"
    name = f"storage_{uuid.uuid4().hex[:8]}"
    with running_mlflow(postgres, home, name, RATCHET_STORAGE=url, **s3.environ) as server:
        database = postgres.rsplit("/", 1)[0] + f"/{name}_mlflow"
        yield Kept(server.uri, database, url, s3, home)


@pytest.fixture(scope="module")
def kept(s3_server: S3Server, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with mlflow_on(s3_server, postgres, tmp_path_factory.mktemp("home")) as made:
        yield made


def test_artifacts_are_in_the_bucket_alone(kept: Kept, tmp_path: Path) -> None:
    run = kept.run("here")
    (stored,) = [key for key in kept.objects() if run.info.run_id in key]
    assert stored.startswith("mlflow/")
    assert stored.endswith("/artifacts/folder/note.txt")
    assert not (kept.home / "mlflow").exists()
    assert MlflowRest(kept.uri).artifact(run.info.run_id, "folder/note.txt") == b"here"
    fetched = kept.client.download_artifacts(run.info.run_id, "folder", str(tmp_path))
    assert (Path(fetched) / "note.txt").read_text() == "here"
    assert [one.path for one in kept.client.list_artifacts(run.info.run_id, "folder")] == ["folder/note.txt"]
    repository: Any = get_artifact_repository(run.info.artifact_uri, tracking_uri=kept.uri)
    repository.delete_artifacts()
    assert [key for key in kept.objects() if run.info.run_id in key] == []
    assert MlflowRest(kept.uri).artifact(run.info.run_id, "folder/note.txt") is None


def test_objects_outside_its_part_of_the_bucket_are_neither_read_nor_written(kept: Kept) -> None:
    """Also where a row names them already."""
    run = kept.run()
    bucket = kept.url.removeprefix("s3://").partition("/")[0]
    secret = f"elsewhere/{run.info.run_id}/artifacts/password"
    kept.s3.client().put_object(Bucket=bucket, Key=secret, Body=b"hidden")
    outside = [f"s3://{bucket}/elsewhere", f"{kept.url}/mlflow/../../../elsewhere", f"{kept.url}/mlflow-x"]
    for place in outside:
        with psycopg.connect(kept.database, autocommit=True) as conn:
            conn.execute(
                "UPDATE runs SET artifact_uri = %s WHERE run_uuid = %s",
                (f"{place}/{run.info.run_id}/artifacts", run.info.run_id),
            )
        try:
            path = f"{kept.uri}/get-artifact?run_id={run.info.run_id}&path=password"
            with urllib.request.urlopen(path, timeout=20) as answer:
                pytest.fail(f"{place}: answered {answer.read()!r}")
        except urllib.error.HTTPError as refused:
            assert refused.code == 400
            assert b"keeps to its own store" in refused.read()


@pytest.mark.slow
def test_a_storage_that_is_gone_is_no_artifact_that_is_missing(
    postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        running_s3(tmp_path_factory.mktemp("s3")) as s3,
        mlflow_on(s3, postgres, tmp_path_factory.mktemp("home")) as kept,
    ):
        run = kept.run("first")
        reader = MlflowRest(kept.uri, timeout=60)
        assert reader.artifact(run.info.run_id, "folder/other.txt") is None
        bucket = kept.url.removeprefix("s3://").partition("/")[0]
        for key in s3.client().list_objects_v2(Bucket=bucket)["Contents"]:
            s3.client().delete_object(Bucket=bucket, Key=key["Key"])
        s3.client().delete_bucket(Bucket=bucket)
        with pytest.raises(RegistryUnavailable, match=r"503 .*there is no such bucket; RATCHET_STORAGE has"):
            reader.artifact(run.info.run_id, "folder/note.txt")
        with pytest.raises(RegistryUnavailable, match="503, as it cannot use its storage now"):
            kept.run("second")
        assert "there is no such bucket" in (kept.home / "log").read_text()
        s3.process.kill()
        s3.process.wait(10)
        with pytest.raises(
            RegistryUnavailable, match=r"503 .*RATCHET_STORAGE .* does not answer: .*AWS_ENDPOINT"
        ):
            reader.artifact(run.info.run_id, "folder/note.txt")
        with pytest.raises(RegistryUnavailable, match="`ratchet doctor`"):
            kept.run("third")
        log = (kept.home / "log").read_text()
        assert all(value not in log for name, value in s3.environ.items() if "SECRET" in name)


@pytest.mark.slow
def test_a_shared_folder_that_is_not_mounted_takes_nothing(postgres: str, tmp_path: Path) -> None:
    shared, away = tmp_path / "shared", tmp_path / "away"
    shared.mkdir()
    (tmp_path / "home").mkdir()
    name = f"storage_{uuid.uuid4().hex[:8]}"
    with running_mlflow(postgres, tmp_path / "home", name, RATCHET_STORAGE=f"file://{shared}") as server:
        kept = Kept(server.uri, "", "", None, tmp_path)  # type: ignore[arg-type]
        run = kept.run("here")
        assert [path.read_text() for path in (shared / "mlflow").rglob("note.txt")] == ["here"]
        shared.rename(away)
        with pytest.raises(RegistryUnavailable, match=r"503 .*no such folder; mount it"):
            MlflowRest(server.uri).artifact(run.info.run_id, "folder/note.txt")
        with pytest.raises(RegistryUnavailable, match="503, as it cannot use its storage now"):
            kept.run("there")
        assert not shared.exists()
        away.rename(shared)
        assert MlflowRest(server.uri).artifact(run.info.run_id, "folder/note.txt") == b"here"
    assert json.dumps(sorted(path.name for path in (tmp_path / "home").iterdir())) == '["log"]'
