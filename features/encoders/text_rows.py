"""Encoded texts as matrices: terms, sparse, and beside them the numbers of their meaning, dense.

An encoded text is (2, room): places and weights. Places from 0 on are of terms. Those below 0 are of its
meaning (`features.meaning`): -1, -2, ... in this order before all others, the same in every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Numbers = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class TextRows:
    """Many texts."""

    terms: csr_matrix
    """Shape (n, terms)."""
    meaning: Numbers
    """Shape (n, places); without places where texts are known by their terms alone."""

    def __len__(self) -> int:
        return len(self.meaning)

    def take(self, rows: NDArray[np.int64]) -> TextRows:
        """Some of them, in this order."""
        return TextRows(self.terms[rows], self.meaning[rows])


def count_terms(x: Numbers) -> int:
    """Number of terms that places name, at least 1."""
    return int(x[:, 0].max(initial=0)) + 1


def count_meaning(x: Numbers) -> int:
    """Number of places of meaning."""
    return int(-x[:, 0].min(initial=0))


def read_rows(x: Numbers, terms: int) -> TextRows:
    """Encoded texts, shape (n, 2, room), of so many terms."""
    return TextRows(_sparse_terms(x, terms), x[:, 1, : count_meaning(x)])


def to_sparse(x: Numbers, terms: int) -> csr_matrix:
    """Rows of places and weights as one sparse matrix (n, terms + places of meaning)."""
    from scipy.sparse import csr_matrix, hstack

    rows = read_rows(x, terms)
    if not rows.meaning.shape[1]:
        return rows.terms
    return csr_matrix(hstack([rows.terms, csr_matrix(rows.meaning)]))


def stack(views: Sequence[TextRows], y: Labels) -> tuple[TextRows, Labels]:
    """All views as rows, each with the labels of its text."""
    from scipy.sparse import csr_matrix, vstack

    terms = csr_matrix(vstack([view.terms for view in views]))
    meaning = np.concatenate([view.meaning for view in views])
    return TextRows(terms, meaning), np.concatenate([y] * len(views))


def terms_of_parity(texts: csr_matrix, parity: int) -> csr_matrix:
    """The terms at even places (words) or odd ones (parts of words), each text scaled to length 1."""
    view = texts.copy()
    view.data[view.indices % 2 != parity] = 0
    view.eliminate_zeros()
    lengths = np.sqrt(np.asarray(view.multiply(view).sum(axis=1))[:, 0])
    view.data /= np.repeat(lengths, np.diff(view.indptr))
    return view


def no_terms(texts: csr_matrix) -> csr_matrix:
    """As many texts without any."""
    return type(texts)(texts.shape, dtype=np.float32)


def _sparse_terms(x: Numbers, terms: int) -> Any:
    from scipy.sparse import csr_matrix

    used = (x[:, 1] != 0) & (x[:, 0] >= 0)
    ends = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    return csr_matrix((x[:, 1][used], x[:, 0][used].astype(np.int32), ends), shape=(len(x), terms))
