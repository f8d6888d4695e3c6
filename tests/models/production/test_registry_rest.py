"""The calls of servers, against a real MLflow server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from configs.settings import CHECKOUT
from models.errors import ArtifactDamaged, ArtifactError, RegistryUnavailable, UnknownVersion
from models.production import registry_rest as mlflow_rest
from models.production.registry import Registry
from models.production.registry_rest import MlflowRest, open_registry
from models.versions.artifact import MANIFEST, read_manifest
from models.versions.cache import cached_artifact
from tests.contract.cases import Case
from tests.disks import small_disk
from tests.mlflow_servers import Server

PUBLISH = """
import sys
from pathlib import Path
import mlflow
from models.pyfunc import log_model
from models.production.registry import Registry
uri, artifact, name = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_experiment(name)
registry = Registry(uri)
for gate in ("first", "second"):
    with mlflow.start_run() as run:
        mlflow.log_metric("accuracy", 0.5)
        mlflow.log_metric("accuracy", 0.75)
        mlflow.log_text(f"<html>{gate}</html>", "drift.html")
        model = log_model(Path(artifact))
    version = registry.register(name, model, run.info.run_id, {"gate": gate})
    registry.set_alias(name, "production", version)
"""


@pytest.fixture(scope="module")
def server(mlflow_server: Server, trees: Case) -> Server:
    """MLflow with two versions of the model `small`, the second in production."""
    publish(mlflow_server.uri, trees, "small")
    return mlflow_server


def publish(uri: str, trees: Case, name: str) -> None:
    """Two versions of a model, the second in production."""
    command = [sys.executable, "-c", PUBLISH, uri, str(trees.artifact), name]
    subprocess.run(command, cwd=CHECKOUT, check=True, timeout=120, capture_output=True)


def test_it_reads_what_the_client_library_reads(server: Server) -> None:
    rest, library = MlflowRest(server.uri), Registry(server.uri)
    assert rest.alias_version("small", "production") == 2
    assert rest.alias_version("small", "original") is None
    assert rest.alias_version("nothing", "production") is None
    assert rest.version("small", 2) == library.version("small", 2)
    assert rest.version("small", 1).tags["gate"] == "first"
    assert rest.metrics(rest.version("small", 2).run_id) == {"accuracy": 0.75}
    with pytest.raises(UnknownVersion):
        rest.version("small", 3)


def test_it_lists_versions_and_runs_as_the_client_library_does(server: Server) -> None:
    rest, library = MlflowRest(server.uri), Registry(server.uri)
    assert rest.versions("small") == library.versions("small")
    assert [version.version for version in rest.versions("small")] == [1, 2]
    assert rest.versions("nothing") == []
    run_id = rest.version("small", 2).run_id
    found = rest.run(run_id)
    assert found == library.run(run_id)
    assert found is not None and found.experiment_id.isdigit()
    unknown = "0" * 32
    assert (rest.run(unknown), library.run(unknown), rest.metrics(unknown)) == (None, None, {})


def test_it_knows_whether_an_experiment_has_more_runs_than_so_many(server: Server) -> None:
    assert [mlflow_rest.has_more_runs(server.uri, "small", keep) for keep in (0, 1, 2, 3)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not mlflow_rest.has_more_runs(server.uri, "of-nobody", 0)
    assert mlflow_rest.has_more_runs("sqlite:///any.db", "small", 100), "its library can tell"


def test_versions_come_in_pages(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_rest, "_PAGE", 1)
    assert [version.version for version in MlflowRest(server.uri).versions("small")] == [1, 2]


def test_it_fetches_a_file_of_a_run_as_the_client_library_does(server: Server) -> None:
    rest, library = MlflowRest(server.uri), Registry(server.uri)
    run_id = rest.version("small", 1).run_id
    assert (
        rest.artifact(run_id, "drift.html") == library.artifact(run_id, "drift.html") == b"<html>first</html>"
    )
    for run, path in ((run_id, "nothing.html"), ("0" * 32, "drift.html")):
        assert (rest.artifact(run, path), library.artifact(run, path)) == (None, None)


def test_it_moves_aliases_as_the_client_library_does(server: Server) -> None:
    rest, library = MlflowRest(server.uri), Registry(server.uri)
    assert rest.aliases("small") == library.aliases("small") == {"production": 2}
    assert rest.aliases("nothing") == {}
    rest.set_alias("small", "previous", 1)
    assert library.aliases("small") == {"production": 2, "previous": 1}
    rest.set_alias("small", "previous", 2)
    assert library.alias_version("small", "previous") == 2
    rest.delete_alias("small", "previous")
    assert library.aliases("small") == {"production": 2}
    with pytest.raises(UnknownVersion):
        rest.set_alias("small", "previous", 9)


def test_a_version_is_deleted_with_its_artifacts_and_no_other(
    server: Server, trees: Case, tmp_path: Path
) -> None:
    publish(server.uri, trees, "old")
    registry = Registry(server.uri)
    first, second = registry.versions("old")
    assert (first, second) == (registry.version("old", 1), registry.version("old", 2))
    assert (first.aliases, second.aliases) == ((), ("production",))
    stored = artifacts_of(server.uri, "old", 1)
    assert list_artifacts(server.uri, stored) != []
    registry.delete(first)
    assert registry.versions("old") == [second]
    assert list_artifacts(server.uri, stored) == []
    with pytest.raises(UnknownVersion):
        registry.version("old", 1)
    assert read_manifest(MlflowRest(server.uri).download("old", 2, tmp_path)) == trees.manifest
    assert registry.versions("nothing") == []


def artifacts_of(uri: str, name: str, version: int) -> str:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    return str(client.get_model_version_download_uri(name, str(version)))


def list_artifacts(uri: str, stored: str) -> list[Any]:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return list(get_artifact_repository(stored, tracking_uri=uri).list_artifacts())


def test_an_artifact_is_fetched_whole_and_once(server: Server, trees: Case, tmp_path: Path) -> None:
    rest = MlflowRest(server.uri)
    folder = rest.download("small", 1, tmp_path)
    assert read_manifest(folder) == trees.manifest
    assert [path.name for path in (tmp_path / "small").iterdir()] == ["1"]
    away = MlflowRest("http://127.0.0.1:1")
    assert away.download("small", 1, tmp_path) == folder


def test_a_copy_damaged_on_disk_is_fetched_again(server: Server, trees: Case, tmp_path: Path) -> None:
    rest = MlflowRest(server.uri)
    (rest.download("small", 1, tmp_path) / "encoder.json").write_text("{}")
    assert read_manifest(rest.download("small", 1, tmp_path)) == trees.manifest


def test_a_version_that_is_not_there_is_no_artifact(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UnknownVersion):
        MlflowRest(server.uri).download("small", 9, tmp_path)
    assert not cached_artifact(tmp_path, "small", 9).exists()


def test_a_manifest_may_not_lead_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*given: Any) -> None:
        name, target = given[-2:]
        assert name == MANIFEST, "nothing outside is fetched"
        target.parent.mkdir(parents=True)
        target.write_text('{"files": {"../../outside": "x"}}')

    monkeypatch.setattr(MlflowRest, "_fetch", fetch)
    with pytest.raises(ArtifactError, match="lies outside"):
        MlflowRest("http://127.0.0.1:1").download("small", 1, tmp_path)


def test_a_server_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    rest = MlflowRest("http://127.0.0.1:1")
    for call in (
        lambda: rest.alias_version("small", "production"),
        lambda: rest.version("small", 1),
        lambda: rest.metrics("run"),
        lambda: rest.versions("small"),
        lambda: rest.artifact("run", "drift.html"),
        lambda: rest.aliases("small"),
        lambda: rest.set_alias("small", "production", 1),
        lambda: rest.delete_alias("small", "production"),
        lambda: rest.download("small", 1, tmp_path),
    ):
        with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:1"):
            call()


def test_the_client_library_reads_what_is_no_http_address(tmp_path: Path) -> None:
    assert isinstance(open_registry(f"sqlite:///{tmp_path}/mlflow.db"), Registry)
    assert isinstance(open_registry("http://127.0.0.1:5000"), MlflowRest)


STRANGE = {
    "a proxy's page": (200, b"<html>Sign in</html>", "another server, or a proxy"),
    "other JSON": (200, b'{"detail": "hello"}', "not one of MLflow's registry"),
    "a list": (200, b"[]", "not one of MLflow's registry"),
    "nothing": (200, b"", "another server, or a proxy"),
    "a gateway's error": (502, b"<html>Bad gateway</html>", "502"),
    "MLflow's own": (500, b'{"error_code": "INTERNAL_ERROR"}', "500"),
}


@pytest.mark.parametrize(("status", "body", "words"), STRANGE.values(), ids=STRANGE)
def test_what_mlflow_never_answers_counts_as_its_being_away(status: int, body: bytes, words: str) -> None:
    class Strange(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Strange)
    Thread(target=server.serve_forever, daemon=True).start()
    rest = MlflowRest(f"http://127.0.0.1:{server.server_port}")
    calls = (
        lambda: rest.alias_version("small", "production"),
        lambda: rest.aliases("small"),
        lambda: rest.version("small", 1),
        lambda: rest.versions("small"),
        lambda: rest.run("x"),
    )
    try:
        for call in calls:
            with pytest.raises(RegistryUnavailable, match=words):
                call()
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def answering(status: int, announced: int, body: bytes) -> Iterator[MlflowRest]:
    """A server that knows each version, and answers so where a file of one is asked for."""

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            about = b'{"model_version": {"name": "small", "version": "1", "creation_timestamp": "0"}}'
            is_file = "get-artifact" in self.path
            self.send_response(status if is_file else 200)
            self.send_header("content-length", str(announced if is_file else len(about)))
            self.end_headers()
            self.wfile.write(body if is_file else about)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Files)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield MlflowRest(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def test_a_file_that_is_cut_off_on_its_way_is_no_damage_at_its_source(tmp_path: Path) -> None:
    with answering(200, 100, b'{"files": {}}') as rest, pytest.raises(RegistryUnavailable, match="more exp"):
        rest.download("small", 1, tmp_path)


@pytest.mark.parametrize("status", [401, 403, 429])
def test_an_answer_that_tells_nothing_of_a_file_is_no_damage_of_it(status: int, tmp_path: Path) -> None:
    with answering(status, 2, b"no") as rest, pytest.raises(RegistryUnavailable, match=str(status)):
        rest.download("small", 1, tmp_path)


def test_a_file_that_the_registry_has_not_is_damage(tmp_path: Path) -> None:
    with answering(404, 2, b"no") as rest, pytest.raises(ArtifactDamaged, match="404 for manifest"):
        rest.download("small", 1, tmp_path)


def test_a_disk_of_this_machine_that_is_full_is_told_as_that(tmp_path: Path) -> None:
    with small_disk(tmp_path / "cache", 1) as cache, answering(200, 2_000_000, b" " * 2_000_000) as rest:
        (cache / "small").mkdir()
        with pytest.raises(OSError, match="No space left on device"):
            rest.download("small", 1, cache)
