"""`ratchet storage`: looked at, and a home copied there and back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from tests.ports import closed_port

pytestmark = pytest.mark.usefixtures("own_environment")


@pytest.fixture(autouse=True)
def home(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a model, and a bucket that its storage is to be."""
    monkeypatch.setenv("RATCHET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RATCHET_STORAGE", bucket)
    monkeypatch.setenv("COLUMNS", "300")
    (tmp_path / "home" / "mlflow").mkdir(parents=True)
    (tmp_path / "home" / "mlflow" / "model").write_bytes(b"model")
    return tmp_path / "home"


def storage(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["storage", *arguments])


def test_a_home_is_copied_once_and_counted(bucket: str) -> None:
    assert f"1 objects, 0.0 MB, copied to {bucket}" in storage("copy").stdout
    again = json.loads(storage("copy", "--json").stdout)
    assert (again["to"], again["objects"], again["before"]) == (bucket, 0, 1)
    seen = json.loads(storage("check", "--json").stdout)
    assert (seen["url"], seen["shared"], seen["has"]["mlflow"]) == (bucket, True, {"objects": 1, "bytes": 5})
    assert f"{bucket}: writes, lists, reads and deletes" in storage("check").stdout


def test_it_is_copied_from_anywhere_to_anywhere(bucket: str, home: Path, tmp_path: Path) -> None:
    assert storage("copy").exit_code == 0
    (tmp_path / "folder").mkdir()
    moved = storage("copy", "--from", bucket, "--to", f"file://{tmp_path}/folder")
    assert moved.exit_code == 0, moved.output
    assert (tmp_path / "folder" / "mlflow" / "model").read_bytes() == b"model"
    (home / "mlflow" / "model").unlink()
    assert storage("copy", "--from", bucket, "--to", f"file://{home}").exit_code == 0
    assert (home / "mlflow" / "model").read_bytes() == b"model"


def test_what_cannot_be_is_refused_by_name(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same = storage("copy", "--from", bucket)
    assert (same.exit_code, "RATCHET_STORAGE has value" in same.output) == (2, True)
    wrong = storage("copy", "--to", "s3://key:secret@bucket")
    assert (wrong.exit_code, "secret" in wrong.output) == (2, False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
    for command in (("check",), ("copy",)):
        away = storage(*command)
        assert away.exit_code == 1
        assert "does not answer" in away.output
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in away.output
