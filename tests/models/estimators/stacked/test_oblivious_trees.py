from __future__ import annotations

import numpy as np
import pytest

from models.estimators.adagrad import sigmoid, softmax
from models.estimators.fit_watch import SilentWatch
from models.estimators.stacked.growing import Growth, Steps, grow, outputs_of
from models.estimators.stacked.oblivious_trees import ObliviousTrees, read_trees

GROWTH = Growth(trees=40, rate=0.2, depth=4, penalty=3.0)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("many", [False, True])
def test_numpy_answers_as_catboost_does(classes: int, many: bool) -> None:
    random = np.random.default_rng(classes)
    x = np.round(random.normal(size=(500, 6)), 1).astype(np.float32)  # many stand on a border
    score = x[:, :classes] + 0.5 * x[:, [5]] * x[:, :classes]
    y = (score > 0.3).astype(np.int64) if many else score.argmax(axis=1)
    outputs, _ = outputs_of(y, classes)
    weights = np.ones(len(y), np.float32)
    model = grow(x, y, outputs, weights, GROWTH, 7, Steps(SilentWatch(), GROWTH.trees))
    trees = read_trees(model)
    scores = trees.scores(x).astype(np.float32)
    answers = sigmoid(scores) if many else softmax(scores)
    np.testing.assert_allclose(answers, model.predict_proba(x), atol=1e-6)
    again = ObliviousTrees.from_arrays(trees.to_arrays())
    np.testing.assert_array_equal(again.scores(x[7:8]), trees.scores(x)[7:8])


def test_many_rows_are_scored_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(50, 3)).astype(np.float32)
    model = grow(
        x,
        (x[:, 0] > 0).astype(np.int64),
        np.arange(2),
        np.ones(50, np.float32),
        GROWTH,
        7,
        Steps(SilentWatch(), 40),
    )
    trees = read_trees(model)
    whole = trees.scores(x)
    monkeypatch.setattr("models.estimators.stacked.oblivious_trees.CELLS", 500)
    np.testing.assert_array_equal(trees.scores(x), whole)
