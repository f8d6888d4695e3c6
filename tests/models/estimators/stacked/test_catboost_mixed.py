from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import CannotUpdate, TrainingError
from models.estimators.fit_watch import SilentWatch
from models.estimators.stacked.catboost_mixed import CatboostMixed

WATCH = SilentWatch()
PARAMS = {"iterations": 30, "depth": 3, "learning_rate": 0.2}
Rows = NDArray[np.float32]


def make_rows(terms: Sequence[Sequence[int]], numbers: Sequence[Sequence[float]]) -> Rows:
    """Encoded rows of these terms, each of the same weight, beside these numbers."""
    width, room = len(numbers[0]), max(map(len, terms))
    rows = np.zeros((len(terms), 2, width + room), dtype=np.float32)
    rows[:, 0, :width] = -1 - np.arange(width)
    for row, (places, values) in enumerate(zip(terms, numbers, strict=True)):
        rows[row, 1, :width] = values
        rows[row, 0, width : width + len(places)] = places
        rows[row, 1, width : width + len(places)] = 1 / max(1, len(places)) ** 0.5
    return rows


def draw(seed: int, count: int = 300) -> tuple[Rows, NDArray[np.int64], NDArray[np.int64]]:
    """Rows with one of two words; the class by the word, which the sign of a number mostly turns round."""
    random = np.random.default_rng(seed)
    said, number = random.random(count) < 0.5, random.normal(size=count)
    others = random.integers(2, 5, count).tolist()
    terms = [[2 * int(word), 2 * other] for word, other in zip(said.tolist(), others, strict=True)]
    turned = said ^ ((number < 0) & (random.random(count) < 0.8))
    x = make_rows(terms, [[value, 0.0] for value in number.tolist()])
    return x, turned.astype(np.int64), said.astype(np.int64)


def fitted(x: Rows, y: Any, classes: int, **params: Any) -> CatboostMixed:
    estimator = CatboostMixed(PARAMS | params)
    estimator.fit(x, y, n_classes=classes, seed=7, watch=WATCH)
    return estimator


def test_a_number_may_turn_round_what_a_term_says() -> None:
    """No sum of what the term says and of what the number says could."""
    x, turned, _ = draw(1, 600)
    unseen, truth, said = draw(2, 600)
    right = (fitted(x, turned, 2).predict_proba(unseen).argmax(axis=1) == truth).mean()
    assert right > 0.85
    assert (said == truth).mean() < 0.65


def test_a_label_that_every_row_has_is_always_given() -> None:
    random = np.random.default_rng(4)
    y = (random.random((300, 3)) < [0.5, 0.2, 0.0]).astype(np.int64)
    y[:, 2] = 1
    terms = [[2 * place for place in range(3) if label[place]] or [8] for label in y]
    x = make_rows(terms, random.normal(size=(300, 2)).tolist())
    estimator = fitted(x, y, 3)
    answers = estimator.predict_proba(x)
    assert (answers[:, 2] == 1).all()
    assert ((answers[:, :2] > 0.5) == y[:, :2]).mean() > 0.95
    alike = np.repeat(x[:1], 10, axis=0)
    turned = np.repeat(1 - y[:1], 10, axis=0)
    estimator.update(alike, turned, seed=7, watch=WATCH)
    after = estimator.predict_proba(x[:1])
    assert (after[:, 2] == 1).all()
    assert (np.abs(after - turned[:1]) < np.abs(answers[:1] - turned[:1]))[:, :2].all()


def test_scores_of_training_texts_are_by_models_that_have_not_seen_them() -> None:
    """Each row has a word of its own: a model that has seen the row would know its class by that."""
    random = np.random.default_rng(5)
    y = random.integers(0, 2, 200)
    telling = random.normal(size=200) + 1.5 * y
    x = make_rows([[2 * row] for row in range(200)], [[float(value)] for value in telling])
    estimator = fitted(x, y, 2)
    unseen = random.integers(0, 2, 400)
    told = random.normal(size=400) + 1.5 * unseen
    answers = estimator.predict_proba(make_rows([[400]] * 400, [[float(value)] for value in told]))
    assert (answers.argmax(axis=1) == unseen).mean() > 0.68


def test_a_single_row_is_learned_from_and_the_others_are_not_forgotten(tmp_path: Path) -> None:
    x, _, said = draw(6)
    estimator = fitted(x, said, 2)
    new, other = make_rows([[90, 92], [94, 96]], [[0.0, 0.0], [0.0, 0.0]])[:, np.newaxis]
    label = 1 - int(estimator.predict_proba(new).argmax())
    answers = [estimator.predict_proba(new)[0, label]]
    elsewhere = estimator.predict_proba(other)[0, label]
    for _ in range(20):
        estimator.update(new, np.array([label]), seed=7, watch=WATCH)
        answers.append(estimator.predict_proba(new)[0, label])
    assert (np.diff(answers) > 0).all()
    assert answers[-1] > 0.5
    assert estimator.predict_proba(other)[0, label] - elsewhere < (answers[-1] - answers[0]) / 2
    assert (estimator.predict_proba(x).argmax(axis=1) == said).mean() > 0.95
    estimator.save(tmp_path)
    again = CatboostMixed.load(tmp_path, PARAMS)
    np.testing.assert_array_equal(again.predict_proba(x), estimator.predict_proba(x))


def test_a_class_that_had_no_rows_is_refused_by_an_update() -> None:
    x, _, said = draw(7)
    estimator = fitted(x, said, 3)
    assert (estimator.predict_proba(x)[:, 2] == 0).all()
    with pytest.raises(CannotUpdate, match="no place for class number 2"):
        estimator.update(x[:2], np.array([2, 0]), seed=7, watch=WATCH)


def test_rows_without_any_term_are_learned_by_their_numbers() -> None:
    random = np.random.default_rng(8)
    y = random.integers(0, 2, 100)
    x = make_rows([[]] * 99 + [[]], [[float(label), 0.0] for label in y])
    estimator = fitted(x, y, 2)
    assert not estimator.views
    assert (estimator.predict_proba(x).argmax(axis=1) == y).all()
    estimator.update(x, y, seed=7, watch=WATCH)


def test_rows_of_another_kind_are_refused() -> None:
    with pytest.raises(TrainingError, match="use it with `kind: mixed`"):
        fitted(np.zeros((4, 3), np.float32), np.array([0, 1, 0, 1]), 2)


def test_a_server_needs_neither_catboost_nor_scipy(tmp_path: Path) -> None:
    x, _, said = draw(9)
    fitted(x, said, 2).save(tmp_path)
    np.save(tmp_path / "x.npy", x)
    program = (
        "import sys, numpy; from pathlib import Path\n"
        "from models.estimators.catalogue import estimator_class\n"
        "folder = Path(sys.argv[1])\n"
        "model = estimator_class('catboost_mixed').load(folder, {})\n"
        "assert len(model.predict_proba(numpy.load(folder / 'x.npy'))) == 300\n"
        "print(sorted({'catboost', 'scipy', 'sklearn', 'tensorflow', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
