"""Categories of many values: what they say is told, an own label is not, and files and graphs agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.estimators.boosted.category_shares import FOLDS, PRIOR_ROWS, CategoryShares
from models.estimators.boosted.estimator import Boosted
from models.estimators.fit_watch import SilentWatch
from models.versions.export import export_model
from models.versions.runtime import open_onnx

SMALL = {"iterations": 40, "depth": 3, "learning_rate": 0.3, "update_iterations": 5}
VALUES = 120


def rows_of(rows: int = 1500, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A number that says nothing, and a category of which each value goes with one class; some have none."""
    random = np.random.default_rng(seed)
    places = random.integers(VALUES, size=rows)
    x = np.stack([random.normal(size=rows), places], axis=1).astype(np.float32)
    x[random.random(rows) < 0.05, 1] = np.nan
    return x, (places * 7 % classes).astype(np.int64)


def fitted(classes: int = 3) -> Boosted:
    model = Boosted(SMALL)
    model.take_categories({1: VALUES})
    model.fit(*rows_of(classes=classes), n_classes=classes, seed=1, watch=SilentWatch())
    return model


def test_shares_lean_to_those_of_all_rows() -> None:
    x = np.array([[0], [0], [1], [np.nan]], dtype=np.float32)
    shares, _ = CategoryShares.learn(x, np.array([0, 0, 1, 1]), {0: 3}, seed=1)
    table = shares.tables[0][:, 0]
    expected = [(0 + PRIOR_ROWS / 2) / (2 + PRIOR_ROWS), (1 + PRIOR_ROWS / 2) / (1 + PRIOR_ROWS), 0.5]
    np.testing.assert_allclose(table[:3], expected, rtol=1e-6)
    assert table[3] == pytest.approx(expected[1])


def test_no_row_is_told_its_own_label() -> None:
    random = np.random.default_rng(3)
    count = 4000
    x = np.arange(count, dtype=np.float32)[:, np.newaxis]
    y = random.integers(2, size=count)
    _, told = CategoryShares.learn(x, y, {0: count}, seed=1)
    assert len(np.unique(told)) <= FOLDS
    assert abs(np.corrcoef(told[:, 0], y)[0, 1]) < 0.1


def test_a_value_of_many_is_learned_and_kept(tmp_path: Path) -> None:
    model = fitted()
    x, y = rows_of(seed=5)
    known = ~np.isnan(x[:, 1])
    answers = model.predict_proba(x)
    assert (answers.argmax(axis=1) == y)[known].mean() > 0.95
    model.save(tmp_path)
    again = Boosted.load(tmp_path, SMALL)
    np.testing.assert_array_equal(again.predict_proba(x), answers)
    again.export_onnx(tmp_path / "again.onnx")
    model.export_onnx(tmp_path / "model.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "model.onnx").read_bytes()


@pytest.mark.parametrize("classes", [2, 3])
def test_the_graph_looks_the_shares_up(classes: int, tmp_path: Path) -> None:
    model = fitted(classes)
    x, _ = rows_of(200, seed=7, classes=classes)
    parity = export_model(model, tmp_path / "model.onnx", x)
    assert parity is not None
    assert parity.max_difference < 1e-5
    assert open_onnx(tmp_path / "model.onnx")(x).shape == (200, classes)


def test_a_warm_start_reads_the_same_table() -> None:
    model = fitted()
    before = model.shares.tables[1].copy()
    trees = model.model.tree_count_
    model.update(*rows_of(300, seed=8), seed=1, watch=SilentWatch())
    assert model.model.tree_count_ == trees + 5
    np.testing.assert_array_equal(model.shares.tables[1], before)


def test_trees_without_such_categories_leave_no_file(tmp_path: Path) -> None:
    model = Boosted(SMALL)
    x, y = rows_of()
    model.fit(x[:, :1], y, n_classes=3, seed=1, watch=SilentWatch())
    model.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.cbm"]
    np.testing.assert_array_equal(
        Boosted.load(tmp_path, SMALL).predict_proba(x[:, :1]), model.predict_proba(x[:, :1])
    )
