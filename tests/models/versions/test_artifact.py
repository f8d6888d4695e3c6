from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import ArtifactError, ArtifactTooNew
from models.versions.artifact import FORMAT, MANIFEST, read_encoder, read_manifest, read_probe, read_use_case
from models.versions.predictor import Predictor
from tests.contract.cases import Case


def edit_manifest(directory: Path, **changes: object) -> None:
    path = directory / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def test_what_was_written_is_read(trees: Case) -> None:
    manifest = read_manifest(trees.artifact)
    assert manifest == trees.manifest
    assert manifest.runtime == "onnx"
    assert manifest.classes == trees.use_case.target.classes
    assert {"model.onnx", "encoder.json", "probe.json", "use_case.json", "native/model.cbm"} == set(
        manifest.files
    )
    assert read_use_case(trees.artifact) == trees.use_case
    assert read_encoder(trees.artifact, "tabular").to_state() == trees.fitted.encoder.to_state()
    assert len(read_probe(trees.artifact).records) == 16


def test_a_version_without_onnx_says_so(native: Case) -> None:
    assert (native.manifest.runtime, native.manifest.parity) == ("native", None)
    assert "model.onnx" not in native.manifest.files


@pytest.mark.parametrize(
    "name", ["model.onnx", "encoder.json", "use_case.json", "probe.json", "native/model.cbm"]
)
def test_a_changed_file_is_named(copied: Path, name: str) -> None:
    with (copied / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ArtifactError, match=f"file {name} was changed"):
        Predictor.load(copied)


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "model.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"file model\.onnx is missing"):
        read_manifest(copied)


def test_a_directory_without_manifest_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"file manifest\.json is missing"):
        read_manifest(tmp_path)


def test_a_torn_manifest_is_refused(copied: Path) -> None:
    text = (copied / MANIFEST).read_text("utf-8")
    (copied / MANIFEST).write_text(text[: len(text) // 2], "utf-8")
    with pytest.raises(ArtifactError, match=r"manifest\.json cannot be read"):
        read_manifest(copied)


def test_a_newer_format_asks_for_an_update(copied: Path) -> None:
    edit_manifest(copied, format=FORMAT + 1, something_new=True)
    with pytest.raises(
        ArtifactTooNew,
        match=rf"has format {FORMAT + 1}, made by a newer Ratchet; this one reads up to {FORMAT}",
    ):
        read_manifest(copied)


@pytest.mark.parametrize("number", [0, -1, "1", None, True])
def test_a_format_that_never_was_is_refused(copied: Path, number: object) -> None:
    edit_manifest(copied, format=number)
    with pytest.raises(ArtifactError, match=f"allowed: 1 to {FORMAT}"):
        read_manifest(copied)


def test_an_unknown_key_is_refused(copied: Path) -> None:
    edit_manifest(copied, something_new=True)
    with pytest.raises(ArtifactError, match="something_new"):
        read_manifest(copied)


def test_a_file_outside_is_refused(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x", "utf-8")
    edit_manifest(copied, files={"../secret": "0" * 64})
    with pytest.raises(ArtifactError, match="lies outside"):
        read_manifest(copied)
