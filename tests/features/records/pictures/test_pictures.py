"""Pictures of every odd kind in a field in colour: read rightly, or refused by name."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from configs.schema import FieldConfig, RecordConfig
from features.records import image_field
from features.records.contract import RecordContract
from features.records.image_field import TOGETHER
from features.records.pictures import decoding
from features.records.pictures.decoding import orientation_of
from features.records.pictures.headers import read_header
from features.records.pictures.layout import needed_of_jpeg, needed_of_png
from tests.features.records.pictures import odd

HEIGHT, WIDTH = 16, 24


def field(**options: Any) -> RecordContract:
    told = {"shape": (HEIGHT, WIDTH, 3), "resize": "fit"} | options
    return RecordContract(RecordConfig(fields=(FieldConfig(name="image", type="image", **told),)))


COLOUR = field()
GREY = field(shape=(HEIGHT, WIDTH))


def read(value: Any, contract: RecordContract = COLOUR) -> Any:
    sent = base64.b64encode(value).decode() if isinstance(value, bytes) else value
    return contract.check_records([{"image": sent}]).all_or_raise()["image"][0]


def refusal(value: Any, contract: RecordContract = COLOUR) -> str:
    sent = base64.b64encode(value).decode() if isinstance(value, bytes) else value
    (problem,) = contract.check_records([{"image": sent}]).problems
    return problem.message


def colours(image: Any) -> Any:
    """Mean colour of the left and of the right third."""
    return np.array([image[:, : WIDTH // 3].mean(axis=(0, 1)), image[:, -WIDTH // 3 :].mean(axis=(0, 1))])


@pytest.mark.parametrize("name", odd.READ)
def test_what_is_read_has_its_colours_where_they_are(name: str) -> None:
    image = read(odd.READ[name], field(resize="stretch"))
    assert image.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(colours(image), [odd.RED, odd.BLUE], atol=12)


@pytest.mark.parametrize("name", odd.REFUSED)
def test_what_is_refused_is_refused_by_name(name: str) -> None:
    data, reason = odd.REFUSED[name]
    message = refusal(data)
    assert message.startswith(f"field 'image': {reason}")
    assert message.endswith("; allowed: 16x24x3 numbers from 0 to 255, or a PNG or JPEG of any size")


def test_a_picture_in_two_ways_is_the_same() -> None:
    data = odd.READ["jpeg"]
    text = base64.b64encode(data).decode()
    wrapped = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    sent = [f"data:image/jpeg;base64,{text}", wrapped, {"bytes": text, "path": "a.jpg"}]
    for one in sent:
        np.testing.assert_array_equal(read(one), read(data))


def test_grey_levels_stay_grey_in_colour_and_16_bits_are_scaled() -> None:
    ramp = np.tile(np.linspace(0, 65_535, WIDTH).astype(np.uint16), (HEIGHT, 1))
    image = read(odd.saved(Image.fromarray(ramp)))
    assert (image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all()
    np.testing.assert_array_equal(image[0, :, 0], ramp[0] >> 8)
    clear = odd.png_of(WIDTH, HEIGHT, 16, 0, (b"\x00" + b"\x12\x34" * WIDTH) * HEIGHT, clear=b"\x12\x34")
    assert read(clear).min() == 255
    assert read(odd.saved(odd.halves().convert("L"), "JPEG")).shape == (HEIGHT, WIDTH, 3)


def test_what_is_transparent_lies_on_white_in_colour_and_on_black_in_grey() -> None:
    assert read(odd.transparent())[:7].min() == 255
    assert read(odd.transparent(), GREY)[:7].max() == 0
    half = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 128))
    assert read(odd.saved(half))[0, 0].tolist() == [127] * 3


@pytest.mark.parametrize(
    ("depth", "row", "levels"),
    [(1, b"\x50", (0, 255)), (2, b"\x1b", (0, 85, 170, 255)), (4, b"\x05\xaf", (0, 85, 170, 255))],
)
@pytest.mark.parametrize("shape", [(1, 4), (1, 4, 3)], ids=["grey", "colour"])
def test_a_grey_level_of_few_bits_that_is_transparent_is(
    depth: int, row: bytes, levels: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    contract, ground = field(shape=shape, resize=None), 255 if len(shape) == 3 else 0
    for clear in levels:
        told = (clear * (2**depth - 1) // 255).to_bytes(2, "big")
        image = read(odd.png_of(4, 1, depth, 0, b"\x00" + row, clear=told), contract)
        expected = [ground if level == clear else level for level in levels * (4 // len(levels))]
        assert image.reshape(4, -1)[:, 0].tolist() == expected


def test_a_picture_fits_whole_fills_or_is_stretched() -> None:
    tall = odd.saved(odd.halves(20, 80))
    fit, crop, stretch = (read(tall, field(resize=how)) for how in ("fit", "crop", "stretch"))
    assert (fit[:, :10] == 255).all() and (fit[:, 14:] == 255).all()
    assert not (fit[:, 10:14] == 255).all(axis=2).any()
    for filled in (crop, stretch):
        np.testing.assert_allclose(colours(filled), [odd.RED, odd.BLUE], atol=8)
    quarters = Image.new("RGB", (40, 160))
    quarters.paste((255, 0, 0), (0, 67, 40, 93))
    assert read(odd.saved(quarters), field(resize="crop"))[..., 0].mean() > 240  # the middle, and all of it


def test_shrinking_does_not_leave_out_pixels() -> None:
    lines = np.zeros((HEIGHT * 20, WIDTH * 20), dtype=np.uint8)
    lines[:, ::2] = 255
    assert abs(read(odd.saved(Image.fromarray(lines))).astype(int) - 128).max() <= 2


def test_without_resize_only_the_shape_is_taken() -> None:
    strict = field(resize=None)
    assert refusal(odd.READ["jpeg"], strict) == (
        "field 'image': got a JPEG of 40x60; allowed: 16x24x3 numbers from 0 to 255, "
        "or a PNG or JPEG of that size"
    )
    exact = odd.halves(WIDTH, HEIGHT)
    np.testing.assert_array_equal(read(odd.saved(exact), strict), np.asarray(exact))
    on_its_side = odd.saved(exact.transpose(Image.Transpose.ROTATE_90))
    assert refusal(on_its_side, strict).startswith("field 'image': got a PNG of 24x16;")


def test_arrays_in_colour() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3))
    for sent in (pixels.tolist(), pixels.ravel().tolist(), str(pixels.tolist())):
        np.testing.assert_array_equal(read(sent), pixels)
    assert "got an array of 16x24;" in refusal(pixels[..., 0].tolist())
    assert "got an array of 16x24x4;" in refusal(np.zeros((HEIGHT, WIDTH, 4), int).tolist())
    assert "got 256 as a pixel" in refusal(np.full((HEIGHT, WIDTH, 3), 256).tolist())
    unit = field(range=(0.0, 1.0))
    np.testing.assert_array_equal(read((pixels / 255).tolist(), unit), pixels)


def test_stored_records_read_back() -> None:
    columns = COLOUR.check_records([{"image": np.zeros((HEIGHT, WIDTH, 3), int).tolist()}] * 2).all_or_raise()
    columns["image"][:] = np.random.default_rng(0).integers(0, 256, columns["image"].shape)
    back = COLOUR.from_json(COLOUR.to_json(columns))
    np.testing.assert_array_equal(back["image"], columns["image"])


def test_a_request_decodes_so_many_pixels_and_no_more() -> None:
    large = base64.b64encode(odd.saved(Image.new("1", (4900, 5000)))).decode()
    checked = COLOUR.check_records([{"image": large}] * 6)
    assert len(checked.rows) == TOGETHER // (4900 * 5000)
    assert "got pictures of more than 100 million pixels together" in checked.problems[0].message


BEFORE_DECODING = (
    "scan-bomb", "scans", "chunks", "segments", "arithmetic", "lossless", "12-bit-jpeg", "no-palette",
    "bomb-png", "bomb-jpeg",
)  # fmt: skip


@pytest.mark.parametrize("name", BEFORE_DECODING)
def test_what_would_take_long_is_refused_before_anything_is_decoded(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_field, "decode", lambda *_: pytest.fail("it was decoded"))
    assert odd.REFUSED[name][1] in refusal(odd.REFUSED[name][0])


def test_scans_and_16_bits_count_as_the_time_that_they_take() -> None:
    few, many = (read_header(odd.many_scans(extra, 800, 600)).work for extra in (0, 40))
    assert 2 * 800 * 600 <= few < 2.1 * 800 * 600  # 10 scans, as encoders write them
    assert 10 * 800 * 600 <= many < 10.1 * 800 * 600  # 50
    assert read_header(odd.saved(odd.halves(800, 600))).work < 1.01 * 800 * 600
    assert 2 * 60 * 40 <= read_header(odd.deep_rgb()).work < 2.5 * 60 * 40
    assert read_header(odd.png_of(1, 9_000, 8, 0, b"\x00\x80" * 9_000)).work >= 3 * 9_000
    checked = COLOUR.check_records([{"image": base64.b64encode(odd.many_scans(40, 2000, 1600)).decode()}] * 5)
    assert len(checked.rows) == 3  # of 3.2 million pixels each, that count ten times
    assert "got pictures of more than 100 million pixels together" in checked.problems[0].message


def test_scans_in_fill_bytes_and_after_stray_ones_are_counted() -> None:
    data = odd.many_scans(120)
    for between in (b"\xff" * 5, b"stray", b"\xff\x02"):
        spread = data.replace(b"\xff\xda", between + b"\xff\xda")
        with pytest.raises(ValueError, match="more than 100 scans"):
            read_header(spread)


def test_a_decoder_is_handed_only_what_pixels_depend_on() -> None:
    plain = odd.saved(odd.halves())
    assert needed_of_png(odd.READ["profiles"]) == (plain, b"")
    moving, exif = needed_of_png(odd.READ["apng"])
    assert b"fcTL" not in moving and b"fdAT" not in moving and not exif
    tagged = odd.with_segments(
        b"\xff\xe2ICC_PROFILE", b"\xff\xed8BIM", b"\xff\xfeword", b"\xff\xe1Exif\x00\x00x"
    )
    jpeg, exif = needed_of_jpeg(tagged)
    assert jpeg == odd.saved(odd.halves(), "JPEG", quality=95)
    assert exif == b"Exif\x00\x00x"


def test_a_thin_picture_becomes_no_wide_one_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    thin = odd.png_of(1, 300_000, 8, 0, b"\x00\x80" * 150_000 + b"\x00\x20" * 150_000)
    stretch = field(resize="stretch")
    before = read(thin, stretch)
    monkeypatch.setattr(decoding, "MOST_BETWEEN", 400_000)
    between, resize = [], PIL.Image.Image.resize

    def watched(self: Image.Image, size: tuple[int, int], *rest: Any) -> Image.Image:
        between.append(size[0] * self.height)
        return resize(self, size, *rest)

    monkeypatch.setattr(PIL.Image.Image, "resize", watched)
    np.testing.assert_allclose(read(thin, stretch).astype(int), before, atol=1)
    assert max(between) <= 400_000 < WIDTH * 300_000


def test_a_shape_that_cannot_be_is_refused() -> None:
    for shape, reason in [((4, 4, 4), "got 4 channels"), ((4,), "at least 2"), ((0, 4), "greater than 0")]:
        with pytest.raises(ValidationError, match=reason):
            FieldConfig(name="image", type="image", shape=shape)
    with pytest.raises(ValidationError, match="`resize` is for images only"):
        FieldConfig(name="x", type="number", resize="fit")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(odd.READ)), st.data())
def test_no_damage_breaks_the_decoder(name: str, data: st.DataObject) -> None:
    whole = bytearray(odd.READ[name] if name != "large" else odd.READ["jpeg"])
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(whole)))
    for sent in (bytes(whole), bytes(whole[:end])):
        checked = COLOUR.check_records([{"image": base64.b64encode(sent).decode()}])
        assert len(checked.problems) + len(checked.rows) == 1


@given(st.binary(max_size=80))
def test_no_bytes_break_the_orientation(exif: bytes) -> None:
    for start in (b"", b"Exif\x00\x00", b"II*\x00\x08\x00\x00\x00", b"MM\x00*\x00\x00\x00\x08"):
        assert 1 <= orientation_of(start + exif) <= 8
