"""The encoder of images: pixels for models, and a few descriptive columns for drift checks.

Which images are taken, and all that relies on it, is in `features.records.image_field`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from configs.schema import FeaturesConfig, RecordConfig
from features.encoders.groups import group_alike, with_groups
from features.records.contract import Columns

if TYPE_CHECKING:
    import pandas as pd

CHUNK, CHUNK_BYTES = 1024, 2**26
"""Images described at a time, and most bytes of their numbers, to bound memory."""
LOOK_SIDE = 64
"""Pixels of the longer side by which it is told which pictures look alike."""
FAINT = (0.02, 0.5)
"""Pixels between are faint: neither blank nor a stroke."""
CHANNELS = ("red", "green", "blue")
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""What each channel adds to how bright a pixel looks (ITU-R BT.601)."""


@dataclass(frozen=True)
class ImageEncoder:
    """Pixels between 0 and 1; nothing is learned."""

    field: str
    shape: tuple[int, ...]
    """Height and width, and in colour 3 channels."""

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def fences(self) -> dict[str, tuple[float, float]]:
        """None."""
        return {}

    @classmethod
    def fit(cls, columns: Columns, record: RecordConfig, options: FeaturesConfig) -> Self:  # noqa: ARG003
        """Take field and shape from the record."""
        field = record.fields[0]
        assert field.shape is not None
        return cls(field.name, field.shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Height, width and channels: one, or red, green and blue."""
        return self.shape if len(self.shape) == 3 else (*self.shape, 1)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """`<field>_0` and on, row by row."""
        return tuple(f"{self.field}_{index}" for index in range(math.prod(self.shape)))

    def encode(self, columns: Columns) -> NDArray[np.float32]:
        """Pixels of n images in 0..1, shape (n, height, width, channels)."""
        pixels = columns[self.field]
        with_channels = pixels if len(self.shape) == 3 else pixels[..., np.newaxis]
        return np.multiply(with_channels, np.float32(1 / 255), dtype=np.float32)

    def fit_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """All of them."""
        return np.ones(len(columns[self.field]), dtype=np.bool_)

    def believed_rows(self, columns: Columns) -> NDArray[np.bool_]:
        """All of them."""
        return self.fit_rows(columns)

    def summarise(self, columns: Columns) -> pd.DataFrame:
        """How much ink, how it contrasts, where it lies and how far it spreads.

        `ink` is the mean pixel and `contrast` the deviation (0..1), `coverage` the share of
        pixels above one half, `faint` of those that are neither blank nor a stroke, `edges`
        the mean step between neighbours; `centre_x`, `centre_y`, `spread_x` and `spread_y` are
        the mean and deviation of the ink's position as a share of width and height. Of pictures in
        colour all these are of their luma, and `red`, `green` and `blue` are the mean of each channel.
        """
        import pandas as pd

        images = columns[self.field]
        chunks = list(map(_describe_images, _chunks(images)))
        return pd.concat(chunks, ignore_index=True) if chunks else _describe_images(images)

    def summarise_both(self, before: Columns, now: Columns) -> tuple[pd.DataFrame, pd.DataFrame]:
        """As for one set, with the group of images that each looks like (`look`)."""
        images = np.concatenate([_small(before[self.field]), _small(now[self.field])])
        looks = group_alike(images.reshape(len(images), -1))
        tables = self.summarise(before), self.summarise(now)
        return tables if looks is None else with_groups(*tables, "look", [f"look {one}" for one in looks + 1])

    def to_state(self) -> dict[str, Any]:
        """Field and shape."""
        return {"field": self.field, "shape": list(self.shape)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The inverse of `to_state`."""
        return cls(state["field"], tuple(state["shape"]))


def _chunks(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    size = max(1, min(CHUNK, CHUNK_BYTES // (4 * math.prod(images.shape[1:]))))
    return (images[start : start + size] for start in range(0, len(images), size))


def _small(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images of at most `LOOK_SIDE` pixels a side: the means of squares, in larger ones."""
    steps = [-(-side // LOOK_SIDE) for side in images.shape[1:3]]
    if max(steps) == 1 or not len(images):
        return images
    return np.concatenate([_shrunk(chunk, steps) for chunk in _chunks(images)])


def _shrunk(images: NDArray[np.uint8], steps: Sequence[int]) -> NDArray[np.uint8]:
    """The mean of every so many pixels, down and across; at the end of a side of as many as are left."""
    means: NDArray[Any] = images
    for axis, step in enumerate(steps, 1):
        starts = np.arange(0, means.shape[axis], step)
        counts = np.diff(starts, append=means.shape[axis])
        sums = np.moveaxis(np.add.reduceat(means, starts, axis=axis, dtype=np.float32), axis, -1)
        means = np.moveaxis(sums / counts.astype(np.float32), -1, axis)
    return np.asarray(np.rint(means), dtype=np.uint8)


def _describe_images(images: NDArray[np.uint8]) -> pd.DataFrame:
    import pandas as pd

    pixels: NDArray[np.float32] = images.astype(np.float32) / np.float32(255)
    channels: dict[str, NDArray[np.float32]] = {}
    if pixels.ndim == 4:
        means = pixels.mean(axis=(1, 2))
        channels = {name: means[:, place] for place, name in enumerate(CHANNELS)}
        pixels = pixels @ LUMA
    centre_y, spread_y = _position(pixels.sum(axis=2))
    centre_x, spread_x = _position(pixels.sum(axis=1))
    steps = _mean_step(pixels, axis=1) + _mean_step(pixels, axis=2)
    return pd.DataFrame(
        {
            "ink": pixels.mean(axis=(1, 2)),
            "contrast": pixels.std(axis=(1, 2)),
            "coverage": (pixels > 0.5).mean(axis=(1, 2)),
            "faint": ((pixels > FAINT[0]) & (pixels < FAINT[1])).mean(axis=(1, 2)),
            "edges": steps / 2,
            "centre_x": centre_x,
            "centre_y": centre_y,
            "spread_x": spread_x,
            "spread_y": spread_y,
            **channels,
        },
        dtype=np.float64,
    )


def _position(weights: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of the position 0..1 under each row's weights; blank rows: the middle and 0."""
    places = (np.arange(weights.shape[1]) + 0.5) / weights.shape[1]
    total = weights.sum(axis=1, dtype=np.float64)
    share = weights / np.where(total > 0, total, 1)[:, np.newaxis]
    centre = np.where(total > 0, share @ places, 0.5)
    variance = (share * np.square(places - centre[:, np.newaxis])).sum(axis=1)
    return centre, np.sqrt(variance)


def _mean_step(pixels: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    if pixels.shape[axis] < 2:
        return np.zeros(len(pixels), dtype=np.float32)
    mean: NDArray[np.float32] = np.abs(np.diff(pixels, axis=axis)).mean(axis=(1, 2))
    return mean
