"""Versions that know pictures by what a network sees in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.encoders.backbone import BACKBONE
from features.pretrained.keeping import vectors_kept
from features.records.contract import Columns, take
from models.errors import ArtifactError
from models.versions.predictor import Predictor
from tests.contract.cases import Case, fit, make_case
from tests.contract.pictures_by_network import BY_NETWORK, with_tiny_network
from tests.features.backbone.tiny import write_network


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("network")
    return make_case(with_tiny_network(BY_NETWORK, folder / "network"), folder)


def distinct(*columns: Columns) -> int:
    return len(np.unique(np.concatenate([one["photo"] for one in columns]), axis=0))


def test_a_retrain_computes_vectors_of_new_pictures_only(case: Case, tmp_path: Path) -> None:
    older = take(case.training, slice(0, 100))
    with vectors_kept(tmp_path) as vectors:
        fit(case.use_case, older, case.labels[:100])
        assert vectors.kept == distinct(older)
        fit(case.use_case, older, case.labels[:100])  # another challenger of the same rows
        assert vectors.kept == distinct(older)
    with vectors_kept(tmp_path) as vectors:  # the next retrain
        fit(case.use_case, case.training, case.labels)
        assert vectors.kept == distinct(older, case.training) - distinct(older)


def test_a_version_answers_where_the_network_was_not_installed(case: Case, tmp_path: Path) -> None:
    before = case.predictor.predict(case.held_out).probabilities
    network = Path(str(case.use_case.features.image.backbone.model))  # type: ignore[union-attr]
    network.rename(tmp_path / "gone")
    try:
        again = Predictor.load(case.artifact)
        np.testing.assert_array_equal(again.predict(case.held_out).probabilities, before)
    finally:
        (tmp_path / "gone").rename(network)


def test_a_version_refuses_a_network_that_is_not_its_own(case: Case, tmp_path: Path) -> None:
    copied = tmp_path / "version"
    for path in case.artifact.rglob("*"):
        if path.is_file():
            target = copied / path.relative_to(case.artifact)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert f"{BACKBONE}/model.onnx" in Predictor.load(copied).manifest.files
    write_network(copied / BACKBONE, last=True)
    with pytest.raises(ArtifactError, match=f"{BACKBONE}/model.onnx was changed"):
        Predictor.load(copied)
