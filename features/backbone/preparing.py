"""How a network takes pictures: their size, the order of their numbers, and how these are scaled.

Sizes and order follow from the graph; the scale from `preprocessor_config.json`, which exporters write beside
it (as Hugging Face's do). Without that, numbers are 0 to 1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import PictureModelDamaged

CONFIG = "preprocessor_config.json"
CHANNELS = 3
LEAST_SIDE = 32


@dataclass(frozen=True)
class Preparing:
    """What is done with a picture before a network sees it."""

    size: tuple[int, int] | None
    """Height and width; None: any."""
    channels_first: bool
    factor: float
    """By which levels 0 to 255 are multiplied."""
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def prepare(self, image: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
        """A batch of one picture; grey ones get three equal channels.

        Args:
            image: (height, width) or (height, width, 3).
            side: the longer side, where any size is taken.
        """
        from PIL import Image

        colour = image if image.ndim == 3 else np.repeat(image[..., np.newaxis], CHANNELS, axis=2)
        height, width = self.size or _scaled(image.shape[0], image.shape[1], side)
        if colour.shape[:2] != (height, width):
            resized = Image.fromarray(np.ascontiguousarray(colour)).resize(
                (width, height), Image.Resampling.BICUBIC
            )
            colour = np.asarray(resized)
        mean, deviation = np.array(self.mean, np.float32), np.array(self.deviation, np.float32)
        numbers = (colour * np.float32(self.factor) - mean) / deviation
        ordered = numbers.transpose(2, 0, 1) if self.channels_first else numbers
        return np.ascontiguousarray(ordered[np.newaxis], dtype=np.float32)


def read_preparing(folder: Path, shape: Sequence[Any]) -> Preparing:
    """As the graph's input and the file beside it say.

    Args:
        shape: of the input: numbers, and names or None where it may be any.

    Raises:
        PictureModelDamaged: the file cannot be read, or says what is not done here.
    """
    first = shape[3] != CHANNELS or shape[1] == CHANNELS
    sides = shape[2:] if first else shape[1:3]
    if (shape[1] if first else shape[3]) not in (CHANNELS, None) and isinstance(
        shape[1 if first else 3], int
    ):
        raise PictureModelDamaged(folder, f"takes pictures of shape {list(shape)}; allowed: 3 channels")
    told = _read(folder / CONFIG)
    fixed = (sides[0], sides[1]) if all(isinstance(one, int) and one > 0 for one in sides) else None
    scales = told.get("do_normalize", "image_mean" in told)
    try:
        return Preparing(
            fixed or _size(told),
            first,
            float(told.get("rescale_factor", 1 / 255)) if told.get("do_rescale", True) else 1.0,
            _three(told["image_mean"]) if scales else (0.0,) * CHANNELS,
            _three(told["image_std"]) if scales else (1.0,) * CHANNELS,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PictureModelDamaged(folder / CONFIG, f"cannot be read: {error!r}") from error


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PictureModelDamaged(path, f"cannot be read: {error}") from error
    return told if isinstance(told, dict) else {}


def _size(told: dict[str, Any]) -> tuple[int, int] | None:
    """That of `crop_size`, or else of `size`: a number, height and width, or the shorter side."""
    size = told.get("crop_size") or told.get("size")
    if isinstance(size, int):
        return size, size
    if not isinstance(size, dict):
        return None
    if "shortest_edge" in size:
        return int(size["shortest_edge"]), int(size["shortest_edge"])
    return (int(size["height"]), int(size["width"])) if "height" in size else None


def _three(values: Any) -> tuple[float, ...]:
    numbers = tuple(map(float, values))
    if len(numbers) != CHANNELS:
        raise ValueError(f"{len(numbers)} numbers, for 3 channels")
    return numbers


def _scaled(height: int, width: int, side: int) -> tuple[int, int]:
    scale = side / max(height, width)
    return max(LEAST_SIDE, round(height * scale)), max(LEAST_SIDE, round(width * scale))
