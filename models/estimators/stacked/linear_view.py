"""A linear model of a record's numbers and terms: what it says is a number among others for trees.

It answers by numpy, one row at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.encoders.text_rows import TextRows, to_sparse
from models.estimators.adagrad import AdagradSettings, LinearTraining, Weights
from models.estimators.arrays import Features, Targets
from models.estimators.fit_watch import Watch

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LIMIT = 3.0
"""Standardised numbers beyond count as this: one that is far away does not outweigh all else."""
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class LinearView:
    """Weights of numbers and terms."""

    numbers: Weights
    """Shape (numbers, outputs); (0, outputs) for one that looks at terms only."""
    terms: Weights
    """Shape (terms, outputs)."""
    bias: Weights
    """Shape (outputs,)."""
    scale: float
    """What numbers are multiplied with; the terms of a row together have length 1."""

    @classmethod
    def empty(cls, numbers: int, outputs: int, scale: float) -> LinearView:
        """One that has learned nothing."""
        return cls(
            np.zeros((numbers, outputs), np.float32),
            np.zeros((0, outputs), np.float32),
            np.zeros(outputs, np.float32),
            scale,
        )

    def scores(self, numbers: Features, terms: Features) -> Scores:
        """Scores of n rows, shape (n, outputs).

        Args:
            numbers: shape (n, numbers), of which as many count as this one looks at.
            terms: places and weights, shape (n, 2, room).
        """
        scores = np.empty((len(numbers), len(self.bias)), dtype=np.float32)
        known = (terms[:, 1] != 0) & (terms[:, 0] < len(self.terms))
        bounded = _bounded(numbers[:, : len(self.numbers)], self.scale)
        for row, (used, text) in enumerate(zip(known, terms, strict=True)):
            # One row at a time: an answer then does not depend on its neighbours, not even in the last bit.
            scores[row] = text[1][used] @ self.terms[text[0][used].astype(np.int64)]
            if len(self.numbers):
                scores[row] += bounded[row] @ self.numbers
        return scores + self.bias

    def learned(
        self,
        numbers: Features,
        terms: Features,
        y: Targets,
        base: Scores,
        settings: AdagradSettings,
        seed: int,
        watch: Watch,
    ) -> LinearView:
        """One that has learned from these rows as well, gently, what scores from elsewhere lack.

        Args:
            numbers: shape (n, numbers).
            terms: places and weights, shape (n, 2, room).
            y: places of outputs (n,), or zeros and ones (n, outputs).
            base: those scores, shape (n, outputs).
            settings: of the training.
            seed: of the order of the rows.
            watch: told of progress.

        Raises:
            TrainingStopped: the watch asked for it.
        """
        count = len(self.numbers)
        rows = as_one(numbers[:, :count], terms, self.scale, least=len(self.terms))
        weights = np.zeros((rows.shape[1], len(self.bias)), np.float32)
        weights[:count], weights[count : count + len(self.terms)] = self.numbers, self.terms
        run = start_training(weights, self.bias.copy(), y)
        run.offsets = base
        # A few rows do not tell how frequent classes are.
        run.learns_bias = False
        run.damp_first_steps()
        run.train(without_meaning(rows), y, settings, seed, watch, None)
        return replace(self, numbers=run.weights[:count], terms=run.weights[count:], bias=run.bias)

    def to_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """All arrays, for a file that holds several views by their names."""
        parts = {"numbers": self.numbers, "terms": self.terms, "bias": self.bias}
        return {f"{name}_{part}": array for part, array in parts.items()} | {
            f"{name}_scale": np.array(self.scale)
        }

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, NDArray[Any]]) -> LinearView | None:
        """The inverse of `to_arrays`; None where the file holds none of this name."""
        if f"{name}_bias" not in arrays:
            return None
        numbers, terms, bias = (arrays[f"{name}_{part}"] for part in ("numbers", "terms", "bias"))
        return cls(numbers, terms, bias, float(arrays[f"{name}_scale"]))


def start_training(weights: Weights, bias: Weights, y: Targets) -> LinearTraining:
    """A training of numbers and terms as one, shape (numbers + terms, outputs)."""
    return LinearTraining(weights, np.zeros((0, len(bias)), np.float32), bias, per_label=y.ndim == 2)


def without_meaning(rows: csr_matrix) -> TextRows:
    """Numbers and terms as rows to train on."""
    return TextRows(rows, np.zeros((rows.shape[0], 0), np.float32))


def as_one(numbers: Features, terms: Features, scale: float, *, least: int = 0) -> csr_matrix:
    """Numbers, then terms, of n rows as one sparse matrix; `least`: columns of terms, if not more."""
    from scipy.sparse import csr_matrix, hstack

    width = max(least, int(terms[:, 0].max(initial=0)) + 1)
    return csr_matrix(hstack([csr_matrix(_bounded(numbers, scale)), to_sparse(terms, width)]))


def _bounded(numbers: Features, scale: float) -> Features:
    bounded: Features = np.clip(numbers, -LIMIT, LIMIT) * np.float32(scale)
    return bounded
