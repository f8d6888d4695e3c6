from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from configs.schema import FeaturesConfig, RecordConfig
from features.encoders.image import CHUNK, ImageEncoder
from features.records.contract import Columns

RECORD = RecordConfig.model_validate({"fields": [{"name": "image", "type": "image", "shape": [6, 8]}]})


@pytest.fixture
def images() -> Columns:
    return {"image": np.random.default_rng(0).integers(0, 256, (5, 6, 8), dtype=np.uint8)}


@pytest.fixture
def encoder(images: Columns) -> ImageEncoder:
    return ImageEncoder.fit(images, RECORD, FeaturesConfig())


def test_pixels_lie_between_0_and_1(encoder: ImageEncoder) -> None:
    ends = np.zeros((1, 6, 8), dtype=np.uint8)
    ends[0, 0, 0] = 255
    encoded = encoder.encode({"image": ends})
    assert encoded.shape == (1, *encoder.input_shape) == (1, 6, 8, 1)
    assert encoded.dtype == np.float32
    assert (encoded.min(), encoded.max()) == (0.0, 1.0)
    assert len(encoder.feature_names) == 48


def test_state_survives_json(encoder: ImageEncoder, images: Columns) -> None:
    again = ImageEncoder.from_state(json.loads(json.dumps(encoder.to_state())))
    np.testing.assert_array_equal(again.encode(images), encoder.encode(images))


def test_every_row_may_be_learned_from(encoder: ImageEncoder, images: Columns) -> None:
    assert encoder.fit_rows(images).tolist() == [True] * 5


def test_summary_says_where_the_ink_is(encoder: ImageEncoder) -> None:
    dot = np.zeros((3, 6, 8), dtype=np.uint8)
    dot[1, 5, 7] = 255
    dot[2] = 255
    table = encoder.summarise({"image": dot})
    blank, corner, full = (table.iloc[row] for row in range(3))
    assert (blank["ink"], blank["centre_x"], blank["spread_x"]) == (0.0, 0.5, 0.0)
    assert corner["ink"] == pytest.approx(1 / 48)
    assert (corner["centre_x"], corner["centre_y"]) == (pytest.approx(7.5 / 8), pytest.approx(5.5 / 6))
    assert corner["edges"] > 0
    assert (blank["faint"], corner["faint"], full["faint"]) == (0.0, 0.0, 0.0)
    assert (full["ink"], full["contrast"], full["coverage"], full["edges"]) == (1.0, 0.0, 1.0, 0.0)
    assert full["spread_x"] == pytest.approx(np.std((np.arange(8) + 0.5) / 8))


def test_summary_has_one_row_an_image_however_many(encoder: ImageEncoder) -> None:
    many = np.random.default_rng(1).integers(0, 256, (CHUNK + 3, 6, 8), dtype=np.uint8)
    table = encoder.summarise({"image": many})
    assert len(table) == CHUNK + 3
    alone = encoder.summarise({"image": many[-1:]})
    np.testing.assert_allclose(table.iloc[-1], alone.iloc[0])


def test_summary_of_nothing_has_no_rows(encoder: ImageEncoder) -> None:
    assert len(encoder.summarise({"image": np.zeros((0, 6, 8), dtype=np.uint8)})) == 0


def test_summary_tells_strokes_that_are_neither_ink_nor_paper(encoder: ImageEncoder) -> None:
    grey = np.zeros((1, 6, 8), dtype=np.uint8)
    grey[0, :3] = 60
    assert encoder.summarise({"image": grey})["faint"][0] == 0.5


def test_both_sets_are_told_by_the_look_of_each_where_there_are_images_enough(encoder: ImageEncoder) -> None:
    random = np.random.default_rng(2)
    before, now = ({"image": random.integers(0, 256, (rows, 6, 8), dtype=np.uint8)} for rows in (300, 100))
    tables = encoder.summarise_both(before, now)
    assert [len(table) for table in tables] == [300, 100]
    assert set(tables[0]["look"]) <= {f"look {number}" for number in range(1, 17)}
    assert [list(table.columns) for table in tables] == [[*encoder.summarise(before).columns, "look"]] * 2
    few = encoder.summarise_both(now, {"image": now["image"][:30]})
    assert "look" not in few[0]


COLOUR = RecordConfig.model_validate({"fields": [{"name": "image", "type": "image", "shape": [6, 8, 3]}]})


def test_pictures_in_colour_have_three_channels() -> None:
    images = {"image": np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)}
    encoder = ImageEncoder.fit(images, COLOUR, FeaturesConfig())
    encoded = encoder.encode(images)
    assert encoded.shape == (5, *encoder.input_shape) == (5, 6, 8, 3)
    np.testing.assert_allclose(encoded, images["image"] / 255, atol=1e-6)
    assert len(encoder.feature_names) == 144
    again = ImageEncoder.from_state(json.loads(json.dumps(encoder.to_state())))
    np.testing.assert_array_equal(again.encode(images), encoded)


def test_pictures_in_colour_are_described_by_their_luma_and_the_mean_of_each_channel() -> None:
    encoder = ImageEncoder("image", (6, 8, 3))
    images = np.zeros((2, 6, 8, 3), dtype=np.uint8)
    images[0] = (255, 0, 51)
    images[1, :, 4:] = 255
    table = encoder.summarise({"image": images})
    assert table[["red", "green", "blue"]].round(6).to_numpy().tolist() == [[1.0, 0.0, 0.2], [0.5, 0.5, 0.5]]
    assert table["ink"].tolist() == pytest.approx([0.299 + 0.2 * 0.114, 0.5])
    grey = ImageEncoder("image", (6, 8)).summarise({"image": images[..., 0]})
    assert set(table) - set(grey) == {"red", "green", "blue"}
    assert table["centre_x"][1] == pytest.approx(grey["centre_x"][1])
    looks, _ = encoder.summarise_both({"image": images}, {"image": images})
    assert len(looks) == 2


@pytest.mark.parametrize("shape", [(256, 256, 3), (300, 200)])
def test_large_pictures_are_told_apart_in_little_memory(shape: tuple[int, ...]) -> None:
    record = RecordConfig.model_validate({"fields": [{"name": "p", "type": "image", "shape": shape}]})
    encoder = ImageEncoder.fit({}, record, FeaturesConfig())
    random = np.random.default_rng(0)
    kinds = random.integers(0, 2, 240)
    bright = random.integers(100, 200, (240, *(1 for _ in shape)))
    pictures = np.broadcast_to(bright, (240, *shape)).astype(np.uint8)
    pictures[kinds == 1, : shape[0] // 2] = 0
    pictures[:, -9:, -9:] = random.integers(0, 256, (240, 9, 9, *shape[2:]))
    tracemalloc.start()
    before, now = encoder.summarise_both({"p": pictures[:200]}, {"p": pictures[200:]})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400_000_000
    looks = np.array([*before["look"], *now["look"]])
    assert not set(looks[kinds == 0]) & set(looks[kinds == 1])
    alone = encoder.summarise({"p": pictures[7:8]})
    np.testing.assert_allclose(alone, before.drop(columns="look").iloc[7:8], atol=1e-6)
