from __future__ import annotations

import numpy as np
import pytest

from models.errors import TrainingStopped
from models.estimators.boosted.estimator import Boosted
from models.estimators.boosted.tree_count import ENOUGH_ROWS, LEAST_TREES, MOST_TREES
from models.estimators.fit_watch import SilentWatch


def trees(x: np.ndarray, y: np.ndarray, **params: object) -> int:
    model = Boosted(params)
    model.fit(x.astype(np.float32), y, n_classes=int(y.max()) + 1, seed=3, watch=SilentWatch())
    return int(model.model.tree_count_)


def noise(rows: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(rows)
    return random.normal(size=(rows, 4)), np.arange(rows) % classes


def codes(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Forty numbers in an order that says nothing, each of one class: only many trees tell them apart."""
    random = np.random.default_rng(5)
    code = random.integers(0, 40, rows)
    return np.stack([code, random.normal(size=rows)], axis=1), random.integers(0, 2, 40)[code]


def test_the_rows_and_not_their_number_say_how_many_trees_they_bear() -> None:
    assert trees(*noise(400)) < 100
    assert trees(*codes(400)) > 300


def test_many_rows_and_given_numbers_are_not_tried() -> None:
    assert trees(*noise(ENOUGH_ROWS)) == MOST_TREES
    assert trees(*noise(400), iterations=33) == 33


def test_the_same_rows_and_seed_give_the_same_number() -> None:
    assert trees(*codes(300)) == trees(*codes(300))


@pytest.mark.parametrize("smallest", [1, 2])
def test_a_class_with_too_few_rows_for_folds_is_learned_all_the_same(smallest: int) -> None:
    x, y = noise(60)
    y[:smallest] = 2
    model = Boosted({})
    model.fit(x.astype(np.float32), y, n_classes=3, seed=3, watch=SilentWatch())
    assert model.model.classes_.tolist() == [0, 1, 2]


def test_rows_that_cannot_be_folded_get_the_least() -> None:
    x, y = noise(4)
    assert trees(x, y) == LEAST_TREES


class Impatient(SilentWatch):
    def should_stop(self) -> bool:
        return True


def test_it_stops_when_asked_before_the_fit_itself_begins() -> None:
    x, y = codes(300)
    with pytest.raises(TrainingStopped):
        Boosted({}).fit(x.astype(np.float32), y, n_classes=2, seed=3, watch=Impatient())
