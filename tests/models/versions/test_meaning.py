"""Versions that know texts by their meaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.schema import MeaningFeatures
from features.encoders.text import MEANING
from features.meaning.embedder import GRAPH
from features.pretrained.keeping import vectors_kept
from features.records.contract import Columns, take
from models.errors import ArtifactError, EstimatorFailed
from models.versions.predictor import Predictor
from tests.contract.cases import Case, fit, make_case
from tests.contract.generate import make_columns
from tests.contract.texts_by_meaning import BY_MEANING, with_tiny_model
from tests.features.meaning.tiny import HAS_TOKENIZERS, MISSING, write_tiny_model

pytestmark = pytest.mark.skipif(not HAS_TOKENIZERS, reason=MISSING)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("meaning")
    return make_case(with_tiny_model(BY_MEANING, folder / "transformer"), folder)


def distinct(*columns: Columns) -> int:
    return len({text or "" for one in columns for text in one["text"].tolist()})


def test_a_retrain_computes_vectors_of_new_texts_only(case: Case, tmp_path: Path) -> None:
    older = take(case.training, slice(0, 200))
    with vectors_kept(tmp_path) as vectors:
        first = fit(case.use_case, older, case.labels[:200])
        assert vectors.kept == distinct(older)
        fit(case.use_case, older, case.labels[:200])  # another challenger of the same rows
        case.predictor.predict(case.held_out)
        assert vectors.kept == distinct(older, case.held_out)
    with vectors_kept(tmp_path) as vectors:  # the next retrain
        newer = fit(case.use_case, case.training, case.labels)
        case.predictor.predict(case.held_out)
        assert vectors.kept == distinct(older, case.held_out, case.training) - distinct(older, case.held_out)
    np.testing.assert_array_equal(newer.encoder.encode(case.held_out), case.predictor.encode(case.held_out))
    assert first.encoder.to_state()["meaning"] == newer.encoder.to_state()["meaning"]


def test_a_version_refuses_a_graph_that_is_not_its_own(case: Case, tmp_path: Path) -> None:
    copied = tmp_path / "version"
    copied.mkdir()
    for path in case.artifact.rglob("*"):
        if path.is_file():
            target = copied / path.relative_to(case.artifact)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert f"{MEANING}/{GRAPH}" in Predictor.load(copied).manifest.files
    write_tiny_model(copied / MEANING, seed=5)
    with pytest.raises(ArtifactError, match=f"{MEANING}/{GRAPH} was changed"):
        Predictor.load(copied)
    (copied / MEANING / GRAPH).unlink()
    with pytest.raises(ArtifactError, match=f"{MEANING}/{GRAPH} is missing"):
        Predictor.load(copied)


def test_a_server_without_the_tokenizers_refuses_the_version_by_name(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.meaning.embedder._open", {})
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(ArtifactError, match="package tokenizers is not installed; run: pip install"):
        Predictor.load(case.artifact)


def test_a_fit_without_its_model_says_what_is_missing(case: Case, tmp_path: Path) -> None:
    meaning = MeaningFeatures(model=str(tmp_path / "nowhere"))
    text = case.use_case.features.text.model_copy(update={"meaning": meaning})
    features = case.use_case.features.model_copy(update={"text": text})
    columns, labels = make_columns(case.use_case, 60, seed=1)
    with pytest.raises(EstimatorFailed, match=r"nowhere.model\.onnx cannot be read"):
        fit(case.use_case.model_copy(update={"features": features}), columns, labels)
