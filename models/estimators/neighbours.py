"""Nearest neighbours among the training texts, by cosine similarity (Cover and Hart, 1967).

Each neighbour's labels are weighted by a power of its similarity. Where rows are few and labels many, this
finds what a linear model misses. Answers need numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from models.estimators.arrays import Targets

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

POWER = 3
"""Similarity counts to this power, so that the nearest weigh most."""
Shares = NDArray[np.float32]


@dataclass(frozen=True)
class Neighbours:
    """An inverted index of texts: for each term, the rows that have it, and its weight there."""

    starts: NDArray[np.int64]
    """Where each term's rows begin, (terms + 1,)."""
    rows: NDArray[np.int32]
    weights: NDArray[np.float32]
    labels: Shares
    """Zeros and ones, (rows, labels), the oldest first."""

    def answer(self, places: NDArray[np.int64], weights: NDArray[np.float32], most: int) -> Shares:
        """Share of each label, (labels,), among the `most` most similar texts; zeros where none is similar.

        Args:
            places: the terms of a text.
            weights: their weights, which together have length 1.
            most: number of neighbours.
        """
        similarity = self._similarity(places, weights)
        nearest = np.argsort(-similarity, kind="stable")[:most]
        share = np.maximum(similarity[nearest], 0) ** POWER
        total = share.sum()
        if total <= 0:
            return np.zeros(self.labels.shape[1], dtype=np.float32)
        answer: Shares = ((share / total) @ self.labels[nearest]).astype(np.float32)
        return answer

    def extended(self, texts: csr_matrix, labels: Shares, newest: int) -> Neighbours:
        """These texts and newer ones, of which the newest are kept."""
        from scipy.sparse import csc_matrix, csr_matrix, vstack

        own_texts = csc_matrix((self.weights, self.rows, self.starts), shape=(len(self.labels), self._terms))
        new_texts = csr_matrix(texts[:, : self._terms])
        new_texts.resize((new_texts.shape[0], self._terms))
        all_texts = vstack([own_texts.tocsr(), new_texts]).tocsr()
        return index_texts(all_texts, np.concatenate([self.labels, labels]), newest)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays of the index, for a file."""
        return {
            "near_starts": self.starts,
            "near_rows": self.rows,
            "near_weights": self.weights,
            "near_labels": self.labels,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self | None:
        """The inverse of `to_arrays`; None where the file holds none."""
        if "near_starts" not in arrays:
            return None
        return cls(arrays["near_starts"], arrays["near_rows"], arrays["near_weights"], arrays["near_labels"])

    @property
    def _terms(self) -> int:
        return len(self.starts) - 1

    def _similarity(self, places: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.float64]:
        in_vocabulary = places < self._terms
        begin, end = self.starts[places[in_vocabulary]], self.starts[places[in_vocabulary] + 1]
        counts = end - begin
        # The positions of all rows of all terms, without a loop.
        shift = np.repeat(begin - np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64), counts)
        positions = np.arange(len(shift)) + shift
        products = self.weights[positions] * np.repeat(weights[in_vocabulary], counts)
        similarity: NDArray[Any] = np.bincount(self.rows[positions], products, minlength=len(self.labels))
        return similarity.astype(np.float64)


def index_texts(texts: csr_matrix, labels: Shares, newest: int) -> Neighbours:
    """The newest of these texts, rows of weighted terms, by term."""
    columns = texts[-newest:].tocsc()
    columns.sort_indices()
    return Neighbours(
        columns.indptr.astype(np.int64),
        columns.indices.astype(np.int32),
        columns.data.astype(np.float32),
        labels[-newest:],
    )


def indicator_matrix(y: Targets, n_classes: int) -> Shares:
    """Zeros and ones (n, n_classes), of class indices or of zeros and ones."""
    shares: Shares = (np.eye(n_classes)[y] if y.ndim == 1 else y).astype(np.float32)
    return shares
