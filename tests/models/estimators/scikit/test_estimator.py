"""What any classifier with scikit-learn's interface keeps to, and what is decided for those that differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_files

from models.errors import CannotUpdate, NoExport, TrainingError, TrainingStopped, UntrustedTypes
from models.estimators.fit_watch import SilentWatch
from models.estimators.scikit.estimator import SklearnClassifier
from models.estimators.scikit.kept import FACTS, SKOPS_FILE
from models.versions.export import export_model
from tests.models.estimators.scikit.rows import (
    FIVE,
    FOREST,
    HIST,
    LIGHTGBM,
    THREE_STEPS,
    ShyClassifier,
    fitted,
    named,
    rows_of,
)

SCALER = "sklearn.preprocessing.StandardScaler"
BY_SCORES = {
    "linear_svc": named("sklearn.svm.LinearSVC"),
    "hinge": named("sklearn.linear_model.SGDClassifier"),
    "ridge": named("sklearn.linear_model.RidgeClassifier"),
    "svc_steps": {"steps": [SCALER, "sklearn.svm.LinearSVC"]},
}
RESAMPLED = {"steps": ["imblearn.over_sampling.RandomOverSampler", FOREST]}
SPECS: dict[str, dict[str, Any]] = {**FIVE, **BY_SCORES, "resampled": RESAMPLED}


def model_of(name: str) -> SklearnClassifier:
    if name in ("lightgbm", "xgboost"):
        pytest.importorskip(name)
    return fitted(SPECS[name])


@pytest.mark.parametrize("name", SPECS)
def test_it_learns_and_comes_back_from_disk(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    x, y = rows_of(60, seed=1)
    x.setflags(write=False)
    answers = model.predict_proba(x)
    assert answers.shape == (60, 4)
    assert answers.dtype == np.float32
    assert (answers[:, 1] == 0).all()  # a class without rows
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert (answers.argmax(axis=1) == y).mean() > 0.6
    assert model.predict_proba(x[:0]).shape == (0, 4)
    alone = np.concatenate([model.predict_proba(x[row : row + 1]) for row in range(8)])
    np.testing.assert_allclose(alone, answers[:8], atol=1e-6)
    model.save(tmp_path)
    loaded = SklearnClassifier.load(tmp_path, model.params)
    np.testing.assert_array_equal(loaded.predict_proba(x), answers)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".skops", ".txt", ".ubj"}


@pytest.mark.parametrize("name", SPECS)
def test_its_graph_answers_as_it_does(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    x, _ = rows_of(200, seed=2)
    parity = export_model(model, tmp_path / "model.onnx", x)
    assert parity is not None
    assert parity.max_difference <= 1e-5
    assert parity.rows == 400


@pytest.mark.parametrize("name", FIVE)
def test_the_seed_decides(name: str) -> None:
    x, _ = rows_of(40, seed=1)
    first, again = (model_of(name).predict_proba(x) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    if name == "forest":
        assert np.abs(fitted(FOREST, seed=4).predict_proba(x) - first).max() > 1e-3


def test_a_seed_that_is_configured_is_left() -> None:
    x, _ = rows_of(40, seed=1)
    own = {**FOREST, "random_state": 5}
    first, other = (fitted(own, seed=seed).predict_proba(x) for seed in (1, 2))
    np.testing.assert_array_equal(first, other)


def test_it_answers_on_one_thread() -> None:
    model = fitted({"steps": [SCALER, {**FOREST, "n_jobs": 2}]})
    assert model.model.steps[-1][1].n_jobs == 1


def test_what_has_scores_only_says_where_it_could_not_be_calibrated_well() -> None:
    assert fitted(BY_SCORES["linear_svc"]).notes == ()
    x, y = rows_of(30, classes=(0, 1))
    y = np.where(np.arange(30) == 0, 2, y)
    model = SklearnClassifier(BY_SCORES["linear_svc"])
    model.fit(x, y, n_classes=3, seed=1, watch=SilentWatch())
    assert "a class has one row only" in model.notes[0]
    np.testing.assert_allclose(model.predict_proba(x).sum(axis=1), 1, atol=1e-5)


def test_a_stack_shows_only_after_the_fit_whether_it_gives_probabilities() -> None:
    bayes = {"class": "sklearn.naive_bayes.GaussianNB"}
    stack = named("sklearn.ensemble.StackingClassifier", estimators=[bayes])
    assert fitted(stack).predict_proba(rows_of(5)[0]).shape == (5, 4)
    with pytest.raises(TrainingError, match="ShyClassifier gives no probabilities"):
        fitted(named(f"{ShyClassifier.__module__}.ShyClassifier"))


KNN = named("sklearn.neighbors.KNeighborsClassifier")


@pytest.mark.parametrize("params", [FOREST, named("sklearn.svm.LinearSVC"), RESAMPLED, KNN])
def test_several_labels_a_row(params: dict[str, Any], tmp_path: Path) -> None:
    x, _ = rows_of(200)
    y = np.stack([x[:, 0] > 1, x[:, 1] < -1, np.zeros(200), x[:, 3] > 0], axis=1).astype(np.int64)
    model = SklearnClassifier(params)
    model.fit(x, y, n_classes=4, seed=1, watch=SilentWatch())
    answers = model.predict_proba(x)
    assert answers.shape == (200, 4)
    assert ((answers > 0.5) == y).mean() > 0.85
    assert answers[:, 2].max() == 0  # a label that no row has
    model.save(tmp_path)
    np.testing.assert_array_equal(SklearnClassifier.load(tmp_path, params).predict_proba(x), answers)
    with pytest.raises(NoExport, match="several labels"):
        model.export_onnx(tmp_path / "model.onnx")


def texts_of(count: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Places and weights of terms, shape (n, 2, 4): one term says the class, the others nothing."""
    random = np.random.default_rng(0)
    y = np.arange(count) % 3
    places = np.stack([y, *random.integers(3, 9, size=(2, count)), np.zeros(count)], axis=1)
    weights = np.stack([*random.uniform(0.5, 1, size=(3, count)), np.zeros(count)], axis=1)
    return np.stack([places, weights], axis=1).astype(np.float32), y.astype(np.int64)


@pytest.mark.parametrize("path", ["sklearn.svm.LinearSVC", "sklearn.naive_bayes.MultinomialNB"])
def test_texts_are_sparse_and_terms_that_it_does_not_know_are_none(path: str, tmp_path: Path) -> None:
    x, y = texts_of()
    model = SklearnClassifier(named(path))
    assert model.refusal("text", "multiclass") is None
    model.fit(x, y, n_classes=3, seed=1, watch=SilentWatch())
    answers = model.predict_proba(x)
    assert (answers.argmax(axis=1) == y).all()
    model.save(tmp_path)
    loaded = SklearnClassifier.load(tmp_path, model.params)
    np.testing.assert_array_equal(loaded.predict_proba(x), answers)
    later = x.copy()
    later[:, :, 3] = (5000, 0.7)
    np.testing.assert_array_equal(loaded.predict_proba(later), answers)
    with pytest.raises(NoExport, match="texts"):
        model.export_onnx(tmp_path / "model.onnx")


def test_a_class_that_takes_no_sparse_rows_says_how_texts_become_dense() -> None:
    assert "TruncatedSVD" in str(SklearnClassifier(HIST).refusal("text", "multiclass"))
    assert SklearnClassifier(HIST).refusal("tabular", "multiclass") is None
    params = {"steps": [named("sklearn.decomposition.TruncatedSVD", n_components=3), HIST]}
    model = SklearnClassifier(params)
    assert model.refusal("text", "multiclass") is None
    x, y = texts_of()
    model.fit(x, y, n_classes=3, seed=1, watch=SilentWatch())
    assert (model.predict_proba(x).argmax(axis=1) == y).mean() > 0.6


def test_images_are_laid_flat(tmp_path: Path) -> None:
    x, y = rows_of()
    images = np.repeat(x, 4, axis=1).reshape(-1, 5, 4, 1)
    model = SklearnClassifier(FOREST)
    model.fit(images, y, n_classes=4, seed=1, watch=SilentWatch())
    parity = export_model(model, tmp_path / "model.onnx", images)
    assert parity is not None
    assert parity.agrees


class StopAfter(SilentWatch):
    def __init__(self, asked: int) -> None:
        self.asked = asked

    def should_stop(self) -> bool:
        self.asked -= 1
        return self.asked < 0


@pytest.mark.parametrize("name", FIVE)
def test_a_stop_asked_for_before_is_heard(name: str) -> None:
    if name in ("lightgbm", "xgboost"):
        pytest.importorskip(name)
    with pytest.raises(TrainingStopped):
        fitted(FIVE[name], watch=StopAfter(0))


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_boosters_stop_after_a_tree(name: str) -> None:
    pytest.importorskip(name)
    watch = StopAfter(3)
    with pytest.raises(TrainingStopped):
        fitted({**FIVE[name], "n_estimators": 10_000}, watch=watch)
    assert watch.asked == -1


def test_what_has_partial_fit_goes_on(tmp_path: Path) -> None:
    params = named("sklearn.linear_model.SGDClassifier", loss="log_loss")
    fitted(params).save(tmp_path)
    model = SklearnClassifier.load(tmp_path, params)
    assert model.updatable
    x, y = rows_of(seed=5)
    before = model.predict_proba(x)
    model.update(x, y, seed=1, watch=SilentWatch())
    assert np.abs(model.predict_proba(x) - before).max() > 1e-4
    assert export_model(model, tmp_path / "model.onnx", x) is not None
    with pytest.raises(CannotUpdate, match="no place for class number 1"):
        model.update(x, np.ones_like(y), seed=1, watch=SilentWatch())


@pytest.mark.parametrize("params", [FOREST, THREE_STEPS, BY_SCORES["hinge"]])
def test_what_has_none_does_not(params: dict[str, Any]) -> None:
    model = fitted(params)
    assert not model.updatable
    with pytest.raises(CannotUpdate, match="has no partial_fit"):
        model.update(*rows_of(), seed=1, watch=SilentWatch())


def test_what_a_library_warns_of_is_noted() -> None:
    assert (
        "failed to converge" in fitted(named("sklearn.linear_model.LogisticRegression", max_iter=1)).notes[0]
    )


def swap_file(folder: Path, content: Any) -> None:
    """Another object in place of a kept classifier, its types written down as if they belonged there."""
    skops.io.dump(content, folder / SKOPS_FILE)
    facts = json.loads((folder / FACTS).read_text("utf-8"))
    types = skops.io.get_untrusted_types(file=folder / SKOPS_FILE)
    (folder / FACTS).write_text(json.dumps({**facts, "types": types}), "utf-8")


def test_a_file_with_another_type_is_refused(tmp_path: Path) -> None:
    fitted(FOREST).save(tmp_path)
    skops.io.dump({"model": Path("x")}, tmp_path / SKOPS_FILE)
    with pytest.raises(UntrustedTypes, match=r"holds pathlib\S+; allowed: .* classes of sklearn"):
        SklearnClassifier.load(tmp_path, FOREST)


@pytest.mark.parametrize("content", [Path("x"), load_files])
def test_nor_does_writing_it_down_help_what_is_no_class_of_its_packages(content: Any, tmp_path: Path) -> None:
    fitted(FOREST).save(tmp_path)
    swap_file(tmp_path, {"model": content})
    with pytest.raises(UntrustedTypes, match=r"pathlib|load_files"):
        SklearnClassifier.load(tmp_path, FOREST)


def test_trees_are_kept_without_scikit_learns_wrapping(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    fitted(LIGHTGBM).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {FACTS, "model.txt"}
