"""What the laws are held to: a class with parameters, and encoded rows of a kind with a pattern to learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from configs.combinations import learns_from_terms
from models.estimators.arrays import Features, Targets
from models.estimators.catalogue import estimator_class, kinds_of, make_estimator
from models.estimators.contract import Estimator
from models.estimators.fit_watch import SilentWatch, Watch

CLASSES = 3
TRAINING, HELD_OUT = 300, 90
SEED = 7
TERMS_BESIDE = "mixed_terms"
WIDTH, TERMS, ROOM, SIDE = 6, 12, 5, 8


@dataclass(frozen=True)
class Rows:
    """Encoded rows, and the class of each."""

    x: Features
    y: Targets

    @property
    def label_sets(self) -> Targets:
        """Zeros and ones (n, classes): of each class its own, and of every other row the next one too."""
        own = np.eye(CLASSES, dtype=np.int64)[self.y]
        own[::2] |= np.roll(own[::2], 1, axis=1)
        return own


@dataclass(frozen=True)
class Subject:
    """A class, asked by its name."""

    name: str
    """As in `model.estimator`."""
    kind: str
    params: Mapping[str, Any]
    folder: Path
    """An empty one of its own."""

    @cached_property
    def estimator_class(self) -> type[Estimator]:
        """The class itself."""
        return estimator_class(self.name)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that it says it learns from."""
        return kinds_of(self.name, self.estimator_class)

    @property
    def multilabel(self) -> bool:
        """Whether it says that it learns label sets."""
        return bool(getattr(self.estimator_class, "multilabel", False))

    @property
    def _layout(self) -> str:
        """Which rows its kind has: of `mixed` ones texts are terms for some."""
        return TERMS_BESIDE if self.kind == "mixed" and learns_from_terms(self.name) else self.kind

    @cached_property
    def training(self) -> Rows:
        """Rows to learn from."""
        return make_rows(self._layout, TRAINING, seed=1)

    @cached_property
    def held_out(self) -> Rows:
        """Other rows of the same pattern."""
        return make_rows(self._layout, HELD_OUT, seed=2)

    @cached_property
    def fitted(self) -> Estimator:
        """One that has learned the training rows; no law may change it."""
        return self.fit(self.training)

    @cached_property
    def answers(self) -> NDArray[np.float32]:
        """What that one says of the held-out rows."""
        return self.fitted.predict_proba(self.held_out.x)

    def make(self) -> Estimator:
        """One that has not learned."""
        return make_estimator(self.name, self.params)

    def fit(self, rows: Rows, *, watch: Watch | None = None, sets: bool = False) -> Estimator:
        """One that has learned rows; `sets`: several labels a row."""
        estimator = self.make()
        targets = rows.label_sets if sets else rows.y
        estimator.fit(rows.x, targets, n_classes=CLASSES, seed=SEED, watch=watch or SilentWatch())
        return estimator

    def subfolder(self, name: str) -> Path:
        """A new folder."""
        return Path(mkdtemp(prefix=f"{name}-", dir=self.folder))


def make_rows(layout: str, count: int, *, seed: int) -> Rows:
    """Rows as the encoder of a kind, or `TERMS_BESIDE`, gives them, in which each class is plain to see."""
    random = np.random.default_rng(seed)
    y = random.permutation(np.arange(count) % CLASSES).astype(np.int64)
    made = {"text": _texts, "image": _images, TERMS_BESIDE: _terms_beside}
    x = made.get(layout, _tables)(y, random)
    return Rows(np.ascontiguousarray(x, dtype=np.float32), y)


def _tables(y: Targets, random: np.random.Generator) -> NDArray[np.float64]:
    """Standardised numbers, of which the first two tell the class, and flags."""
    x = random.normal(size=(len(y), WIDTH))
    x[:, 0] += 2.5 * (y - 1)
    x[:, 1] += 2.5 * (y == 1)
    x[:, 4:] = x[:, 4:] > 0
    return x


def _texts(y: Targets, random: np.random.Generator) -> NDArray[np.float64]:
    """Places and weights of terms (n, 2, room): words at even places, and one of them tells the class."""
    count = len(y)
    places = np.stack([2 * y, *2 * random.integers(CLASSES, TERMS, size=(ROOM - 2, count)), np.zeros(count)])
    weights = np.stack([*random.uniform(0.5, 1, size=(ROOM - 1, count)), np.zeros(count)])
    return cast("NDArray[np.float64]", np.stack([places.T, weights.T], axis=1))


def _terms_beside(y: Targets, random: np.random.Generator) -> NDArray[np.float64]:
    """Numbers at places below 0, then terms (n, 2, numbers + room)."""
    numbers = _tables(y, random)
    places = np.broadcast_to(-1.0 - np.arange(WIDTH), numbers.shape)
    return np.concatenate([np.stack([places, numbers], axis=1), _texts(y, random)], axis=2)


def _images(y: Targets, random: np.random.Generator) -> NDArray[np.float64]:
    """A bright column on a dark ground, whose place tells the class."""
    x = random.uniform(0, 0.2, size=(len(y), SIDE, SIDE, 1))
    x[np.arange(len(y)), :, 1 + 2 * y, 0] += 0.7
    return x
