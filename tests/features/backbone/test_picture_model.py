"""Networks in folders: how pictures reach them, what is kept, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.backbone.picture_model import copy_model, open_picture_model
from features.errors import PictureModelDamaged
from features.pretrained.keeping import vectors_kept
from tests.features.backbone.tiny import PLACES, write_network

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("size", [None, 40])
def test_a_picture_has_the_same_vector_alone_and_among_others(
    tmp_path: Path, last: bool, size: int | None
) -> None:
    model = open_picture_model(write_network(tmp_path / "net", size=size, last=last)).model
    together = model.embed(IMAGES, 48)
    assert together.shape == (6, PLACES)
    assert len(np.unique(together, axis=0)) == 6
    for place in range(6):
        assert (model.embed(IMAGES[place : place + 1], 48)[0] == together[place]).all()


def test_the_order_of_channels_follows_from_the_graph(tmp_path: Path) -> None:
    first = open_picture_model(write_network(tmp_path / "first")).model.embed(IMAGES, 32)
    last = open_picture_model(write_network(tmp_path / "last", last=True)).model.embed(IMAGES, 32)
    np.testing.assert_allclose(first, last, rtol=1e-5)


def test_grey_pictures_get_three_equal_channels(tmp_path: Path) -> None:
    model = open_picture_model(write_network(tmp_path / "net")).model
    grey = IMAGES[..., 0]
    assert (model.embed(grey, 32) == model.embed(np.repeat(grey[..., np.newaxis], 3, axis=3), 32)).all()


def test_levels_are_scaled_as_the_file_beside_it_says(tmp_path: Path) -> None:
    mean, deviation = [0.5, 0.4, 0.3], [0.2, 0.25, 0.5]
    told: dict[str, Any] = {"image_mean": mean, "image_std": deviation, "size": {"height": 32, "width": 32}}
    preparing = open_picture_model(write_network(tmp_path / "net", told=told)).model.preparing
    prepared = preparing.prepare(IMAGES[0], 64)
    assert prepared.shape == (1, 3, 32, 32)
    expected = (IMAGES[0] / 255 - np.array(mean)) / np.array(deviation)
    np.testing.assert_allclose(prepared[0].transpose(1, 2, 0), expected, rtol=1e-5, atol=1e-6)


def test_vectors_are_kept_while_a_model_learns(tmp_path: Path) -> None:
    model = open_picture_model(write_network(tmp_path / "net")).model
    plain = model.embed(IMAGES, 32)
    with vectors_kept(tmp_path / "home") as kept:
        assert (model.embed(np.concatenate([IMAGES, IMAGES]), 32) == np.concatenate([plain, plain])).all()
        assert (kept.kept, kept.found) == (6, 0)
        assert (model.embed(IMAGES, 32) == plain).all()
        assert (kept.kept, kept.found) == (6, 6)
        model.embed(IMAGES, 64)
        assert kept.kept == 12


def test_a_copy_is_the_same_network_and_a_change_is_noticed(tmp_path: Path) -> None:
    opened = open_picture_model(write_network(tmp_path / "net", told={"size": 32}))
    copy_model(opened, tmp_path / "copy")
    assert open_picture_model(tmp_path / "copy", opened.model.digest).model is opened.model
    (tmp_path / "copy" / "preprocessor_config.json").write_text('{"size": 64}')
    with pytest.raises(PictureModelDamaged, match="is not the network that was learned with"):
        open_picture_model(tmp_path / "copy", opened.model.digest)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.onnx", b"no graph", "cannot be loaded"),
        ("preprocessor_config.json", b"{", "cannot be read"),
        ("preprocessor_config.json", b'{"image_mean": [1, 2], "image_std": [1, 1]}', "2 numbers"),
    ],
)
def test_what_is_no_network_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    folder = write_network(tmp_path / "net")
    (folder / name).write_bytes(content)
    with pytest.raises(PictureModelDamaged, match=words) as caught:
        open_picture_model(folder)
    assert name in str(caught.value)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureModelDamaged, match=r"model\.onnx cannot be read"):
        open_picture_model(tmp_path)
