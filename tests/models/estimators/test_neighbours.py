from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from models.estimators.neighbours import Neighbours, index_texts, indicator_matrix

TEXTS = csr_matrix(np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1]], dtype=np.float32))
LABELS = indicator_matrix(np.array([0, 1, 1]), 2)


def ask(neighbours: Neighbours, text: list[float], most: int = 2) -> list[float]:
    row = np.array(text, dtype=np.float32)
    places = np.flatnonzero(row)
    return [round(share, 4) for share in neighbours.answer(places, row[places], most).tolist()]


def test_the_most_alike_weigh_most() -> None:
    neighbours = index_texts(TEXTS, LABELS, 10)
    assert ask(neighbours, [1, 0, 0], most=1) == [1, 0]
    assert ask(neighbours, [1, 0, 0]) == [round(1 / (1 + 0.6**3), 4), round(0.6**3 / (1 + 0.6**3), 4)]
    assert ask(neighbours, [0, 0, 1]) == [0, 1]


def test_a_text_like_none_gets_no_answer() -> None:
    neighbours = index_texts(TEXTS[:2], LABELS[:2], 10)
    assert ask(neighbours, [0, 0, 1]) == [0, 0]
    assert ask(neighbours, [0, 0, 0]) == [0, 0]
    assert neighbours.answer(np.array([7]), np.ones(1, np.float32), 2).tolist() == [0, 0]


def test_the_newest_are_kept() -> None:
    neighbours = index_texts(TEXTS, LABELS, 2)
    assert neighbours.labels.tolist() == [[0, 1], [0, 1]]
    assert ask(neighbours, [1, 0, 0]) == [0, 1]


@pytest.mark.parametrize("terms", [2, 3, 5])
def test_more_texts_join_whatever_terms_they_have(terms: int) -> None:
    more = np.zeros((1, terms), dtype=np.float32)
    more[0, 1] = 1
    neighbours = index_texts(TEXTS, LABELS, 10).extended(
        csr_matrix(more), indicator_matrix(np.array([0]), 2), 3
    )
    assert neighbours.labels.tolist() == [[0, 1], [0, 1], [1, 0]]
    assert ask(neighbours, [0, 1, 0]) == [round(1 / (1 + 0.8**3), 4), round(0.8**3 / (1 + 0.8**3), 4)]


def test_a_file_holds_all_of_it() -> None:
    neighbours = index_texts(TEXTS, LABELS, 10)
    again = Neighbours.from_arrays(neighbours.to_arrays())
    assert again is not None
    assert ask(again, [0.6, 0, 0.8]) == ask(neighbours, [0.6, 0, 0.8])
    assert Neighbours.from_arrays({}) is None


def test_labels_are_shares() -> None:
    assert indicator_matrix(np.array([1, 0]), 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert indicator_matrix(np.array([[1, 1], [0, 1]]), 2).tolist() == [[1, 1], [0, 1]]
