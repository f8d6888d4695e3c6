"""What `ratchet up` asks of a storage before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.addresses.storage_url import noted_storage
from configs.settings import Settings, read_settings
from flows.doctor import Finding, examine
from flows.servers.sharing import ensure_storage
from store.errors import StorageBehind, StorageRefused, StorageUnavailable
from store.objects.opening import open_storage
from tests.ports import closed_port


def settings_of(home: Path, url: str = "") -> Settings:
    home.mkdir(exist_ok=True)
    return read_settings({"RATCHET_HOME": str(home), "RATCHET_STORAGE": url})


def ensure(settings: Settings) -> list[str]:
    told: list[str] = []
    ensure_storage(settings, lambda name, what: told.append(f"{name}: {what}"))
    return told


def keep_artifact(home: Path) -> None:
    (home / "mlflow" / "1").mkdir(parents=True)
    (home / "mlflow" / "1" / "model").write_bytes(b"model")


def test_a_home_without_storage_is_as_it_was(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home")
    keep_artifact(settings.home)
    assert ensure(settings) == []
    assert sorted(path.name for path in settings.home.iterdir()) == ["mlflow"]


def test_a_home_whose_artifacts_are_elsewhere_does_not_start(bucket: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    local, shared = settings_of(home), settings_of(home, bucket)
    keep_artifact(home)
    ensure(local)
    with pytest.raises(
        StorageBehind, match=f"kept its artifacts in file://.*{bucket} has none.*storage copy`"
    ):
        ensure(shared)
    open_storage(shared).put("mlflow/1/model", b"model")
    ensure(shared)
    assert noted_storage(home) == bucket
    (home / "mlflow" / "1" / "model").unlink()
    with pytest.raises(StorageBehind, match=f"ratchet storage copy --from {bucket} --to file://"):
        ensure(local)


def test_a_second_home_takes_up_what_is_there(bucket: str, tmp_path: Path) -> None:
    open_storage(settings_of(tmp_path / "first", bucket)).put("mlflow/1/model", b"model")
    second = settings_of(tmp_path / "second", bucket)
    assert ensure(second) == []
    assert noted_storage(second.home) == bucket


def test_a_storage_that_was_used_and_is_away_is_told_and_no_more(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, new = settings_of(tmp_path / "used", bucket), settings_of(tmp_path / "new", bucket)
    ensure(used)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
    (told,) = ensure(used)
    assert "does not answer" in told
    with pytest.raises(StorageUnavailable, match="AWS_ENDPOINT_URL"):
        ensure(new)


def test_a_bucket_that_is_gone_is_refused_also_where_it_was_used(
    bucket: str, tmp_path: Path, s3_server: object
) -> None:
    settings = settings_of(tmp_path / "home", bucket)
    ensure(settings)
    s3_server.client().delete_bucket(Bucket=bucket.removeprefix("s3://"))  # type: ignore[attr-defined]
    with pytest.raises(StorageRefused, match="RATCHET_STORAGE has to name one that exists"):
        ensure(settings)


def finding(settings: Settings) -> Finding:
    return next(one for one in examine(settings) if one.what == "storage")


def test_doctor_says_how_the_storage_is(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding(settings_of(tmp_path / "home")) == Finding("storage", True, "the folders of the home")
    well = finding(settings_of(tmp_path / "home", bucket))
    assert (well.ok, well.found) == (True, f"{bucket}: writes, lists, reads and deletes")
    assert finding(settings_of(tmp_path / "home", f"file://{tmp_path}/none")).found.endswith(
        "make it, or mount it"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "minio")
    ill = finding(settings_of(tmp_path / "home", bucket))
    assert (ill.ok, "AWS_ENDPOINT_URL has value 'minio'" in ill.found) == (False, True)


def test_a_shell_that_does_not_say_takes_what_the_home_was_started_with(bucket: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    silent = {"RATCHET_HOME": str(home)}
    assert read_settings(silent).storage_url is None
    ensure(settings_of(home, bucket))
    assert read_settings(silent).storage_url == bucket
    assert read_settings({**silent, "RATCHET_STORAGE": ""}).storage_url is None
    ensure(settings_of(home, ""))
    assert read_settings(silent).storage_url is None
