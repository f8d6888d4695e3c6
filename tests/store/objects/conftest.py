"""Each storage that there is, empty: a folder, and a bucket on a real server of S3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.objects.contract import Storage
from store.objects.opening import storage_at
from tests.s3_servers import S3Server, running_s3


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an empty bucket, with the variables that lead to it in the environment."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    return s3_server.make_bucket(f"ratchet-{uuid.uuid4().hex[:12]}")


@pytest.fixture(params=["folder", "bucket", "prefix"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        folder = tmp_path / "shared"
        folder.mkdir()
        return storage_at(f"file://{folder}")
    url = request.getfixturevalue("bucket")
    return storage_at(url if request.param == "bucket" else f"{url}/team/ratchet")
