"""Images: arrays and PNG files, and what is said about those that do not fit."""

from __future__ import annotations

import base64
import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from configs.schema import FieldConfig, RecordConfig
from features.records.contract import RecordContract

CONTRACT = RecordContract(RecordConfig(fields=(FieldConfig(name="image", type="image", shape=(3, 4)),)))
UNIT = RecordContract(
    RecordConfig(fields=(FieldConfig(name="image", type="image", shape=(3, 4), range=(0.0, 1.0)),))
)
PIXELS = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 255]]
ALLOWED = "; allowed: 3x4 numbers from 0 to 255, or a PNG"


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def as_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read(value: Any, contract: RecordContract = CONTRACT) -> Any:
    return contract.check_records([{"image": value}]).all_or_raise()["image"][0]


def refusal(value: Any, contract: RecordContract = CONTRACT) -> str:
    (problem,) = contract.check_records([{"image": value}]).problems
    return problem.message


GREY = Image.fromarray(np.array(PIXELS, dtype=np.uint8))


@pytest.mark.parametrize(
    "value",
    [
        PIXELS,
        [pixel for row in PIXELS for pixel in row],
        [[float(pixel) for pixel in row] for row in PIXELS],
        as_text(png(GREY)),
        "data:image/png;base64," + as_text(png(GREY)),
        as_text(png(GREY.convert("RGB"))),
        as_text(png(GREY.convert("RGBA"))),
    ],
    ids=["nested", "flat", "floats", "png", "data-url", "rgb", "rgba"],
)
def test_every_form_of_the_same_image_is_the_same(value: Any) -> None:
    image = read(value)
    assert image.dtype == np.uint8
    assert image.tolist() == PIXELS


def test_other_ranges_become_256_levels() -> None:
    assert read([0.0, 0.5, 1.0] * 4, UNIT).ravel().tolist()[:3] == [0, 128, 255]
    assert refusal([0.0, 0.5, 1.5] * 4, UNIT).startswith(
        "field 'image': got 1.5 as a pixel; allowed: 3x4 numbers"
    )


def test_transparent_pixels_are_black() -> None:
    canvas = np.zeros((3, 4, 4), dtype=np.uint8)
    canvas[:] = (255, 255, 255, 0)
    canvas[0, 0] = (255, 255, 255, 255)
    image = read(as_text(png(Image.fromarray(canvas, "RGBA"))))
    assert image[0, 0] == 255
    assert image[1:].max() == 0


def test_sixteen_bits_are_scaled() -> None:
    deep = Image.fromarray(np.array(PIXELS, dtype=np.uint16) * 257)
    assert read(as_text(png(deep))).tolist() == PIXELS


def test_a_png_with_one_bit() -> None:
    assert read(as_text(png(Image.new("1", (4, 3), 1)))).tolist() == [[255] * 4] * 3


@pytest.mark.parametrize(
    ("value", "arrived"),
    [
        (PIXELS[:2], "got an array of 2x4"),
        ([row[:3] for row in PIXELS], "got an array of 3x3"),
        ([[0, 1, 2, 3], [4, 5, 6], [7, 8, 9, 10]], "got an array of 3 rows of different lengths"),
        ([0] * 11, "got an array of 11"),
        ([], "got an array of 0"),
        ([[[0] * 4] * 3], "got an array of 1x3x4"),
        ([[0, 1, 2, 256], *PIXELS[1:]], "got 256 as a pixel"),
        ([[0, 1, 2, -1], *PIXELS[1:]], "got -1 as a pixel"),
        ([[0, 1, 2, float("nan")], *PIXELS[1:]], "got NaN as a pixel"),
        ([[0, 1, 2, 10**400], *PIXELS[1:]], "got a number beyond the range of 64 bits as a pixel"),
        ([[0, 1, 2, True], *PIXELS[1:]], "got true as a pixel"),
        ([[0, 1, 2, "3"], *PIXELS[1:]], "got '3' (text) as a pixel"),
        ([[0, 1, 2, None], *PIXELS[1:]], "got null as a pixel"),
        ([0, 1, 2, [3]] * 3, "got an array of 1 as a pixel"),
        (28, "got 28"),
        ({"a": 1}, "got an object"),
        ("%%%", "got '%%%' (text) that is not base64"),
        ("ä", "got 'ä' (text) that is not base64"),
        (as_text(b"GIF89a"), "got 6 bytes that are not a PNG"),
        (as_text(png(Image.new("L", (28, 27)))), "got a PNG of 27x28"),
    ],
)
def test_a_refusal_names_what_arrived(value: Any, arrived: str) -> None:
    assert refusal(value) == f"field 'image': {arrived}{ALLOWED}"


def test_a_missing_image() -> None:
    assert refusal(None) == f"field 'image': missing{ALLOWED}"


def test_a_damaged_png() -> None:
    assert refusal(as_text(png(GREY)[:48])).startswith("field 'image': got a damaged PNG (")


def test_the_size_is_read_before_anything_is_decoded() -> None:
    bomb = bytearray(png(GREY))
    bomb[16:24] = struct.pack(">II", 50_000, 50_000)
    assert refusal(as_text(bytes(bomb))).startswith("field 'image': got a PNG of 50000x50000;")


@given(arrays.arrays(np.uint8, st.tuples(st.integers(0, 3), st.just(3), st.just(4))))
def test_canonical_json_reads_back_exactly(images: Any) -> None:
    columns = CONTRACT.check_records([{"image": image.tolist()} for image in images]).all_or_raise()
    np.testing.assert_array_equal(columns["image"], images)
    np.testing.assert_array_equal(CONTRACT.from_json(CONTRACT.to_json(columns))["image"], images)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(noise: bytes) -> None:
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 4, 3)
    for data in (noise, header + noise):
        checked = CONTRACT.check_records([{"image": as_text(data)}])
        assert len(checked.problems) + len(checked.rows) == 1
