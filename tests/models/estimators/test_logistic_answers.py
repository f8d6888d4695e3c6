"""`logistic` answers what scikit-learn's own `predict_proba` says of the same model."""

from __future__ import annotations

import numpy as np
import pytest

from models.estimators.fit_watch import SilentWatch
from models.estimators.logistic import Logistic


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [(0, 1), (0, 1, 2), (1, 3)])
def test_answers_are_those_of_scikit_learn(classes: tuple[int, ...], dtype: type[np.floating]) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 5)).astype(dtype)
    y = np.array(classes)[np.minimum((x[:, 0] > 0) + (x[:, 1] > 1).astype(int), len(classes) - 1)]
    model = Logistic({})
    model.fit(x, y, n_classes=4, seed=1, watch=SilentWatch())
    asked = np.concatenate([x, 1e4 * x[:5], -1e4 * x[:5]])  # far away too: no overflow
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        answers = model.predict_proba(asked)
    expected = np.zeros((len(asked), 4), dtype=np.float32)
    expected[:, list(classes)] = model.model.predict_proba(asked)
    np.testing.assert_allclose(answers, expected, atol=1e-6)
