from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.schema import (
    ChallengerConfig,
    FeaturesChoice,
    FeaturesConfig,
    TabularFeatures,
    TargetConfig,
    TextFeatures,
    UseCase,
)
from configs.spelling.letters import compose, decompose
from features.records.contract import take
from models.errors import CannotUpdate, ParamError, ParityError, TrainingError, UnknownEstimator
from models.estimators import arrays
from models.estimators.labels_and_thresholds import class_indices
from models.versions.artifact import Lineage, Parity
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact
from tests.contract.cases import NOW, WARM, Case, fit


def changed(use_case: UseCase, **parts: object) -> UseCase:
    return use_case.model_copy(update=parts)


def with_model(use_case: UseCase, **parts: object) -> UseCase:
    return changed(use_case, model=use_case.model.model_copy(update=parts))


def test_lineage_and_fit_are_in_the_manifest(trees: Case, tmp_path: Path) -> None:
    lineage = Lineage(
        snapshot_digest="d" * 64, parent_version=3, trigger="labels", run_id="r", code_revision="c"
    )
    manifest = write_artifact(
        tmp_path / "made", trees.fitted, trees.use_case, trees.held_out, lineage=lineage, created_at=NOW
    )
    assert (manifest.lineage, manifest.created_at, manifest.seed) == (
        lineage,
        NOW,
        trees.use_case.training.seed,
    )
    assert manifest.rows == len(trees.labels)
    assert manifest.params["iterations"] == 15


def test_a_version_appears_whole_or_not_at_all(
    trees: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disagree(*_: object) -> Parity:
        return Parity(max_difference=1, tolerance=0.1, rows=1)

    monkeypatch.setattr("models.versions.export.measure_parity", disagree)
    with pytest.raises(ParityError):
        write_artifact(
            tmp_path / "made", trees.fitted, trees.use_case, trees.held_out, lineage=Lineage(), created_at=NOW
        )
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_swept(trees: Case, tmp_path: Path) -> None:
    (tmp_path / "made.draft").mkdir()
    (tmp_path / "made.draft" / "rubbish").write_text("x", "utf-8")
    manifest = write_artifact(
        tmp_path / "made", trees.fitted, trees.use_case, trees.held_out, lineage=Lineage(), created_at=NOW
    )
    assert "rubbish" not in manifest.files


def test_one_held_out_row_is_enough_for_the_probe(trees: Case, tmp_path: Path) -> None:
    single_row = take(trees.held_out, slice(0, 1))
    manifest = write_artifact(
        tmp_path / "made", trees.fitted, trees.use_case, single_row, lineage=Lineage(), created_at=NOW
    )
    assert manifest.parity is not None
    assert manifest.parity.rows == 1


def test_wide_rows_are_compared_as_many_as_a_part_holds(
    trees: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "PART_BYTES", 20 * 4 * int(np.prod(trees.manifest.input_shape)))
    manifest = write_artifact(
        tmp_path / "made", trees.fitted, trees.use_case, trees.held_out, lineage=Lineage(), created_at=NOW
    )
    assert manifest.parity is not None
    assert manifest.parity.rows == 20 < len(trees.answer(trees.held_out))


def test_a_challenger_may_differ_in_parameters(trees: Case) -> None:
    other = ChallengerConfig(name="deep", params={"iterations": 4})
    manifest = fit(trees.use_case, trees.training, trees.labels, challenger=other)
    assert (manifest.params["iterations"], manifest.params["depth"]) == (4, 3)


def test_a_challenger_may_have_a_model_and_features_of_its_own(trees: Case, tmp_path: Path) -> None:
    plain = ChallengerConfig.model_validate(
        {
            "name": "plain",
            "model": {"estimator": "logistic", "params": {"c": 0.5}},
            "features": {"tabular": {"scale": False, "negatives": "missing"}},
        }
    )
    made = fit(trees.use_case, trees.training, trees.labels, challenger=plain)
    assert (made.estimator.name, made.params) == ("logistic", {"c": 0.5, "class_weights": "balanced"})
    assert made.encoder.to_state()["negatives"] == "missing"
    assert set(made.encoder.to_state()["scale"]) == {1.0}
    folder = tmp_path / "plain"
    written = write_artifact(folder, made, trees.use_case, trees.held_out, lineage=Lineage(), created_at=NOW)
    assert (written.estimator, written.runtime) == ("logistic", "native")
    answers = Predictor.load(folder).predict(trees.held_out)
    assert set(answers.classes) == set(trees.use_case.target.classes)
    main = fit(trees.use_case, trees.training, trees.labels)
    assert main.encoder.to_state()["negatives"] == "zero"


def test_a_section_of_features_that_a_challenger_does_not_have_is_the_use_cases() -> None:
    own = FeaturesChoice(text=TextFeatures(words=7))
    common = FeaturesConfig(tabular=TabularFeatures(outliers="drop"), text=TextFeatures(pieces=9))
    both = common.with_choice(own)
    assert (both.tabular, both.text, both.mixed) == (common.tabular, TextFeatures(words=7), common.mixed)
    assert common.with_choice(None) == common == common.with_choice(FeaturesChoice())


def test_a_window_of_time_learns_from_the_rows_of_that_time(trees: Case) -> None:
    rows = len(trees.labels)
    times = np.datetime64("2026-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    times[0] = times[-1]  # one that came late counts by its time
    week = ChallengerConfig(name="week", window="3d")
    made = fit(trees.use_case, trees.training, trees.labels, challenger=week, times=times)
    newest = np.array([0, *range(rows - 72, rows)])
    plain = ChallengerConfig(name="week")
    labels = [trees.labels[place] for place in newest]
    same = fit(trees.use_case, take(trees.training, newest), labels, challenger=plain)
    assert made.rows == 73
    assert made.encoder.to_state() == same.encoder.to_state()
    with pytest.raises(ValueError, match="the window 3d is a length of time"):
        fit(trees.use_case, trees.training, trees.labels, challenger=week)


def test_outliers_are_dropped_and_counted(trees: Case) -> None:
    dropping = changed(
        trees.use_case, features=FeaturesConfig(tabular=TabularFeatures(outliers="drop", iqr_factor=0.01))
    )
    manifest = fit(dropping, trees.training, trees.labels)
    assert manifest.rows < len(trees.labels)
    assert (
        manifest.notes[0]
        == f"{len(trees.labels) - manifest.rows} rows with outliers were left out of the fit"
    )


def test_notes_name_the_class(trees: Case) -> None:
    rare = trees.use_case.target.classes[2]
    rows = np.flatnonzero((np.array(trees.labels) != rare) | (np.arange(len(trees.labels)) < 12))
    labels = [trees.labels[row] for row in rows]
    manifest = fit(trees.use_case, take(trees.training, rows), labels)
    assert manifest.notes == (
        f"SMOTE skipped for class '{rare}': it has {labels.count(rare)} rows and needs more than 5",
    )


def test_classes_not_configured_are_learned_in_order(trees: Case) -> None:
    learned = changed(trees.use_case, target=TargetConfig(task="multiclass"))
    assert fit(learned, trees.training, trees.labels).classes == tuple(sorted(set(trees.labels)))


def test_one_class_cannot_be_learned(trees: Case) -> None:
    with pytest.raises(TrainingError, match="hold 1 class; at least 2 are needed"):
        fit(trees.use_case, trees.training, [trees.labels[0]] * len(trees.labels))


def test_a_binary_target_has_two_classes(trees: Case) -> None:
    binary = changed(trees.use_case, target=TargetConfig(task="binary"))
    with pytest.raises(TrainingError, match="binary target has 2 classes, the training rows hold 3"):
        fit(binary, trees.training, trees.labels)


def test_the_positive_class_is_found_in_whichever_form_its_letters_are(trees: Case) -> None:
    labels = [compose("gelé") if label == trees.labels[0] else "autre" for label in trees.labels]
    written = TargetConfig(task="binary", positive=decompose("gelé"))
    fitted = fit(changed(trees.use_case, target=written), trees.training, labels)
    assert written.positive_of(fitted.classes) == compose("gelé") == fitted.classes[1]


def test_a_positive_class_that_no_row_has_is_told_with_the_one_that_may_be_meant(trees: Case) -> None:
    labels = ["frozen" if label == trees.labels[0] else "other" for label in trees.labels]
    wrong = changed(trees.use_case, target=TargetConfig(task="binary", positive="frosen"))
    with pytest.raises(TrainingError) as refused:
        fit(wrong, trees.training, labels)
    assert str(refused.value) == (
        "target.positive: got 'frosen' (text), which is the label of no training row "
        "(is 'frozen' meant?); allowed: one of 'frozen', 'other'"
    )


def test_an_unknown_label_is_named() -> None:
    with pytest.raises(TrainingError, match="label 'c' is not a class; allowed: a, b"):
        class_indices(["a", "c"], ("a", "b"))
    assert class_indices(["b", "a"], ("a", "b")).tolist() == [1, 0]


def test_a_wrong_configuration_fails_before_any_work(trees: Case) -> None:
    with pytest.raises(ParamError, match="magic"):
        fit(with_model(trees.use_case, params={"magic": 1}), trees.training, trees.labels)
    with pytest.raises(UnknownEstimator):
        fit(with_model(trees.use_case, estimator="magic", params={}), trees.training, trees.labels)


def test_the_first_model_cannot_be_warm(trees: Case) -> None:
    with pytest.raises(CannotUpdate, match=r"there is none yet; use `fit: full`"):
        fit(trees.use_case, trees.training, trees.labels, challenger=WARM)


def test_a_warm_start_needs_the_same_estimator_and_fields(trees: Case, native: Case) -> None:
    with pytest.raises(CannotUpdate, match="it is a catboost, the configuration says logistic"):
        fit(native.use_case, native.training, native.labels, challenger=WARM, parent=trees.artifact)
    fewer = trees.use_case.record.model_copy(update={"fields": trees.use_case.record.fields[:-1]})
    with pytest.raises(CannotUpdate, match="its record fields are not those"):
        fit(
            changed(trees.use_case, record=fewer),
            trees.training,
            trees.labels,
            challenger=WARM,
            parent=trees.artifact,
        )


def test_a_warm_start_goes_on_from_whichever_challenger_made_production(trees: Case, native: Case) -> None:
    pool = (
        ChallengerConfig(name="full"),
        ChallengerConfig(name="trees", model=trees.use_case.model),
        WARM,
    )
    training = native.use_case.training.model_copy(update={"challengers": pool})
    use_case = changed(trees.use_case, model=native.use_case.model, training=training)
    made = fit(use_case, trees.training, trees.labels, challenger=WARM, parent=trees.artifact)
    assert (made.estimator.name, made.fit) == ("catboost", "warm")
    own = WARM.model_copy(update={"model": native.use_case.model})
    with pytest.raises(CannotUpdate, match="it is a catboost, the configuration says logistic"):
        fit(use_case, trees.training, trees.labels, challenger=own, parent=trees.artifact)


def test_a_warm_start_needs_an_estimator_that_can(native: Case) -> None:
    with pytest.raises(CannotUpdate, match="estimator logistic has no update"):
        fit(native.use_case, native.training, native.labels, challenger=WARM, parent=native.artifact)


def test_a_warm_start_needs_known_classes(trees: Case) -> None:
    labels = [*trees.labels[:-1], "Lifetime"]
    with pytest.raises(CannotUpdate, match="it does not know the class 'Lifetime'"):
        fit(trees.use_case, trees.training, labels, challenger=WARM, parent=trees.artifact)


def test_a_warm_start_may_have_rows_of_one_class(trees: Case) -> None:
    rows = np.flatnonzero(np.array(trees.labels) == trees.labels[0])[:10]
    manifest = fit(
        trees.use_case,
        take(trees.training, rows),
        [trees.labels[0]] * len(rows),
        challenger=WARM,
        parent=trees.artifact,
    )
    assert manifest.classes == trees.manifest.classes
