"""Texts to vectors, by a transformer that ONNX Runtime runs.

A text's vector is the mean of those of its windows, of length 1. Texts of one call of the transformer have
the same number of tokens: none waits for a longer one and none is padded, so no answer depends on what else
was asked.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from features.errors import TextModelDamaged
from features.meaning.reading import Reader, Reading, Tokens
from features.pretrained.graph_sessions import open_session
from features.pretrained.keeping import current_keeping
from features.pretrained.kept_vectors import KeptVectors

GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"
MODEL_FILES = (GRAPH, TOKENIZER)
"""Files of a text model in its folder."""
MOST_TOKENS = 2048
"""Tokens in one call of the transformer, to bound its memory."""
PORTION = 512
"""Texts that are read between two writes of what is kept: a kill loses no more."""
MASK, KINDS = "attention_mask", "token_type_ids"
"""Inputs that graphs of others may have beside the tokens."""

Vectors = NDArray[np.float32]


class TextModel:
    """A tokenizer and a transformer; safe to use from many threads."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.digest = digest
        """`digest_model` of its folder."""
        self._reader = Reader(folder / TOKENIZER)
        self._session = _open_session(folder / GRAPH)
        self._inputs: list[str] = [one.name for one in self._session.get_inputs()]
        try:
            self.places = self._call(self._reader.windows("a", Reading(8, 0, 1))).shape[1]
            """Numbers of a vector."""
        except Exception as error:
            raise TextModelDamaged(folder / GRAPH, f"does not turn tokens into vectors: {error}") from error

    def embed(self, texts: Sequence[str], reading: Reading) -> Vectors:
        """A vector of length 1 for each text, shape (n, places); zeros for one that has nothing to read."""
        keeping = current_keeping()
        if keeping is None:
            return self._embed_kept(texts, reading, None)
        if keeping.threads == 1:
            return self._embed_kept(texts, reading, keeping.vectors)
        with ThreadPoolExecutor(keeping.threads) as pool:
            return self._embed_kept(texts, reading, keeping.vectors, pool)

    def _embed_kept(
        self,
        texts: Sequence[str],
        reading: Reading,
        kept: KeptVectors | None,
        pool: ThreadPoolExecutor | None = None,
    ) -> Vectors:
        """The same, of which those that are kept are not made again, and no text twice."""
        keys = [self._key(text, reading) for text in texts]
        known = {} if kept is None else kept.find(keys, self.places)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        for start in range(0, len(new), PORTION):
            some = list(new)[start : start + PORTION]
            fresh = dict(zip(some, self._embed([new[key] for key in some], reading, pool), strict=True))
            known |= fresh
            if kept is not None:
                kept.keep(fresh)
        return np.array([known[key] for key in keys], np.float32).reshape(len(texts), self.places)

    def _key(self, text: str, reading: Reading) -> bytes:
        told = f"{self.digest}\0{reading}\0{text}"
        return hashlib.sha256(told.encode(errors="surrogatepass")).digest()

    def _embed(self, texts: Sequence[str], reading: Reading, pool: ThreadPoolExecutor | None) -> Vectors:
        windows: list[Tokens] = []
        owners: list[int] = []
        for place, text in enumerate(texts):
            parts = self._reader.windows(text, reading)
            windows += parts
            owners += [place] * len(parts)
        calls = _calls(windows)
        run = map if pool is None else pool.map
        asked = [[windows[at] for at in call] for call in calls]
        found = np.zeros((len(windows), self.places), np.float32)
        for call, vectors in zip(calls, run(self._call, asked), strict=True):
            found[call] = vectors
        totals = np.zeros((len(texts), self.places), np.float32)
        np.add.at(totals, owners, found)
        return _scaled(totals)

    def _call(self, texts: Sequence[Tokens]) -> Vectors:
        """Vectors of texts with the same number of tokens."""
        ids = np.array(texts, np.int64)
        besides = {MASK: np.ones_like, KINDS: np.zeros_like}
        (answer,) = self._session.run(
            None, {name: besides.get(name, np.array)(ids) for name in self._inputs}
        )[:1]
        if answer.ndim == 3:  # a vector for each token, of which the mean is taken
            answer = np.stack([tokens.sum(axis=0) for tokens in answer])
        return _scaled(answer.astype(np.float32))


@dataclass(frozen=True)
class OpenModel:
    """A text model, and a folder of its files."""

    model: TextModel
    """Shared by all that have the same files, whichever folder those lie in."""
    folder: Path


def open_text_model(folder: Path, digest: str | None = None) -> OpenModel:
    """The model in a folder; one that is open in this process already is shared, wherever its files lie.

    Args:
        folder: holds `model.onnx` and `tokenizer.json`.
        digest: what `digest_model` must say of it; None: anything.

    Raises:
        TextModelDamaged: a file is missing, is not what it should be, or is another one.
        TextModelMissing: the tokenizers are not installed.
    """
    found = digest_model(folder)
    if digest is not None and found != digest:
        raise TextModelDamaged(folder, f"is not the text model that was learned with: {found}, not {digest}")
    with _opening:
        model = _open.get(found)
        if model is None:
            model = _open[found] = TextModel(folder, found)
    return OpenModel(model, folder)


def copy_model(opened: OpenModel, target: Path) -> None:
    """Copy the files of a text model into a folder, which is made.

    Raises:
        TextModelDamaged: they are gone, or were changed since it was opened.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        for name in MODEL_FILES:
            shutil.copyfile(opened.folder / name, target / name)
    except OSError as error:
        raise TextModelDamaged(opened.folder, f"cannot be copied: {error}") from error
    if digest_model(target) != opened.model.digest:
        raise TextModelDamaged(opened.folder, "was changed since it was opened")


def digest_model(folder: Path) -> str:
    """SHA-256 of both files of a text model.

    Raises:
        TextModelDamaged: one cannot be read.
    """
    digest = hashlib.sha256()
    for name in MODEL_FILES:
        try:
            with (folder / name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise TextModelDamaged(folder / name, f"cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _open_session(path: Path) -> Any:
    try:
        return open_session(path)
    except Exception as error:  # the runtime has many kinds, with no common base
        raise TextModelDamaged(path, f"cannot be loaded: {error}") from error


def _calls(windows: Sequence[Tokens]) -> list[list[int]]:
    """Places of windows of the same length, as many together as one call takes."""
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for place, window in enumerate(windows):
        by_length[len(window)].append(place)
    calls = []
    for length, places in by_length.items():
        most = max(1, MOST_TOKENS // length)
        calls += [places[start : start + most] for start in range(0, len(places), most)]
    return calls


def _scaled(vectors: Vectors) -> Vectors:
    """Each to length 1, by itself; zeros stay."""
    lengths = np.array([np.sqrt(np.dot(one, one)) for one in vectors], np.float32)[:, np.newaxis]
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


_open: WeakValueDictionary[str, TextModel] = WeakValueDictionary()
"""By digest, those that something in this process uses."""
_opening = Lock()
