"""The rules of an image field: arrays of numbers and PNG files become 256 grey levels.

An image is grey everywhere: uint8 of shape (height, width), without a channel. Colour images would change
this module first, then whoever relies on that shape: `shape` of `configs.schema.record` (what may be
configured), `features.records.arrow.image_columns` (files), `features.encoders.image` (one channel),
`features.records.example`, `store.snapshots.files` (Parquet tensors), `service.answers.requests` and
`service.answers.record_types` (requests), `service.openapi.schemas`, and `models.pyfunc`.
"""

from __future__ import annotations

import base64
import binascii
import io
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import orjson

from configs.schema import FieldConfig
from features.records.error_messages import describe, invalid_message, missing_message
from features.records.fields import Column, Notes, Parsed
from features.records.spellings import is_no_value

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DATA_URL = "data:image/png;base64,"
_BYTES = (0.0, 255.0)


class ImageField:
    """An image of a fixed shape: `[height][width]` or flat numbers within `range`, or a PNG.

    The darkest and brightest value of `range` become the levels 0 and 255. A PNG's grey levels
    are taken as they are; colours become their luma, and what is transparent counts as black.
    """

    def __init__(self, config: FieldConfig, _markers: Sequence[str] = ()) -> None:
        if config.shape is None:
            raise ValueError(f"field '{config.name}' has no shape")
        self.config = config
        self.name = config.name
        self.height, self.width = config.shape
        self.size = self.height * self.width
        low, high = config.range
        self.allowed = f"{self.height}x{self.width} numbers from {low:g} to {high:g}, or a PNG"

    def check(self, values: list[Any], _notes: Notes | None = None) -> Parsed:
        images = np.zeros((len(values), self.size), dtype=np.uint8)
        bad: dict[int, str] = {}
        for row, value in enumerate(values):
            try:
                images[row] = self._levels(value)
            except ValueError as error:
                bad[row] = str(error)
        return images.reshape(-1, self.height, self.width), bad

    def check_column(self, column: Column) -> dict[int, str]:
        """Check images of the values as sent, float64 (n, height, width)."""
        low, high = self.config.range
        wrong = ~((column >= low) & (column <= high)).reshape(len(column), -1).all(axis=1)
        return {int(row): self._out_of_range(column[row]) for row in np.flatnonzero(wrong)}

    def quantise(self, column: Column) -> Column:
        """Levels 0 to 255 of values within `range`."""
        low, high = self.config.range
        levels = column if (low, high) == _BYTES else (column - low) * (255.0 / (high - low))
        return np.rint(levels).astype(np.uint8)

    def dump(self, column: Column) -> list[Any]:
        return [base64.b64encode(image).decode("ascii") for image in np.ascontiguousarray(column)]

    def load(self, values: list[Any]) -> Column:
        raw = b"".join(map(base64.b64decode, values))
        return np.frombuffer(raw, dtype=np.uint8).reshape(-1, self.height, self.width)

    def _levels(self, value: Any) -> Any:
        if type(value) is list:
            return self._list_levels(value)
        if isinstance(value, str) and value.lstrip().startswith("["):
            return self._listed_levels(value)
        if isinstance(value, str) and value.strip():
            return self.from_png(self._decode(value.strip())).reshape(-1)
        if isinstance(value, bytes):
            return self.from_png(value).reshape(-1)
        if is_no_value(value) or isinstance(value, str):
            raise ValueError(missing_message(self.name, self.allowed))
        raise self._refusal(describe(value))

    def _listed_levels(self, text: str) -> Any:
        """Those of an array that is written as text."""
        try:
            return self._list_levels(orjson.loads(text))
        except orjson.JSONDecodeError:
            raise self._refusal(f"{describe(text)} that is no JSON") from None

    def _list_levels(self, value: list[Any]) -> Any:
        flat = value
        if value and type(value[0]) is list:
            if set(map(type, value)) != {list} or set(map(len, value)) != {self.width}:
                raise self._refusal(_describe_shape(value))
            flat = list(chain.from_iterable(value))
        if len(flat) != self.size:
            raise self._refusal(_describe_shape(value))
        kinds = set(map(type, flat))
        if kinds == {int} and self.config.range == _BYTES:
            try:
                return np.frombuffer(bytes(flat), dtype=np.uint8)
            except ValueError:
                raise self._refusal(_first_outside(flat, self.config.range)) from None
        if not kinds <= {int, float}:
            raise self._refusal(
                f"{describe(next(x for x in flat if type(x) not in (int, float)))} as a pixel"
            )
        try:
            pixels = np.array(flat, dtype=np.float64)
        except OverflowError:
            raise self._refusal(_first_outside(flat, self.config.range)) from None
        low, high = self.config.range
        if not (low <= pixels.min() and pixels.max() <= high):
            raise ValueError(self._out_of_range(pixels))
        return self.quantise(pixels)

    def _decode(self, text: str) -> bytes:
        body = text[len(_DATA_URL) :] if text.startswith(_DATA_URL) else text
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError) as error:
            raise self._refusal(f"{describe(text)} that is not base64") from error

    def from_png(self, data: bytes) -> Column:
        """Decode a PNG to uint8 (height, width).

        Raises:
            ValueError: it is no PNG or has another shape; the shape is read before anything is decoded.
        """
        if len(data) < 33 or not data.startswith(PNG_SIGNATURE) or data[12:16] != b"IHDR":
            raise self._refusal(f"{len(data)} bytes that are not a PNG")
        width, height = struct.unpack(">II", data[16:24])
        if (height, width) != (self.height, self.width):
            raise self._refusal(f"a PNG of {height}x{width}")
        from PIL import Image, UnidentifiedImageError  # heavy, and rarely needed

        try:
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                return _to_grey(image)
        except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
            raise self._refusal(f"a damaged PNG ({error})") from error

    def _refusal(self, arrived: str) -> ValueError:
        return ValueError(invalid_message(self.name, arrived, self.allowed))

    def _out_of_range(self, pixels: Column) -> str:
        return invalid_message(
            self.name, _first_outside(np.ravel(pixels).tolist(), self.config.range), self.allowed
        )


def _to_grey(image: Any) -> Column:
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits: Pillow's own conversion clips instead of scaling
        return (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return np.array(image.convert("L"), dtype=np.uint8)
    rgba = image.convert("RGBA")
    black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
    return np.array(Image.alpha_composite(black, rgba).convert("L"), dtype=np.uint8)


def _first_outside(flat: list[Any], bounds: tuple[float, float]) -> str:
    """Name the first pixel outside `bounds`."""
    low, high = bounds
    return f"{describe(next(pixel for pixel in flat if not low <= pixel <= high))} as a pixel"


def _describe_shape(value: list[Any]) -> str:
    rows = {len(row) if isinstance(row, list) else None for row in value}
    if len(rows) > 1:
        return f"an array of {len(value)} rows of different lengths"
    return describe(value)
