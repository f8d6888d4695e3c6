"""The rules of an image field: arrays of numbers, PNG and JPEG files become 256 levels of a shape.

An image is grey, uint8 (height, width), or in colour, uint8 (height, width, 3), as `shape` says. Whoever asks
for its size asks for `shape`: `configs.schema.record` (what may be configured),
`features.records.arrow.image_columns` (files), `features.encoders.image` (which adds a channel to grey ones),
`features.records.example`, `store.snapshots.files` (Parquet tensors), `service.answers.requests` and
`service.answers.record_types` (requests), `service.protocols.inference`, `service.openapi`,
`models.pyfunc`, and the page's pad. How picture files are decoded is in `features.records.pictures`.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import orjson

from configs.schema import FieldConfig
from features.records.error_messages import describe, invalid_message, missing_message
from features.records.fields import Column, Notes, Parsed
from features.records.pictures.decoding import Canvas, Damaged, WrongSize, decode
from features.records.pictures.headers import read_header
from features.records.pictures.layout import JPEG_SIGNATURE, PNG_SIGNATURE
from features.records.spellings import is_no_value

_DATA_URL = re.compile(r"data:image/(?:png|jpe?g);base64,")
_ENCODED = ("iVBORw0KGgo", "/9j/", "data:")
"""How base64 of a PNG and of a JPEG, and data URLs, begin."""
_BYTES = (0.0, 255.0)
TOGETHER = 100_000_000
"""Pixels of the picture files in one request, which take one or two seconds of a core to decode. Of 16 bits
they count twice; those of a JPEG of more than five scans once for every five."""

LONGEST_NAME = 1000
"""Characters of a text that may name a picture; a longer one can only be its base64."""
Fetch = Callable[[str], bytes]
"""The bytes of the picture that a path or URL names; raises ValueError with the reason if there are none."""


class ImageField:
    """An image of a fixed shape: nested or flat numbers within `range`, or a picture file.

    The darkest and brightest value of `range` become the levels 0 and 255; the levels of picture files are
    taken as they are. A grey field that does not resize takes PNG of its own size only.
    """

    def __init__(self, config: FieldConfig, _markers: Sequence[str] = ()) -> None:
        if config.shape is None:
            raise ValueError(f"field '{config.name}' has no shape")
        self.config = config
        self.name = config.name
        self.shape = config.shape
        self.size = math.prod(config.shape)
        self.colour = len(config.shape) == 3
        self.canvas = Canvas(config.shape[0], config.shape[1], self.colour, config.resize)
        self.png_only = not self.colour and config.resize is None
        low, high = config.range
        files = "a PNG" if self.png_only else "a PNG or JPEG"
        if config.resize is not None:
            files += " of any size"
        elif self.colour:
            files += " of that size"
        self.allowed = f"{'x'.join(map(str, self.shape))} numbers from {low:g} to {high:g}, or {files}"

    def check(self, values: list[Any], _notes: Notes | None = None) -> Parsed:
        """Check values of a request; picture files beyond `TOGETHER` pixels are refused."""
        return self._check(values, None, TOGETHER)

    def check_file(self, values: list[Any], fetch: Fetch | None = None) -> Parsed:
        """Check values of a file, whose texts may name pictures that `fetch` gives."""
        return self._check(values, fetch, math.inf)

    def _check(self, values: list[Any], fetch: Fetch | None, pixels_left: float) -> Parsed:
        images = np.zeros((len(values), self.size), dtype=np.uint8)
        bad: dict[int, str] = {}
        for row, value in enumerate(values):
            try:
                if type(value) is list:
                    images[row] = self._list_levels(value)
                    continue
                levels = self._levels(value, fetch)
                if isinstance(levels, bytes):
                    levels, pixels_left = self.from_picture(levels, pixels_left)
                images[row] = levels
            except ValueError as error:
                bad[row] = str(error)
        return images.reshape(-1, *self.shape), bad

    def check_column(self, column: Column) -> dict[int, str]:
        """Check images of the values as sent, float64 (n, *shape)."""
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
        return np.frombuffer(raw, dtype=np.uint8).reshape(-1, *self.shape)

    def _levels(self, value: Any, fetch: Fetch | None) -> Any:
        """Levels, or the bytes of a picture file that are to be decoded."""
        if (
            type(value) is dict and value and value.keys() <= {"bytes", "path"}
        ):  # as data sets of pictures have
            value = value["path"] if value.get("bytes") is None and fetch else value.get("bytes")
        if type(value) is list:
            return self._list_levels(value)
        if isinstance(value, str) and value.lstrip().startswith("["):
            return self._listed_levels(value)
        if isinstance(value, str) and (text := value.strip()):
            if fetch is None or text.startswith(_ENCODED) or len(text) > LONGEST_NAME:
                return self.decode_text(text)
            return self._fetch(text, fetch)
        if isinstance(value, bytes):
            return value
        if is_no_value(value) or isinstance(value, str):
            raise ValueError(missing_message(self.name, self.allowed))
        raise self._refusal(describe(value))

    def _fetch(self, text: str, fetch: Fetch) -> bytes:
        try:
            return fetch(text)
        except ValueError as error:
            raise self._refusal(f"{describe(text)}, {error}") from error

    def _listed_levels(self, text: str) -> Any:
        """Those of an array that is written as text."""
        try:
            return self._list_levels(orjson.loads(text))
        except orjson.JSONDecodeError:
            raise self._refusal(f"{describe(text)} that is no JSON") from None

    def _list_levels(self, value: list[Any]) -> Any:
        flat = value
        if value and type(value[0]) is list:
            for length in self.shape[1:]:
                if set(map(type, flat)) != {list} or set(map(len, flat)) != {length}:
                    raise self._refusal(_describe_shape(value))
                flat = list(chain.from_iterable(flat))
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

    def decode_text(self, text: str) -> bytes:
        """The bytes that base64 stands for, with or without what a data URL has before it.

        Raises:
            ValueError: it is no base64.
        """
        start = _DATA_URL.match(text)
        body = text if start is None else text[start.end() :]
        try:
            return base64.b64decode("".join(body.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise self._refusal(f"{describe(text)} that is not base64") from error

    def from_picture(self, data: bytes, pixels_left: float) -> tuple[Column, float]:
        """Levels of a picture file, flat, and how many pixels may be decoded after it.

        Raises:
            ValueError: it is no picture of the field's, or more is to be decoded than may be; kind and size
                are read before anything is decoded.
        """
        if self.png_only and not data.startswith(PNG_SIGNATURE):
            raise self._refusal(f"{len(data)} bytes that are not a PNG")
        try:
            header = read_header(data)
        except ValueError as error:
            raise self._refusal(str(error)) from error
        pixels_left -= header.work
        if pixels_left < 0:
            raise self._refusal(
                f"pictures of more than {TOGETHER // 1_000_000} million pixels together in one request"
            )
        try:
            return decode(data, header, self.canvas).reshape(-1), pixels_left
        except WrongSize as error:
            raise self._refusal(f"a {header.kind} of {error}") from error
        except Damaged as error:
            raise self._refusal(f"a damaged {header.kind} ({error})") from error

    def _refusal(self, arrived: str) -> ValueError:
        return ValueError(invalid_message(self.name, arrived, self.allowed))

    def _out_of_range(self, pixels: Column) -> str:
        return invalid_message(
            self.name, _first_outside(np.ravel(pixels).tolist(), self.config.range), self.allowed
        )


def is_picture(data: bytes) -> bool:
    """Whether bytes begin as a picture file does that image fields take."""
    return data.startswith((PNG_SIGNATURE, JPEG_SIGNATURE))


def _first_outside(flat: list[Any], bounds: tuple[float, float]) -> str:
    """Name the first pixel outside `bounds`."""
    low, high = bounds
    return f"{describe(next(pixel for pixel in flat if not low <= pixel <= high))} as a pixel"


def _describe_shape(value: list[Any]) -> str:
    rows = {len(row) if isinstance(row, list) else None for row in value}
    if len(rows) > 1:
        return f"an array of {len(value)} rows of different lengths"
    return describe(value)
