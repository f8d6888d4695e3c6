"""One data set, several splits: Ratchet's score beside the plain ones, and the interval of the difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedShuffleSplit

from benchmarks.defaults.data_set import DataSet
from benchmarks.defaults.ours import answer, check, describe
from benchmarks.defaults.plain import answer_plainly
from models.metrics.catalogue import compute

HELD_OUT = 0.25
MOST_HELD_OUT = 2500
RESAMPLES = 1000
UNEVEN = 3.0
"""Where the largest class has more rows than so many times the smallest, macro F1 is the score."""


@dataclass(frozen=True)
class Difference:
    """How much better than one plain model, with the 95 percent interval of a paired bootstrap."""

    plain: str
    score: float
    """Of the plain model."""
    mean: float
    low: float
    high: float
    seconds: float
    """Of its fit."""

    @property
    def lost(self) -> bool:
        """Whether it is below by more than chance."""
        return self.high < 0


@dataclass(frozen=True)
class Compared:
    """What came of one data set, means over the splits."""

    name: str
    kind: str
    rows: int
    fields: int
    classes: int
    metric: str
    score: float
    seconds: float
    differences: tuple[Difference, ...]
    """From each plain model."""

    @property
    def best_plain(self) -> Difference:
        """The plain model with the best score."""
        return max(self.differences, key=lambda one: one.score)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def compare(data: DataSet, kind: str, splits: int, model: Mapping[str, Any] | None = None) -> Compared:
    """Fit all on the same rows of each split and score them on the same others.

    A resample gives each row of the data one weight, which counts in every split that holds the row out: the
    splits overlap, and are no new evidence each.
    """
    classes = tuple(sorted(set(data.labels.tolist())))
    counts = np.unique(data.labels, return_counts=True)[1]
    metric = "f1_macro" if counts.max() > UNEVEN * counts.min() else "accuracy"
    use_case = describe(data, classes, metric, model)
    columns = check(use_case, data)
    truth = np.searchsorted(classes, data.labels)
    weights = (
        np.random.default_rng(7)
        .multinomial(len(truth), np.full(len(truth), 1 / len(truth)), RESAMPLES)
        .astype(np.float64)
    )
    held_out = min(HELD_OUT, MOST_HELD_OUT / len(truth))
    drawn = StratifiedShuffleSplit(splits, test_size=held_out, random_state=7)
    scores: dict[str, list[NDArray[np.float64]]] = {}
    seconds: dict[str, list[float]] = {}
    for train, test in drawn.split(truth, truth):
        answers = {"ratchet": answer(use_case, columns, data.labels, train, test)}
        answers |= answer_plainly(data, classes, train, test)
        every = np.concatenate([np.ones((1, len(test))), weights[:, test]])
        for name, answered in answers.items():
            scores.setdefault(name, []).append(compute(metric, truth[test], answered.probabilities, every))
            seconds.setdefault(name, []).append(answered.seconds)
    means = {name: np.mean(values, axis=0) for name, values in scores.items()}
    ours = means.pop("ratchet")
    return Compared(
        data.name,
        kind,
        len(truth),
        len(use_case.record.fields),
        len(classes),
        metric,
        float(ours[0]),
        float(np.mean(seconds["ratchet"])),
        tuple(_difference(name, ours, plain, float(np.mean(seconds[name]))) for name, plain in means.items()),
    )


def _difference(
    name: str, ours: NDArray[np.float64], plain: NDArray[np.float64], seconds: float
) -> Difference:
    low, high = np.nanquantile(ours[1:] - plain[1:], (0.025, 0.975)).tolist()
    return Difference(name, float(plain[0]), float(ours[0] - plain[0]), low, high, seconds)
