from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from models.errors import CannotUpdate
from models.estimators.boosted.estimator import Boosted, oversample
from models.estimators.fit_watch import SilentWatch
from models.versions.export import export_model
from models.versions.runtime import open_onnx

SMALL = {"iterations": 12, "depth": 3, "learning_rate": 0.3}


def rows_of(classes: list[int], rows: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = np.array(classes, dtype=np.int64)[np.arange(rows) % len(classes)]
    x = random.normal(y[:, np.newaxis], 0.7, (rows, 4)).astype(np.float32)
    return x, y


def fitted(classes: list[int], n_classes: int, **params: object) -> Boosted:
    model = Boosted({**SMALL, **params})
    model.fit(*rows_of(classes), n_classes=n_classes, seed=1, watch=SilentWatch())
    return model


@pytest.mark.parametrize(("classes", "n_classes"), [([0, 1], 2), ([0, 1, 2], 3), ([0, 3], 4), ([1, 2], 5)])
def test_onnx_gives_one_tensor_with_every_class(classes: list[int], n_classes: int, tmp_path: Path) -> None:
    model = fitted(classes, n_classes)
    x, _ = rows_of(classes, seed=9)
    parity = export_model(model, tmp_path / "model.onnx", x)
    assert parity is not None
    assert parity.max_difference < 1e-5
    answers = open_onnx(tmp_path / "model.onnx")(x)
    assert answers.shape == (len(x), n_classes)
    assert answers.dtype == np.float32
    absent = sorted(set(range(n_classes)) - set(classes))
    assert (answers[:, absent] == 0).all()


def test_the_same_fit_exports_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fitted([0, 1, 2], 3).export_onnx(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_the_watch_raises_comes_out() -> None:
    class Fenced(Exception):
        pass

    class Losing(SilentWatch):
        def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
            if epoch == 3:
                raise Fenced

    with pytest.raises(Fenced):
        Boosted(SMALL).fit(*rows_of([0, 1]), n_classes=2, seed=1, watch=Losing())


def test_small_classes_are_filled_up() -> None:
    x, y = rows_of([0, 0, 0, 1], rows=80)
    made_x, made_y, notes = oversample(x, y, 5, seed=1)
    assert np.bincount(made_y).tolist() == [60, 60]
    assert notes == ()
    np.testing.assert_array_equal(made_x[:80], x)
    again, _, _ = oversample(x, y, 5, seed=1)
    np.testing.assert_array_equal(again, made_x)


def test_a_class_with_too_few_rows_is_left_alone_and_noted() -> None:
    x, y = rows_of([0, 1], rows=60)
    x, y = np.concatenate([x, x[:5]]), np.concatenate([y, np.full(5, 2)])
    _, made_y, notes = oversample(x, y, 5, seed=1)
    assert np.bincount(made_y).tolist() == [30, 30, 5]
    assert notes == ("SMOTE skipped for class number 2: it has 5 rows and needs more than 5",)


def test_the_notes_of_a_fit_are_kept() -> None:
    model = Boosted({**SMALL, "smote": True})
    x, y = rows_of([0, 1], rows=60)
    y[:3] = 2
    model.fit(x, y, n_classes=3, seed=1, watch=SilentWatch())
    assert "class number 2" in model.notes[0]


@pytest.mark.parametrize(("rows", "trees"), [(120, 100), (700, 170), (5000, 800)])
def test_few_rows_get_few_trees(rows: int, trees: int) -> None:
    model = Boosted({"depth": 1})
    model.fit(*rows_of([0, 1], rows=rows), n_classes=2, seed=1, watch=SilentWatch())
    assert model.model.tree_count_ == trees


def test_an_update_adds_trees(tmp_path: Path) -> None:
    model = fitted([0, 1, 3], 4, update_iterations=5)
    x, y = rows_of([0, 1, 3], seed=4)
    before = model.predict_proba(x)
    model.update(x, y, seed=1, watch=SilentWatch())
    assert model.model.tree_count_ == 17
    assert np.abs(model.predict_proba(x) - before).max() > 1e-3
    model.save(tmp_path)
    again = Boosted.load(tmp_path, SMALL)
    np.testing.assert_array_equal(again.predict_proba(x), model.predict_proba(x))


def test_an_update_need_not_see_every_class(tmp_path: Path) -> None:
    model = fitted([0, 1, 3], 4, update_iterations=5)
    x, y = rows_of([0, 1])
    everything, _ = rows_of([0, 1, 3])
    model.update(x, y, seed=1, watch=SilentWatch())
    parity = export_model(model, tmp_path / "model.onnx", everything)
    assert parity is not None
    assert parity.agrees


def test_an_update_has_no_place_for_a_new_class() -> None:
    model = fitted([0, 1, 3], 4)
    with pytest.raises(CannotUpdate, match="class number 2, new among the rows"):
        model.update(*rows_of([0, 2]), seed=1, watch=SilentWatch())


@pytest.mark.parametrize("rows", [1, 5])
def test_rows_that_are_all_alike_are_nothing_to_go_on_by(rows: int) -> None:
    model = fitted([0, 1], 2)
    x, y = rows_of([0], rows=1)
    with pytest.raises(CannotUpdate, match="every field has one value in all new rows"):
        model.update(x.repeat(rows, axis=0), y.repeat(rows), seed=1, watch=SilentWatch())


@pytest.mark.parametrize("rule", ["balanced", "sqrt_balanced"])
def test_weights_lift_the_small_class(rule: str) -> None:
    x, y = rows_of([0] * 9 + [1], rows=300)
    lifted, plain = (Boosted({**SMALL, "class_weights": weights}) for weights in (rule, "equal"))
    for model in (lifted, plain):
        model.fit(x, y, n_classes=2, seed=1, watch=SilentWatch())
    assert lifted.predict_proba(x)[:, 1].mean() > plain.predict_proba(x)[:, 1].mean() + 0.02
