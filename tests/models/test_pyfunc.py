from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from configs.schema import RecordConfig
from configs.settings import CHECKOUT
from features.errors import RecordError
from features.records.contract import RecordContract
from models import code_archive, ratchet_model
from models.code_archive import ARCHIVE, ROOMS, write_code
from models.production.registry import Registry
from models.pyfunc import PyfuncModel, example_frame, log_model, requirements, to_table
from models.versions.artifact import Lineage, read_manifest
from models.versions.writing import write_artifact
from tests.contract.cases import AGES, BLEND, NOW, WEIGHTS, Case, fit, make_case
from tests.contract.texts_by_meaning import BY_MEANING, with_tiny_model
from tests.features.meaning.tiny import HAS_TOKENIZERS, MISSING

STRANGER = """
import importlib.util, json, sys
checkout, store, uri, frame = sys.argv[1:]
# Whoever loads the model has not installed us.
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
sys.path = [entry for entry in sys.path if entry not in ("", checkout)]
assert importlib.util.find_spec("models") is None, importlib.util.find_spec("models")
import mlflow, pandas
mlflow.set_tracking_uri(store)
model = mlflow.pyfunc.load_model(uri)
answers = model.predict(pandas.read_csv(frame))
import models.pyfunc
print(json.dumps({
    "from": models.pyfunc.__file__,
    "columns": list(answers.columns),
    "labels": answers["label"].tolist(),
    "scores": answers.iloc[:, 2:].to_numpy().tolist(),
    "heavy": [name for name in ("tensorflow", "catboost", "sklearn") if name in sys.modules],
}))
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    before = mlflow.get_tracking_uri()
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("pyfunc", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment("pyfunc")
    yield uri
    mlflow.set_tracking_uri(before)


def test_a_stranger_loads_it_with_plain_mlflow(trees: Case, store: str, tmp_path: Path) -> None:
    with mlflow.start_run():
        uri = log_model(trees.artifact)
    contract = trees.predictor.contract
    frame = example_frame(contract.to_json(trees.held_out), contract)
    frame.assign(extra="ignored").to_csv(tmp_path / "rows.csv", index=False)
    shown = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, str(CHECKOUT), store, uri, str(tmp_path / "rows.csv")],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr[-3000:]
    told = json.loads(shown.stdout.splitlines()[-1])
    assert Path(told["from"]).is_relative_to(tmp_path)
    assert told["heavy"] == []
    assert told["columns"][:2] == ["label", "score"]
    assert told["labels"] == trees.predictor.predict(trees.held_out).labels
    np.testing.assert_allclose(told["scores"], trees.answer(trees.held_out), atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TOKENIZERS, reason=MISSING)
def test_texts_by_meaning_need_nothing_but_the_tokenizers_besides(store: str, tmp_path: Path) -> None:
    case = make_case(with_tiny_model(BY_MEANING, tmp_path / "transformer"), tmp_path)
    (tmp_path / "transformer").rename(tmp_path / "gone")
    with mlflow.start_run():
        uri = log_model(case.artifact)
    assert any(line.startswith("tokenizers==") for line in requirements(case.manifest))
    contract = case.predictor.contract
    example_frame(contract.to_json(case.held_out), contract).to_csv(tmp_path / "rows.csv", index=False)
    shown = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, str(CHECKOUT), store, uri, str(tmp_path / "rows.csv")],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr[-3000:]
    told = json.loads(shown.stdout.splitlines()[-1])
    assert told["heavy"] == []
    np.testing.assert_allclose(told["scores"], case.answer(case.held_out), atol=1e-6)


@pytest.mark.usefixtures("store")
def test_its_code_is_two_files_and_the_same_each_time(trees: Case, tmp_path: Path) -> None:
    with mlflow.start_run():
        uri = log_model(trees.artifact)
    code = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path / "model"))) / "code"
    assert sorted(path.name for path in code.rglob("*")) == ["ratchet.zip", "ratchet_model.py"]
    loader, (_, archive) = write_code(tmp_path)
    assert (loader, Path(archive).read_bytes()) == ("ratchet_model", (code / "ratchet.zip").read_bytes())
    assert ratchet_model.ARCHIVE == ARCHIVE
    names = zipfile.ZipFile(archive).namelist()
    assert {name.partition("/")[0] for name in names} == set(ROOMS)
    assert all(name.endswith(".py") for name in names)


def test_code_that_changed_on_disk_is_packed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "models" / "one.py"
    module.parent.mkdir()
    module.write_text("ANSWER = 1\n", encoding="utf-8")
    monkeypatch.setattr(code_archive, "CHECKOUT", tmp_path)
    packed = code_archive.archived_code()
    assert code_archive.archived_code() is packed
    module.write_text("ANSWER = 10\n", encoding="utf-8")
    with zipfile.ZipFile(io.BytesIO(code_archive.archived_code())) as archive:
        assert archive.read("models/one.py") == b"ANSWER = 10\n"


def test_the_artifact_lies_where_the_registry_looks(trees: Case, store: str, tmp_path: Path) -> None:
    with mlflow.start_run() as run:
        uri = log_model(trees.artifact)
    registry = Registry(store)
    number = registry.register("small", uri, run.info.run_id, {})
    assert read_manifest(registry.download("small", number, tmp_path / "cache")) == trees.manifest
    described = mlflow.models.get_model_info(uri)
    assert [spec.required for spec in described.signature.inputs.inputs][:2] == [False, True]
    assert described.signature.outputs.input_names()[:2] == ["label", "score"]
    assert described.saved_input_example_info is not None


@pytest.mark.parametrize("runtime", ["onnx", "native"])
def test_a_blend_comes_back_from_the_registry(
    runtime: str, trees: Case, native: Case, store: str, tmp_path: Path
) -> None:
    case = trees if runtime == "onnx" else native
    fitted = fit(case.use_case, case.training, case.labels, challenger=BLEND, ages=AGES, weights=WEIGHTS)
    artifact = tmp_path / "blend"
    manifest = write_artifact(
        artifact, fitted, case.use_case, case.held_out, lineage=Lineage(), created_at=NOW
    )
    assert manifest.runtime == runtime
    with mlflow.start_run() as run:
        uri = log_model(artifact)
    registry = Registry(store)
    number = registry.register("small", uri, run.info.run_id, {})
    downloaded = registry.download("small", number, tmp_path / "cache")
    assert read_manifest(downloaded) == manifest
    assert (downloaded / "native" / "newest_2").is_dir()
    contract = case.predictor.contract
    answers = mlflow.pyfunc.load_model(uri).predict(example_frame(contract.to_json(case.held_out), contract))
    expected = fitted.estimator.predict_proba(fitted.encoder.encode(case.held_out))
    np.testing.assert_allclose(answers.iloc[:, 2:].to_numpy(), expected, atol=1e-4)


def test_a_bad_row_is_named(trees: Case) -> None:
    contract = trees.predictor.contract
    frame = example_frame(contract.to_json(trees.held_out)[:3], contract)
    frame["tenure"] = frame["tenure"].astype(object)
    frame.loc[1, "tenure"] = "soon"
    with pytest.raises(RecordError, match="tenure"):
        PyfuncModel(trees.predictor).predict(frame)


def test_columns_of_every_pandas_type_are_understood(trees: Case) -> None:
    contract = trees.predictor.contract
    plain = example_frame(contract.to_json(trees.held_out), contract)
    model = PyfuncModel(trees.predictor)
    expected = model.predict(plain)
    typed = plain.convert_dtypes()
    typed["payment_method"] = typed["payment_method"].astype("category")
    typed["monthly_charges"] = typed["monthly_charges"].astype("float32").astype("float64")
    pd.testing.assert_series_equal(model.predict(typed)["label"], expected["label"])


def test_requirements_are_pinned_and_no_more_than_needed(trees: Case, native: Case) -> None:
    served = requirements(trees.manifest)
    assert all("==" in line for line in served)
    assert not any(line.startswith("tokenizers") for line in served)
    assert not any(line.startswith(("tensorflow", "catboost", "scikit-learn")) for line in served)
    assert {line.split("==")[0] for line in requirements(native.manifest)} >= {"scikit-learn", "skops"}


@pytest.mark.parametrize(
    ("estimator", "params", "names"),
    [
        ("sklearn", {"class": "sklearn.svm.SVC"}, {"scikit-learn", "scipy", "skops"}),
        ("sklearn", {"steps": ["imblearn.over_sampling.SMOTE"]}, {"imbalanced-learn", "scikit-learn"}),
        ("pytest:Class", {}, {"pytest"}),
        ("nopackage.models:Net", {}, set()),
    ],
)
def test_packages_that_a_configuration_names_are_required(
    estimator: str, params: dict[str, Any], names: set[str], native: Case
) -> None:
    made = native.manifest.model_copy(update={"estimator": estimator, "params": params})
    asked = {line.split("==")[0] for line in requirements(made)}
    assert asked >= names
    graph = made.model_copy(update={"runtime": "onnx"})
    assert not names & {line.split("==")[0] for line in requirements(graph)}


def test_an_image_may_be_an_array_nested_or_flat_lists_or_a_png() -> None:
    record = RecordConfig.model_validate({"fields": [{"name": "image", "type": "image", "shape": [4, 3]}]})
    contract = RecordContract(record)
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    forms: list[Any] = [
        list(pixels),
        pixels.tolist(),
        pixels.reshape(2, 12).tolist(),
        list(pixels.reshape(2, 12).astype(np.float64)),
        [png(image) for image in pixels],
    ]
    for form in forms:
        read = contract.check_table(*to_table(pd.DataFrame({"image": form}))).all_or_raise()
        np.testing.assert_array_equal(read["image"], pixels)


def test_a_stranger_holds_pictures_in_colour_in_many_forms() -> None:
    record = RecordConfig.model_validate(
        {"fields": [{"name": "image", "type": "image", "shape": [4, 3, 3], "resize": "fit"}]}
    )
    contract = RecordContract(record)
    pixels = np.arange(72, dtype=np.uint8).reshape(2, 4, 3, 3) * 3
    files = [png(image) for image in pixels]
    for form in (list(pixels), pixels.tolist(), files, [{"bytes": file, "path": "x"} for file in files]):
        read = contract.check_table(*to_table(pd.DataFrame({"image": form}))).all_or_raise()
        np.testing.assert_array_equal(read["image"], pixels)
    documents = contract.to_json({"image": pixels})
    again = contract.check_table(*to_table(example_frame(documents, contract))).all_or_raise()
    assert contract.to_json(again) == documents


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def test_the_example_of_images_lies_in_the_range_that_is_sent() -> None:
    field = {"name": "image", "type": "image", "shape": [2, 2], "range": [0, 16]}
    contract = RecordContract(RecordConfig.model_validate({"fields": [field]}))
    sent = [{"image": [[0, 16], [3, 8]]}, {"image": [[16, 1], [0, 0]]}]
    documents = contract.to_json(contract.check_records(sent).all_or_raise())
    frame = example_frame(documents, contract)
    assert np.max(frame["image"][0]) == 16
    again = contract.check_table(*to_table(frame)).all_or_raise()
    assert contract.to_json(again) == documents
