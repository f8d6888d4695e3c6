"""Pictures by what a network sees: standardised by training rows, the same wherever a version is taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.errors import ConfigError
from configs.loading import check_use_case
from configs.schema import UseCase
from features.encoders.carried_files import CarriesFiles
from features.encoders.contract import encoder_of, fit_encoder
from features.encoders.image import ImageEncoder
from features.errors import PictureModelDamaged, PictureModelMissing
from tests.features.backbone.tiny import PLACES, write_network

RANDOM = np.random.default_rng(0)
COLUMNS = {"photo": RANDOM.integers(0, 256, (30, 24, 24, 3), dtype=np.uint8)}
OTHERS = {"photo": RANDOM.integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)}


def raw(model: str, estimator: str = "logistic", **features: Any) -> dict[str, Any]:
    return {
        "name": "photos",
        "title": "Photographs",
        "kind": "image",
        "record": {"fields": [{"name": "photo", "type": "image", "shape": [24, 24, 3], "resize": "fit"}]},
        "target": {"task": "multiclass", "classes": ["red", "blue"]},
        "features": {"image": {"backbone": {"model": model}}, **features},
        "model": {"estimator": estimator},
    }


def use_case(folder: Path) -> UseCase:
    return check_use_case(raw("./net"), source=write_network(folder / "net").parent / "photos.yaml")


def test_vectors_are_standardised_by_the_training_rows(tmp_path: Path) -> None:
    encoder = fit_encoder(use_case(tmp_path), COLUMNS)
    vectors = encoder.encode(COLUMNS)
    assert (vectors.shape, encoder.input_shape) == ((30, PLACES), (PLACES,))
    assert len(encoder.feature_names) == PLACES
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(vectors.std(axis=0), 1, atol=1e-3)
    assert (encoder.encode(OTHERS)[1] == encoder.encode({"photo": OTHERS["photo"][1:2]})[0]).all()
    assert set(encoder.summarise(COLUMNS)) == set(ImageEncoder("photo", (24, 24, 3)).summarise(COLUMNS))


def test_a_version_carries_the_network(tmp_path: Path) -> None:
    encoder = fit_encoder(use_case(tmp_path), COLUMNS)
    assert isinstance(encoder, CarriesFiles)
    state = json.loads(json.dumps(encoder.to_state()))
    version = tmp_path / "version"
    encoder.write_files(version)
    (tmp_path / "net" / "model.onnx").unlink()
    kind: Any = encoder_of("image", state)
    again = kind.from_files(state, version)
    assert (again.encode(OTHERS) == encoder.encode(OTHERS)).all()
    with pytest.raises(PictureModelMissing):
        kind.from_state(state)
    write_network(version / "backbone", last=True)
    with pytest.raises(PictureModelDamaged, match="is not the network that was learned with"):
        kind.from_files(state, version)
    assert encoder_of("image", {"field": "photo", "shape": [24, 24, 3]}) is ImageEncoder


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"model": {"estimator": "keras_resnet"}},
            "learns from pixels, .* use logistic, logistic_batches or sklearn",
        ),
        (
            {"features": {"image": {"backbone": {"model": "nothing"}}}},
            "allowed: efficientnet_lite0, or a",
        ),
        (
            {"training": {"challengers": [{"name": "net", "model": {"estimator": "keras_cnn"}}]}},
            r"training\.challengers\[0\]\.model\.estimator keras_cnn learns from pixels",
        ),
        ({"kind": "text", "record": {"fields": [{"name": "t", "type": "text"}]}}, "allowed: kind image"),
    ],
)
def test_what_cannot_work_is_refused_on_reading(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_use_case({**raw("efficientnet_lite0"), **changed}, source=Path("photos.yaml"))


def test_a_challenger_may_learn_from_pixels_beside(tmp_path: Path) -> None:
    pixels = {"name": "pixels", "model": {"estimator": "keras_resnet"}, "features": {"image": {}}}
    asked = {**raw("efficientnet_lite0"), "training": {"challengers": [{"name": "sees"}, pixels]}}
    read = check_use_case(asked, source=tmp_path / "photos.yaml")
    assert read.for_challenger(read.training.challengers[1]).features.image.backbone is None
