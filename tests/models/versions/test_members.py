"""Challengers with members: which are made, of which rows, and what is written of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from configs.loading import load_use_case
from configs.schema import POOL, UseCase
from configs.settings import CHECKOUT
from features.records.contract import take
from models.errors import TrainingStopped
from models.estimators.blend import Blend
from models.estimators.checkpoints import FILE
from models.estimators.fit_watch import SilentWatch
from models.estimators.linear_text import LinearText
from models.versions.artifact import MANIFEST, Lineage, read_manifest
from models.versions.checkpoint_model import load_checkpoint
from models.versions.members import load_answering, load_members, member_answers
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact
from tests.contract.cases import AGES, BLEND, FULL, NOW, TRAINING_ROWS, WARM, WEIGHTS, Case, fit
from tests.contract.generate import make_columns, tiny

EQUAL = {"full": 1.0, "newest_2": 1.0, "newest_1": 1.0}


class Tells(SilentWatch):
    """Counts epochs, and stops at the n-th question."""

    def __init__(self, questions: int = 10**9) -> None:
        self.epochs: list[int] = []
        self.left = questions

    def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        self.epochs.append(epoch)

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


def names(model: object) -> list[str]:
    assert isinstance(model, Blend)
    return [member.name for member in model.members]


def written(folder: Path, case: Case, fitted: object) -> Path:
    write_artifact(folder, fitted, case.use_case, case.held_out, lineage=Lineage(), created_at=NOW)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def texts() -> UseCase:
    return tiny(load_use_case(CHECKOUT / "configs" / "papers.yaml"))


def test_a_first_model_of_a_blend_is_a_plain_one(trees: Case, tmp_path: Path) -> None:
    fitted = fit(trees.use_case, trees.training, trees.labels, challenger=POOL, weights={"newest_1": 1.0})
    assert fitted.challenger == "blend"
    assert not isinstance(fitted.estimator, Blend)
    assert fitted.notes[-3:] == (
        "member newest_8 left out: its 240 rows are those of full",
        "member newest_3 left out: its 240 rows are those of full",
        "member newest_1 left out: its 240 rows are those of full",
    )
    x = fitted.encoder.encode(trees.held_out)
    np.testing.assert_array_equal(fitted.estimator.predict_proba(x), trees.fitted.estimator.predict_proba(x))
    artifact = written(tmp_path / "first", trees, fitted)
    document = json.loads((artifact / MANIFEST).read_text("utf-8"))
    assert (document["format"], document["challenger"]) == (2, "blend")
    assert "members" not in document
    assert member_answers(artifact, x) == {}


def test_a_blend_is_of_a_format_that_older_code_refuses(trees: Case, tmp_path: Path) -> None:
    fitted = fit(trees.use_case, trees.training, trees.labels, challenger=BLEND, ages=AGES, weights=WEIGHTS)
    artifact = written(tmp_path / "blend", trees, fitted)
    document = json.loads((artifact / MANIFEST).read_text("utf-8"))
    assert document["format"] == 3
    assert [one["name"] for one in document["members"]] == ["full", "newest_2", "newest_1"]
    assert read_manifest(artifact) == read_manifest(artifact).model_validate(document)
    assert {name for name in document["files"] if name.startswith("native/")} == {
        "native/full/model.cbm",
        "native/newest_1/model.cbm",
        "native/newest_2/model.cbm",
    }


def test_a_version_of_before_there_were_blends_is_read(copied: Path, trees: Case) -> None:
    manifest = read_manifest(copied)
    assert (manifest.format, manifest.members) == (2, ())
    assert load_members(copied, manifest) == {}
    warm = fit(trees.use_case, trees.training, trees.labels, challenger=WARM, parent=copied)
    assert not isinstance(warm.estimator, Blend)


@pytest.mark.parametrize("weights", [None, {}, {"newest_8": 1.0}])
def test_where_nothing_is_known_the_first_answers(trees: Case, weights: dict[str, float] | None) -> None:
    fitted = fit(trees.use_case, trees.training, trees.labels, challenger=BLEND, ages=AGES, weights=weights)
    assert isinstance(fitted.estimator, Blend)
    assert [member.weight for member in fitted.estimator.members] == [1, 0, 0]
    assert [member.rows for member in fitted.estimator.members] == [240, 160, 80]
    x = fitted.encoder.encode(trees.held_out)
    np.testing.assert_array_equal(fitted.estimator.predict_proba(x), trees.fitted.estimator.predict_proba(x))


def test_the_weight_of_one_left_out_goes_to_the_others(trees: Case) -> None:
    ages = np.where(np.arange(TRAINING_ROWS) < 200, 2, 0)
    weights = {"full": 0.2, "newest_2": 0.2, "newest_1": 0.6}
    fitted = fit(trees.use_case, trees.training, trees.labels, challenger=BLEND, ages=ages, weights=weights)
    assert not isinstance(fitted.estimator, Blend)
    assert fitted.notes[-2:] == (
        "member newest_2 left out: its 40 rows are fewer than training.min_rows 50",
        "member newest_1 left out: its 40 rows are fewer than training.min_rows 50",
    )
    ages[100:200] = 1
    fitted = fit(trees.use_case, trees.training, trees.labels, challenger=BLEND, ages=ages, weights=weights)
    assert isinstance(fitted.estimator, Blend)
    assert [member.weight for member in fitted.estimator.members] == [0.5, 0.5]
    assert [member.rows for member in fitted.estimator.members] == [240, 140]


def test_a_member_of_the_rows_of_the_one_before_is_left_out(trees: Case) -> None:
    ages = np.where(AGES == 1, 0, AGES)
    fitted = fit(trees.use_case, trees.training, trees.labels, challenger=BLEND, ages=ages, weights=EQUAL)
    assert names(fitted.estimator) == ["full", "newest_2"]
    assert fitted.notes[-1] == "member newest_1 left out: its 160 rows are those of newest_2"


def test_a_member_of_one_class_is_left_out(trees: Case) -> None:
    labels = [trees.labels[0] if age == 0 else label for age, label in zip(AGES, trees.labels, strict=True)]
    fitted = fit(trees.use_case, trees.training, labels, challenger=BLEND, ages=AGES, weights=EQUAL)
    assert names(fitted.estimator) == ["full", "newest_2"]
    assert fitted.notes[-1] == "member newest_1 left out: its 80 rows hold 1 class; at least 2 are needed"


def test_a_member_that_cannot_learn_does_not_cost_the_others(trees: Case) -> None:
    """Every field has one value in the newest rows, by which trees cannot split."""
    places = np.where(AGES == 0, 0, np.arange(TRAINING_ROWS))
    columns = take(trees.training, places)
    fitted = fit(trees.use_case, columns, trees.labels, challenger=BLEND, ages=AGES, weights=EQUAL)
    assert names(fitted.estimator) == ["full", "newest_2"]
    assert fitted.notes[-1].startswith("member newest_1 left out: catboost has nothing to split by")


def test_outliers_count_for_no_member(trees: Case) -> None:
    features = trees.use_case.features.tabular.model_copy(update={"outliers": "drop", "iqr_factor": 0.01})
    dropping = trees.use_case.model_copy(
        update={
            "features": trees.use_case.features.model_copy(update={"tabular": features}),
            "training": trees.use_case.training.model_copy(update={"min_rows": 10}),
        }
    )
    fitted = fit(dropping, trees.training, trees.labels, challenger=BLEND, ages=AGES, weights=EQUAL)
    assert isinstance(fitted.estimator, Blend)
    kept = fitted.encoder.fit_rows(trees.training)
    assert (~kept & (AGES == 0)).sum() > 0
    assert fitted.estimator.members[-1].rows == (kept & (AGES == 0)).sum()


def test_ages_and_weights_are_nothing_to_one_without_members(trees: Case) -> None:
    newest = FULL.model_copy(update={"window": 100})
    plain = fit(trees.use_case, trees.training, trees.labels, challenger=newest)
    fitted = fit(trees.use_case, trees.training, trees.labels, challenger=newest, ages=AGES, weights=WEIGHTS)
    assert (fitted.rows, fitted.notes) == (100, plain.notes)
    x = plain.encoder.encode(trees.held_out)
    np.testing.assert_array_equal(fitted.estimator.predict_proba(x), plain.estimator.predict_proba(x))


def test_only_the_first_member_tells_how_far_it_is(trees: Case) -> None:
    watch = Tells()
    fit(
        trees.use_case,
        trees.training,
        trees.labels,
        challenger=BLEND,
        ages=AGES,
        weights=EQUAL,
        watch=watch,
    )
    assert watch.epochs == list(range(1, 16))


def test_a_fit_is_stopped_at_any_member(trees: Case) -> None:
    watch = Tells(questions=20)  # 15 trees a member
    with pytest.raises(TrainingStopped):
        fit(
            trees.use_case,
            trees.training,
            trees.labels,
            challenger=BLEND,
            ages=AGES,
            weights=EQUAL,
            watch=watch,
        )


def test_a_checkpoint_is_that_of_the_first_member(texts: UseCase, tmp_path: Path) -> None:
    columns, labels = make_columns(texts, TRAINING_ROWS, seed=1)
    fit(texts, columns, labels, checkpoint_dir=tmp_path / "plain")
    fit(texts, columns, labels, challenger=BLEND, ages=AGES, checkpoint_dir=tmp_path / "blend")
    answers = [
        load_checkpoint(tmp_path / name / FILE).predict(columns).probabilities for name in ("plain", "blend")
    ]
    np.testing.assert_array_equal(answers[0], answers[1])


def test_servers_without_onnx_load_only_those_that_answer(native: Case, tmp_path: Path) -> None:
    fitted = fit(
        native.use_case, native.training, native.labels, challenger=BLEND, ages=AGES, weights=WEIGHTS
    )
    artifact = written(tmp_path / "blend", native, fitted)
    manifest = read_manifest(artifact)
    answering = load_answering(artifact, manifest)
    assert names(answering) == ["full", "newest_1"]
    x = fitted.encoder.encode(native.held_out)
    np.testing.assert_array_equal(Predictor.load(artifact).run(x), fitted.estimator.predict_proba(x))


def test_a_threshold_of_a_label_that_is_not_learned_is_told(texts: UseCase) -> None:
    columns, labels = make_columns(texts, TRAINING_ROWS, seed=1)
    separator = texts.target.separator
    labels = [separator.join(f"topic {label}" for label in text.split(separator)) for text in labels]
    target = texts.target.model_copy(
        update={"classes": (), "thresholds": {"topic a": 0.3, "topik a": 0.4, "\u00e9t\u00e9": 0.5}}
    )
    fitted = fit(texts.model_copy(update={"target": target}), columns, labels)
    assert fitted.thresholds["topic a"] == pytest.approx(0.3)
    told = [note for note in fitted.notes if note.startswith("target.thresholds")]
    why = "no training row has it, or fewer than target.min_label_rows (20)"
    assert told == [
        f"target.thresholds names 'topik a' (text), which is not learned (is 'topic a' meant?): {why}",
        f"target.thresholds names '\u00e9t\u00e9' (text), which is not learned: {why}",
    ]


def test_thresholds_are_chosen_on_answers_of_the_blend(
    texts: UseCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each member answers its own rows by models of the other parts, and rows outside by all its rows."""
    columns, labels = make_columns(texts, TRAINING_ROWS, seed=1)
    fits: list[int] = []
    truth = LinearText.fit

    def counted(self: LinearText, x: np.ndarray, *args: object, **options: object) -> None:
        fits.append(len(x))
        truth(self, x, *args, **options)  # type: ignore[arg-type]

    seen: list[np.ndarray] = []

    def chosen(probabilities: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        seen.append(probabilities)
        return np.full(matrix.shape[1], 0.25, np.float32)

    monkeypatch.setattr(LinearText, "fit", counted)
    monkeypatch.setattr("models.versions.member_fits.choose_thresholds", chosen)
    fitted = fit(texts, columns, labels, challenger=BLEND, ages=AGES, weights=WEIGHTS)
    assert fits[:3] == [240, 160, 80]
    assert fits[3:8] == [192] * 5
    # Those of `newest_1`; `newest_2` is not asked.
    assert [len(fits[8:]), sum(fits[8:])] == [5, 4 * 80]
    assert set(fitted.thresholds.values()) == {0.25}
    plain = fit(texts, columns, labels, challenger=FULL)
    assert isinstance(fitted.estimator, Blend)
    newest = fitted.estimator.members[-1].estimator
    outside = AGES > 0
    x = plain.encoder.encode(columns)
    expected = 0.6 * seen[1][outside] + 0.4 * newest.predict_proba(x[outside])
    np.testing.assert_allclose(seen[0][outside], expected, atol=1e-6)
    assert np.abs(seen[0] - fitted.estimator.predict_proba(x))[~outside].max() > 0.01
