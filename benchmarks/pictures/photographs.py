"""A task in colour from photographs that two packages carry: which photograph is this a small part of?

Each photograph is cut in squares of 64 pixels; of one square in five every part is held out, so that no such
pixel was seen in training. Parts are of 24 to 48 pixels, resized to 32.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PHOTOGRAPHS = {
    "astronaut": "skimage/data/astronaut.png",
    "cat": "skimage/data/chelsea.png",
    "coffee": "skimage/data/coffee.png",
    "galaxies": "skimage/data/hubble_deep_field.jpg",
    "tissue": "skimage/data/ihc.png",
    "retina": "skimage/data/retina.jpg",
    "rocket": "skimage/data/rocket.jpg",
    "motorcycle": "skimage/data/motorcycle_left.png",
    "temple": "sklearn/datasets/images/china.jpg",
    "flower": "sklearn/datasets/images/flower.jpg",
}
SQUARE, SIDE, HELD_OUT = 64, 32, 0.2
Pixels = NDArray[np.uint8]


def write_task(folder: Path, rows: int, seed: int = 0) -> tuple[Path, Path]:
    """Write PNG and JPEG files in a folder a class, and the CSV of those to learn and of those held out.

    Raises:
        ModuleNotFoundError: scikit-image is not installed.
    """
    random = np.random.default_rng(seed)
    photographs = {name: _read(place) for name, place in PHOTOGRAPHS.items()}
    held_out = {name: _held_out_squares(pixels) for name, pixels in photographs.items()}
    lines: dict[bool, list[str]] = {False: [], True: []}
    for row in range(rows):
        name = list(photographs)[row % len(photographs)]
        part, is_held_out = _part(photographs[name], held_out[name], random)
        path = Path(name) / f"{row}.{'jpg' if row % 20 < 10 else 'png'}"
        (folder / name).mkdir(parents=True, exist_ok=True)
        part.save(folder / path, quality=92)
        lines[is_held_out].append(f"{path},{name}\n")
    files = folder / "train.csv", folder / "held_out.csv"
    for file, is_held_out in zip(files, (False, True), strict=True):
        file.write_text("file,label\n" + "".join(lines[is_held_out]), encoding="utf-8")
    return files


def _read(place: str) -> Pixels:
    package, _, inner = place.partition("/")
    found = find_spec(package)  # looked for and not imported: it brings much that is not needed
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed, which carries photographs")
    with Image.open(Path(found.origin).parent / inner) as image:
        return np.asarray(image.convert("RGB"))


def _held_out_squares(pixels: Pixels) -> NDArray[np.bool_]:
    rows, columns = pixels.shape[0] // SQUARE, pixels.shape[1] // SQUARE
    squares = np.arange(rows * columns) < HELD_OUT * rows * columns
    return np.random.default_rng(1).permuted(squares).reshape(rows, columns)


def _part(pixels: Pixels, held_out: NDArray[np.bool_], random: np.random.Generator) -> tuple[Any, bool]:
    row, column = (int(random.integers(count)) for count in held_out.shape)
    side = int(random.integers(24, 49))
    top, left = (int(start) for start in random.integers(0, SQUARE - side + 1, 2))
    part = pixels[row * SQUARE + top :, column * SQUARE + left :][:side, :side]
    return Image.fromarray(part).resize((SIDE, SIDE), Image.Resampling.BICUBIC), bool(held_out[row, column])
