"""A PNG or JPEG becomes levels of a shape: turned upright, laid on its ground, resized.

Decoded by Pillow, whose decoders for these two kinds are called by name, so that no other can be reached. The
same bytes give the same levels wherever they are decoded: a version sees what it has learned from.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from features.records.fields import Column
from features.records.pictures.headers import Header
from features.records.pictures.layout import needed_of_jpeg, needed_of_png

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Resize = Literal["fit", "crop", "stretch"]
REDUCED = 2
"""A JPEG is decoded at no less than this many times the size that it is resized to."""
_ORIENTATION = 0x0112
MOST_BETWEEN = 25_000_000
"""Pixels of a picture that is resized one way and not yet the other."""
_TURNS_ON_SIDE = (5, 6, 7, 8)


@dataclass(frozen=True)
class Canvas:
    """What pictures become: uint8 (height, width), in colour (height, width, 3)."""

    height: int
    width: int
    colour: bool
    resize: Resize | None
    """How pictures of other sizes fit; None: not at all."""

    @property
    def mode(self) -> str:
        """The name that Pillow has for it."""
        return "RGB" if self.colour else "L"

    @property
    def ground(self) -> int:
        """Level behind what is transparent, and around what does not fill the shape.

        White for colours, as paper and pages are; black for grey levels, which often are light on dark.
        """
        return 255 if self.colour else 0


class WrongSize(ValueError):
    """A picture has another size than the only one allowed; its text is that size."""


class Damaged(ValueError):
    """A picture cannot be decoded; its text says why."""


def decode(data: bytes, header: Header, canvas: Canvas) -> Column:
    """The levels of a picture.

    Args:
        header: of these bytes, read and found allowed before.

    Raises:
        WrongSize: upright it has another size than the canvas, which does not resize.
        Damaged: the bytes after the header are no picture, or one whose colours could mean several things.
    """
    sides = {(header.height, header.width), (header.width, header.height)}
    if canvas.resize is None and (canvas.height, canvas.width) not in sides:
        raise WrongSize(f"{header.height}x{header.width}")
    needed, exif = needed_of_png(data) if header.kind == "PNG" else needed_of_jpeg(data)
    try:
        with _opener(header)(io.BytesIO(needed)) as picture:
            if (picture.height, picture.width) != (header.height, header.width):
                raise Damaged("it says two sizes")
            _scale_transparent_level(picture, header)
            return _levels(picture, orientation_of(exif), canvas)
    except (WrongSize, Damaged):
        raise
    except Exception as error:
        raise Damaged(str(error) or "it cannot be decoded") from error


def _scale_transparent_level(picture: Picture, header: Header) -> None:
    """Of grey levels of 2 or 4 bits Pillow scales all but the one that is transparent."""
    clear = picture.info.get("transparency")
    if picture.mode == "L" and header.depth in (2, 4) and isinstance(clear, int):
        picture.info["transparency"] = clear * 255 // (2**header.depth - 1)


def _opener(header: Header) -> Callable[[io.BytesIO], Picture]:
    if header.kind == "PNG":
        from PIL.PngImagePlugin import PngImageFile  # heavy, and rarely needed

        return PngImageFile
    from PIL.JpegImagePlugin import JpegImageFile

    return JpegImageFile


def _levels(picture: Picture, orientation: int, canvas: Canvas) -> Column:
    from PIL.Image import Transpose

    if picture.mode == "CMYK" and "adobe" not in picture.info:
        raise Damaged("a CMYK JPEG that does not say which way its inks count, as Adobe's marker would")
    on_side = orientation in _TURNS_ON_SIDE
    upright = (picture.width, picture.height) if on_side else (picture.height, picture.width)
    shape = (canvas.height, canvas.width)
    if canvas.resize is None and upright != shape:
        raise WrongSize("x".join(map(str, upright)))
    lying = Canvas(*(shape[::-1] if on_side else shape), canvas.colour, canvas.resize)
    plain = _resized(picture, lying)
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }  # fmt: skip
    return np.array(plain.transpose(turns[orientation]) if orientation in turns else plain, dtype=np.uint8)


def _resized(picture: Picture, canvas: Canvas) -> Picture:
    """The picture on its ground, of the canvas' size and mode."""
    from PIL import Image

    height, width = canvas.height, canvas.width
    if canvas.resize is None:
        return _on_ground(_with_plain_pixels(picture, canvas), canvas)
    inner = _inner_size(picture.size, canvas)
    _draft(picture, inner)
    plain = _with_plain_pixels(picture, canvas)
    box = _middle(plain.size, width / height) if canvas.resize == "crop" else None
    small = _shrunk(plain, inner, box)
    laid = _on_ground(small, canvas)
    if inner == (width, height):
        return laid
    whole = Image.new(canvas.mode, (width, height), (canvas.ground,) * 3 if canvas.colour else canvas.ground)
    whole.paste(laid, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return whole


def _shrunk(
    picture: Picture, inner: tuple[int, int], box: tuple[float, float, float, float] | None
) -> Picture:
    """The picture, or a box of it, of another size: bicubic, widened by how far it shrinks (antialiased)."""
    from PIL.Image import Resampling

    rows = picture.height if box is None else box[3] - box[1]
    if (
        inner[0] * rows > MOST_BETWEEN
    ):  # widths first, as is done below, would make it wider before it is lower
        width = picture.width if box is None else box[2] - box[0]
        picture = picture.resize((max(1, round(width)), inner[1]), Resampling.BICUBIC, box)
        box = None
    return picture.resize(inner, Resampling.BICUBIC, box)


def _inner_size(size: tuple[int, int], canvas: Canvas) -> tuple[int, int]:
    """Width and height that the picture has on the canvas."""
    if canvas.resize != "fit":
        return canvas.width, canvas.height
    scale = min(canvas.width / size[0], canvas.height / size[1])
    width, height = (max(1, round(side * scale)) for side in size)
    return min(width, canvas.width), min(height, canvas.height)


def _draft(picture: Picture, inner: tuple[int, int]) -> None:
    """Have a large JPEG decoded at a half, a quarter or an eighth of its size."""
    if picture.format == "JPEG":
        picture.draft(picture.mode, (inner[0] * REDUCED, inner[1] * REDUCED))


def _middle(size: tuple[int, int], ratio: float) -> tuple[float, float, float, float]:
    """The largest part in the middle whose width is `ratio` times its height."""
    width, height = size
    inner_width, inner_height = min(width, height * ratio), min(height, width / ratio)
    left, top = (width - inner_width) / 2, (height - inner_height) / 2
    return left, top, left + inner_width, top + inner_height


def _with_plain_pixels(picture: Picture, canvas: Canvas) -> Picture:
    """The same in RGBA where anything is transparent, else in the mode of the canvas, 8 bits each."""
    if picture.mode.startswith("I"):
        return _of_16_bits(picture, canvas)
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    if picture.mode in ("1", "L"):
        return picture.convert(canvas.mode)
    return picture.convert("RGB").convert(canvas.mode)


def _of_16_bits(picture: Picture, canvas: Canvas) -> Picture:
    """Grey levels of 16 bits without their lower 8: Pillow's own conversion clips instead of scaling."""
    from PIL import Image

    deep = np.asarray(picture).astype(np.uint32)
    grey = Image.fromarray((deep >> 8).astype(np.uint8))
    clear = picture.info.get("transparency")
    if not isinstance(clear, int):
        return grey.convert(canvas.mode)
    rgba = grey.convert("RGBA")
    rgba.putalpha(Image.fromarray(np.where(deep == clear, 0, 255).astype(np.uint8)))
    return rgba


def _on_ground(picture: Picture, canvas: Canvas) -> Picture:
    from PIL import Image

    if picture.mode != "RGBA":
        return picture
    ground = Image.new("RGBA", picture.size, (canvas.ground,) * 3 + (255,))
    return Image.alpha_composite(ground, picture).convert(canvas.mode)


def orientation_of(exif: bytes) -> int:
    """The orientation among the tags of EXIF, with or without the mark that JPEG has before them."""
    tags = exif.removeprefix(b"Exif\x00\x00")
    order: Literal["little", "big"] = "little" if tags[:2] == b"II" else "big"
    if tags[:2] not in (b"II", b"MM"):
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(tags[at : at + size], order)

    start = number(4, 4)
    for entry in range(start + 2, min(start + 2 + 12 * number(start, 2), len(tags) - 11), 12):
        if number(entry, 2) == _ORIENTATION:
            told = number(entry + 8, 2 if number(entry + 2, 2) == 3 else 4)
            return told if 1 <= told <= 8 else 1
    return 1
