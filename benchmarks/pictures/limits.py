"""What pictures at the documented limits cost: CPU seconds of one core, and how many a request may have.

python -m benchmarks.pictures.limits; needs 2 GB. Ends with an error where one takes more than `MOST_SECONDS`.
"""

from __future__ import annotations

import io
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageFile
from rich.console import Console

from configs.schema import FieldConfig
from features.records.image_field import TOGETHER, ImageField
from features.records.pictures.headers import read_header

MOST_SECONDS = 2.5
CONSOLE = Console(width=200, highlight=False)
SHAPE = (32, 32, 3)
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and steps, of the seven passes of an interlaced PNG."""
PAETH = b"\x04"
"""The filter of PNG that takes the longest to undo."""


def jpeg(width: int, height: int, *, noise: bool = False, extra: int = 0, **options: Any) -> bytes:
    """A JPEG of one colour or of noise, whose last scan comes `extra` times more."""
    image = Image.new("RGB", (width, height), (200, 0, 0))
    if noise:
        image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    held = io.BytesIO()
    image.save(held, "JPEG", **options)
    data = held.getvalue()
    last = data.rindex(b"\xff\xda") if extra else -2
    return data[:-2] + data[last:-2] * extra + data[-2:]


def png(width: int, height: int, pixel: int, depth: int, colour: int, *, interlaced: bool = False) -> bytes:
    """A black PNG of so many bytes a pixel."""
    passes = PASSES if interlaced else ((0, 0, 1, 1),)
    rows = b"".join(
        (PAETH + bytes(pixel * -(-(width - left) // across))) * -(-(height - top) // down)
        for left, top, across, down in passes
        if left < width and top < height
    )
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )


def noisy_png(side: int) -> bytes:
    """A PNG in colour of noise."""
    held = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(held, "PNG", compress_level=1)
    return held.getvalue()


CASES: dict[str, Callable[[], bytes]] = {
    "JPEG of a phone, 12 million pixels": lambda: jpeg(4000, 3000, noise=True, quality=30),
    "JPEG, 49 million pixels": lambda: jpeg(7000, 7000),
    "JPEG, 49 million pixels of noise": lambda: jpeg(7000, 7000, noise=True, quality=75),
    "progressive JPEG, 49 million pixels, 10 scans": lambda: jpeg(7000, 7000, progressive=True),
    "progressive JPEG, 6 million pixels, 83 scans": lambda: jpeg(2400, 2400, progressive=True, extra=73),
    "PNG, 25 million pixels": lambda: png(5000, 5000, 3, 8, 2),
    "PNG, 25 million pixels of noise": lambda: noisy_png(5000),
    "PNG, 25 million pixels, 16 bits, transparent": lambda: png(5000, 5000, 8, 16, 6),
    "interlaced PNG, 1 x 25 million, 16 bits": lambda: png(1, 25_000_000, 8, 16, 6, interlaced=True),
    "PNG, 1 x 25 million pixels": lambda: png(1, 25_000_000, 1, 8, 0),
}


def seconds_of() -> Iterator[tuple[str, int, float, int]]:
    """Name of each picture, its bytes, CPU seconds to decode it, how many of it a request may have."""
    field = ImageField(FieldConfig(name="photo", type="image", shape=SHAPE, resize="stretch"))
    for name, make in CASES.items():
        data = make()
        started = time.process_time()
        field.from_picture(data, TOGETHER)
        yield name, len(data), time.process_time() - started, TOGETHER // read_header(data).work


def main() -> None:
    """Print a line for each."""
    ImageFile.MAXBLOCK = 1 << 27  # for writing: noise does not shrink
    worst = 0.0
    for name, size, seconds, most in seconds_of():
        CONSOLE.print(
            f"{name:50} {size:11,} bytes {seconds:6.2f} s, {seconds * most:5.2f} s for {most} in a request"
        )
        worst = max(worst, seconds)
    if worst > MOST_SECONDS:
        sys.exit(f"one takes {worst:.1f} s, more than {MOST_SECONDS}")


if __name__ == "__main__":
    main()
