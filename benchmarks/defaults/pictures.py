"""Pictures with their labels: of digits, animals and faces, letters in fonts, patches of photographs."""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.defaults.data_set import PACKAGES, DataSet

PATCH = 16
LETTER = 20


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays, and refuses all else that a pickle could bring to life."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def _animals(name: str) -> DataSet:
    folder = PACKAGES / "animal_mnist" / "data" / "Animal_MNIST"
    pictures, labels = (
        _ArraysOnly(io.BytesIO(gzip.decompress((folder / f"animal_{part}_version_3.gz").read_bytes()))).load()
        for part in ("data", "label")
    )
    return DataSet(name, np.array(labels).astype(str), pictures=np.asarray(pictures).reshape(-1, 28, 28))


def _digits8(name: str) -> DataSet:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pictures = np.round(bunch.images * 255 / 16).astype(np.uint8)
    return DataSet(name, bunch.target.astype(str), pictures=pictures)


def _photo_patches(name: str) -> DataSet:
    """Which of two photos a patch comes from; colours are left out."""
    from sklearn.datasets import load_sample_images

    patches, labels = [], []
    for label, photo in zip(("temple", "flower"), load_sample_images().images, strict=True):
        grey = photo.mean(axis=2).astype(np.uint8)
        for top in range(0, grey.shape[0] - PATCH + 1, PATCH):
            for left in range(0, grey.shape[1] - PATCH + 1, PATCH):
                patches.append(grey[top : top + PATCH, left : left + PATCH])
                labels.append(label)
    return DataSet(name, np.array(labels), pictures=np.array(patches))


def _letters(name: str) -> DataSet:
    """Capitals in the fonts of matplotlib, each three times: shifted, turned and scaled by chance."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    random = np.random.default_rng(7)
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    pictures, labels = [], []
    for path in sorted(folder.glob("*.ttf")):
        if "Siz" in path.name or "cmex" in path.name or "cmsy" in path.name:
            continue  # signs, no letters
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            for _ in range(3):
                font = ImageFont.truetype(str(path), int(random.integers(12, 17)))
                image = Image.new("L", (LETTER, LETTER))
                at = tuple(LETTER // 2 + random.integers(-1, 2, 2))
                ImageDraw.Draw(image).text(at, letter, font=font, fill=255, anchor="mm")
                pictures.append(np.asarray(image.rotate(float(random.uniform(-12, 12)))))
                labels.append(letter)
    return DataSet(name, np.array(labels), pictures=np.array(pictures))


def _textures(name: str) -> DataSet:
    """Which of three photographed grounds a patch is of."""
    from PIL import Image

    patches, labels = [], []
    for label in ("brick", "grass", "gravel"):
        with Image.open(PACKAGES / "skimage" / "data" / f"{label}.png") as image:
            grey = np.asarray(image.convert("L"))
        for top in range(0, grey.shape[0] - PATCH + 1, PATCH):
            for left in range(0, grey.shape[1] - PATCH + 1, PATCH):
                patches.append(grey[top : top + PATCH, left : left + PATCH])
                labels.append(label)
    return DataSet(name, np.array(labels), pictures=np.array(patches))


def _faces(name: str) -> DataSet:
    """A face or none, 25x25 pixels; the first half of the file are faces."""
    pictures = np.load(PACKAGES / "skimage" / "data" / "lfw_subset.npy", allow_pickle=False)
    scale = 255 if pictures.max() <= 1 else 1
    labels = np.where(np.arange(len(pictures)) < len(pictures) // 2, "face", "none")
    return DataSet(name, labels, pictures=np.round(pictures * scale).astype(np.uint8))


PICTURE_SETS: Mapping[str, Callable[[str], DataSet]] = {
    "animals": _animals,
    "digits8": _digits8,
    "faces": _faces,
    "letters": _letters,
    "photo_patches": _photo_patches,
    "textures": _textures,
}
"""Name to what reads it."""
