"""Pictures to vectors, by a network that ONNX Runtime runs.

Pictures are computed one by one, so no answer depends on what else was asked; in training several at a time.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from features.backbone.preparing import CONFIG, Preparing, read_preparing
from features.errors import PictureModelDamaged
from features.pretrained.graph_sessions import open_session
from features.pretrained.keeping import current_keeping
from features.pretrained.kept_vectors import KeptVectors

GRAPH = "model.onnx"
MODEL_FILES = (GRAPH, CONFIG)
"""Files of a network in its folder; the second may be missing."""
PREFERRED = ("image_embeds", "pooler_output")
"""Outputs that are taken where a graph has several."""
PORTION = 256
"""Pictures that are computed between two writes of what is kept: a kill loses no more."""

Vectors = NDArray[np.float32]
Images = NDArray[np.uint8]


class PictureModel:
    """A network; safe to use from many threads."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.digest = digest
        """`digest_model` of its folder."""
        try:
            self._session = open_session(folder / GRAPH)
        except Exception as error:  # the runtime has many kinds, with no common base
            raise PictureModelDamaged(folder / GRAPH, f"cannot be loaded: {error}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            raise PictureModelDamaged(
                folder / GRAPH,
                f"takes {[(one.name, one.type, one.shape) for one in inputs]}; allowed: one input of "
                "pictures, float (n, 3, height, width) or (n, height, width, 3)",
            )
        self._input: str = inputs[0].name
        self.preparing: Preparing = read_preparing(folder, inputs[0].shape)
        names = [one.name for one in self._session.get_outputs()]
        flat = [one.name for one in self._session.get_outputs() if len(one.shape) == 2]
        self._output: str = next((one for one in (*PREFERRED, *flat) if one in names), names[0])
        try:
            self.places = len(self._answer(np.zeros((64, 64, 3), np.uint8), 64))
            """Numbers of a vector."""
        except Exception as error:  # the runtime has many kinds, with no common base
            raise PictureModelDamaged(
                folder / GRAPH, f"does not turn pictures into vectors: {error}"
            ) from error

    def embed(self, images: Images, side: int) -> Vectors:
        """A vector for each picture, (n, places).

        Args:
            images: (n, height, width), grey, or (n, height, width, 3).
            side: of the pictures as the network sees them, where it takes any.
        """
        keeping = current_keeping()
        if keeping is None:
            return self._embed_kept(images, side, None, None)
        with ThreadPoolExecutor(keeping.threads) as pool:
            return self._embed_kept(images, side, keeping.vectors, pool)

    def _embed_kept(
        self, images: Images, side: int, kept: KeptVectors | None, pool: ThreadPoolExecutor | None
    ) -> Vectors:
        """The same, of which those that are kept are not made again, and no picture twice."""
        keys = [self._key(image, side) for image in images]
        known = {} if kept is None else kept.find(keys, self.places)
        new = {key: place for place, key in enumerate(keys) if key not in known}
        run = map if pool is None else pool.map
        for start in range(0, len(new), PORTION):
            some = list(new)[start : start + PORTION]
            answers = run(lambda key: self._answer(images[new[key]], side), some)
            fresh = dict(zip(some, answers, strict=True))
            known |= fresh
            if kept is not None:
                kept.keep(fresh)
        return np.array([known[key] for key in keys], np.float32).reshape(len(images), self.places)

    def _key(self, image: Images, side: int) -> bytes:
        told = f"{self.digest}\0{side}\0{image.shape}\0".encode()
        return hashlib.sha256(told + image.tobytes()).digest()

    def _answer(self, image: Images, side: int) -> Vectors:
        (answer,) = self._session.run([self._output], {self._input: self.preparing.prepare(image, side)})
        vector = answer[0]
        if vector.ndim == 3:  # a map of the picture
            vector = vector.mean(axis=(1, 2))
        elif vector.ndim == 2:  # a vector for each part of it
            vector = vector.mean(axis=0)
        return np.asarray(vector.reshape(-1), np.float32)


@dataclass(frozen=True)
class OpenPictureModel:
    """A network, and a folder of its files."""

    model: PictureModel
    """Shared by all that have the same files, whichever folder those lie in."""
    folder: Path


def open_picture_model(folder: Path, digest: str | None = None) -> OpenPictureModel:
    """The network in a folder; one that is open in this process already is shared.

    Args:
        folder: holds `model.onnx` and, where it has one, `preprocessor_config.json`.
        digest: what `digest_model` must say of it; None: anything.

    Raises:
        PictureModelDamaged: a file is missing, is not what it should be, or is another one.
    """
    found = digest_model(folder)
    if digest is not None and found != digest:
        raise PictureModelDamaged(folder, f"is not the network that was learned with: {found}, not {digest}")
    with _opening:
        model = _open.get(found)
        if model is None:
            model = _open[found] = PictureModel(folder, found)
    return OpenPictureModel(model, folder)


def copy_model(opened: OpenPictureModel, target: Path) -> None:
    """Copy the files of a network into a folder, which is made.

    Raises:
        PictureModelDamaged: they are gone, or were changed since it was opened.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        for name in _present(opened.folder):
            shutil.copyfile(opened.folder / name, target / name)
    except OSError as error:
        raise PictureModelDamaged(opened.folder, f"cannot be copied: {error}") from error
    if digest_model(target) != opened.model.digest:
        raise PictureModelDamaged(opened.folder, "was changed since it was opened")


def digest_model(folder: Path) -> str:
    """SHA-256 of the files of a network.

    Raises:
        PictureModelDamaged: one cannot be read.
    """
    digest = hashlib.sha256()
    for name in _present(folder):
        try:
            with (folder / name).open("rb") as file:
                digest.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise PictureModelDamaged(folder / name, f"cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _present(folder: Path) -> Sequence[str]:
    return MODEL_FILES if (folder / CONFIG).exists() else (GRAPH,)


_open: WeakValueDictionary[str, PictureModel] = WeakValueDictionary()
"""By digest, those that something in this process uses."""
_opening = Lock()
