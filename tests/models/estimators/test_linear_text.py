from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import TrainingError, TrainingStopped
from models.estimators.adagrad import balance
from models.estimators.checkpoints import open_checkpoints
from models.estimators.fit_watch import SilentWatch
from models.estimators.linear_text import LinearText

ROOM = 4
EVERYTHING: dict[str, Any] = {"epochs": 5, "apart": True, "neighbours": 3, "update_epochs": 4}


def texts(*rows: dict[int, float]) -> np.ndarray:
    """Places of terms to their weights: words have even places, parts of words odd ones."""
    x = np.zeros((len(rows), 2, ROOM), dtype=np.float32)
    for row, terms in enumerate(rows):
        x[row, 0, : len(terms)] = list(terms)
        x[row, 1, : len(terms)] = list(terms.values())
    return x


X = texts({0: 0.8, 1: 0.6}, {2: 0.8, 3: 0.6}, {0: 1}, {2: 1}, {1: 1}, {3: 1})
Y = np.array([0, 1, 0, 1, 0, 1])
MANY = np.array([[1, 0], [0, 1], [1, 0], [1, 1], [1, 0], [0, 1]])


def fitted(y: np.ndarray = Y, **params: Any) -> LinearText:
    model = LinearText(params)
    model.fit(X, y, n_classes=2, seed=1, watch=SilentWatch())
    return model


@pytest.mark.parametrize("params", [{"epochs": 5}, EVERYTHING, {**EVERYTHING, "class_weights": "balanced"}])
@pytest.mark.parametrize("y", [Y, MANY], ids=["one", "many"])
def test_it_learns_and_is_the_same_when_loaded(params: dict[str, Any], y: np.ndarray, tmp_path: Path) -> None:
    model = fitted(y, **params)
    answers = model.predict_proba(X)
    assert ((answers[:, 1] > 0.5) == (Y == 1)).all()
    model.save(tmp_path)
    np.testing.assert_array_equal(LinearText.load(tmp_path, params).predict_proba(X), answers)
    np.testing.assert_array_equal(model.predict_proba(X[:1]), answers[:1])


def test_words_and_parts_of_words_answer_apart() -> None:
    """A word that is told to be of one class, with parts that are of the other, leaves it open."""
    torn = texts({0: 3, 3: 0.1})
    together, apart = (fitted(epochs=5, apart=each).predict_proba(torn)[0, 0] for each in (False, True))
    assert together > 0.8
    assert apart == pytest.approx(0.5, abs=0.1)


def test_neighbours_answer_by_their_share() -> None:
    alone = fitted(epochs=5).predict_proba(X)
    beside = fitted(epochs=5, neighbours=1, neighbour_share=0.25).predict_proba(X)
    near = np.eye(2)[Y]
    np.testing.assert_allclose(beside, 0.75 * alone + 0.25 * near, atol=1e-6)


def test_a_text_of_unknown_terms_is_left_to_the_linear_model() -> None:
    model = fitted(**EVERYTHING)
    for row in texts({}, {90: 1.0}):
        answer = model.predict_proba(row[np.newaxis])
        np.testing.assert_allclose(answer.sum(), 1, atol=1e-6)
        np.testing.assert_allclose(answer, [[0.5, 0.5]], atol=0.2)


def test_an_update_learns_terms_and_texts_it_never_met(tmp_path: Path) -> None:
    model = fitted(**EVERYTHING, neighbour_rows=6)
    strange = texts({8: 0.8, 9: 0.6}, {8: 1})
    before = model.predict_proba(strange)[:, 1]
    model.update(strange, np.array([1, 1]), seed=1, watch=SilentWatch())
    assert (model.predict_proba(strange)[:, 1] > before + 0.05).all()
    assert model.neighbours is not None
    assert len(model.neighbours.labels) == 6
    model.save(tmp_path)
    loaded = LinearText.load(tmp_path, EVERYTHING)
    np.testing.assert_array_equal(loaded.predict_proba(strange), model.predict_proba(strange))


def test_it_stops_between_batches() -> None:
    class Impatient(SilentWatch):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(TrainingStopped):
        LinearText({}).fit(X, Y, n_classes=2, seed=1, watch=Impatient())


def test_balanced_weights_are_inverse_to_shares() -> None:
    assert balance(np.array([0, 0, 0, 1]), 2).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    assert balance(np.array([[1, 0], [0, 0], [0, 0], [0, 1]]), 2)[:, 0].tolist() == pytest.approx(
        [2, 2 / 3, 2 / 3, 2 / 3]
    )


def test_rows_that_are_no_texts_are_refused() -> None:
    with pytest.raises(TrainingError, match="use it with `kind: text`"):
        LinearText({}).fit(X[:, 0], Y, n_classes=2, seed=1, watch=SilentWatch())


def test_by_even_steps_a_rare_term_counts_less_than_by_adagrad() -> None:
    """A term of every text of a class beside one of a single text of it."""
    x = texts({0: 0.8, 2: 0.6}, {4: 1}, {0: 1}, {4: 1}, {0: 1}, {4: 1})
    shares = {}
    for name, params in {"even": {}, "adagrad": {"learning_rate": 0.5}}.items():
        model = LinearText(params)
        model.fit(x, Y, n_classes=2, seed=1, watch=SilentWatch())
        common, rare = model.weights[0, 0], model.weights[2, 0]
        shares[name] = rare / common
    assert 0 < shares["even"] < 0.5 < shares["adagrad"]


def test_even_steps_are_as_long_for_each_batch_size() -> None:
    """A step is for one row: twice the rows in a batch are half as many steps, not half the way."""
    ends = []
    for batch_size in (1, 2):
        model = LinearText({"batch_size": batch_size, "step": 0.01, "epochs": 1})
        model.fit(X, Y, n_classes=2, seed=1, watch=SilentWatch())
        ends.append(np.abs(model.weights).sum())
    assert ends[1] == pytest.approx(ends[0], rel=0.1)


def with_meaning(x: np.ndarray, meaning: np.ndarray) -> np.ndarray:
    """The same texts with numbers of their meaning before the terms."""
    places = np.tile(-np.arange(1, meaning.shape[1] + 1), (len(x), 1))
    return np.concatenate([np.stack([places, meaning], axis=1), x], axis=2).astype(np.float32)


SAME_WORDS = texts(*[{0: 0.8, 1: 0.6}] * 6)
TELLING = with_meaning(SAME_WORDS, np.array([[1, 0], [0, 1]] * 3))


@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("y", [Y, MANY], ids=["one", "many"])
def test_meaning_tells_what_words_do_not(apart: bool, y: np.ndarray, tmp_path: Path) -> None:
    params = {"epochs": 20, "apart": apart}
    model = LinearText(params)
    model.fit(TELLING, y, n_classes=2, seed=1, watch=SilentWatch())
    answers = model.predict_proba(TELLING)
    assert (answers[:, 1] > answers[:, 0]).tolist() == (Y == 1).tolist()
    model.save(tmp_path)
    loaded = LinearText.load(tmp_path, params)
    np.testing.assert_array_equal(loaded.predict_proba(TELLING), answers)
    loaded.update(TELLING, 1 - y, seed=1, watch=SilentWatch())
    assert np.abs(loaded.predict_proba(TELLING) - answers).max() > 0.01


def test_a_fit_with_meaning_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    class Stopping(SilentWatch):
        at = 0

        def should_stop(self) -> bool:
            self.at += 1
            return self.at > 2

    params = {"epochs": 4, "batch_size": 6}
    kept = open_checkpoints(tmp_path, "linear_text", params, 1, TELLING, Y)
    stopped, whole = LinearText(params), LinearText(params)
    with pytest.raises(TrainingStopped):
        stopped.fit_from(TELLING, Y, n_classes=2, seed=1, watch=Stopping(), checkpoints=kept)
    stopped = LinearText(params)
    stopped.fit_from(TELLING, Y, n_classes=2, seed=1, watch=SilentWatch(), checkpoints=kept)
    whole.fit(TELLING, Y, n_classes=2, seed=1, watch=SilentWatch())
    np.testing.assert_array_equal(stopped.predict_proba(TELLING), whole.predict_proba(TELLING))


def test_numbers_of_meaning_learn_as_terms_that_every_text_has() -> None:
    """By AdaGrad, dense steps are those of the same numbers as sparse terms."""
    as_terms = texts(*[{0: 0.5 + at, 2: 1.5 - at / 2} for at in range(6)])
    as_meaning = with_meaning(np.zeros_like(as_terms), as_terms[:, 1, :2])
    answers = []
    for x in (as_terms, as_meaning):
        model = LinearText({"epochs": 5, "penalty": 0.01, "batch_size": 2, "learning_rate": 0.5})
        model.fit(x, Y, n_classes=2, seed=1, watch=SilentWatch())
        answers.append(model.predict_proba(x))
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-6)
