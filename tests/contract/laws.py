"""What must hold for use cases; each law takes a trained case and raises when it is broken.

A law that has nothing to check in some use cases names those that it is for.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.schema import FieldConfig, UseCase
from features.encoders.contract import row_count
from features.records.contract import Columns, take
from features.records.labels import join_labels
from features.records.spellings import trim
from models.errors import TrainingStopped
from models.estimators.blend import Blend
from models.estimators.catalogue import estimator_class, make_estimator
from models.estimators.contract import Resumable, can_update
from models.estimators.fit_watch import SilentWatch
from models.pyfunc import PyfuncModel, example_frame
from models.versions.artifact import NATIVE, Lineage, file_digests
from models.versions.fitting import FittedModel
from models.versions.members import member_answers
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact
from tests.contract.cases import AGES, NOW, TRAINING_ROWS, WARM, Case, fit, fit_blend
from tests.contract.generate import Record, make_columns

BATCH_TOLERANCE = 1e-6
TEXTS = (
    "",
    " \t\n",
    "zażółć gęślą jaźń",
    "日本語 🎈",
    "👩‍👩‍👧‍👦🏳️‍🌈" * 20,
    "شكرا جزيلا، مرحبا",
    "\u202eabc\u0301\u200b\ufeff",
    "".join(map(chr, range(1, 32))) + "\x7f\x85",
    "' OR 1=1; --",
    "a" * 500,
    "http://" + "a." * 300 + "b@" * 50,
)
"""Emoji, from right to left, control characters, and what looks like an attack."""
SEEDLESS_ESTIMATORS = frozenset({"logistic", "logistic_batches"})
"""Estimators that draw nothing: the seed that they are given changes nothing."""
Check = Callable[[Case, Path], None]
Predicate = Callable[[UseCase], bool]


@dataclass(frozen=True)
class Law:
    """What must hold, and for which use cases there is anything to check."""

    check: Check
    applies: Predicate


LAWS: dict[str, Law] = {}


def law(check: Check) -> Check:
    """Enter a law for every use case into the book, under its own name."""
    return law_for(lambda _use_case: True)(check)


def law_for(applies: Predicate) -> Callable[[Check], Check]:
    """Enter a law for the use cases that the predicate names."""

    def enter(check: Check) -> Check:
        LAWS[check.__name__] = Law(check, applies)
        return check

    return enter


def has_label_sets(use_case: UseCase) -> bool:
    """Whether a row may have many labels."""
    return use_case.target.task == "multilabel"


def has_one_label(use_case: UseCase) -> bool:
    """Whether a row has exactly one label."""
    return not has_label_sets(use_case)


def has_nullable_fields(use_case: UseCase) -> bool:
    """Whether some field may be left out."""
    return any(field.nullable for field in use_case.record.fields)


def free_text_fields(use_case: UseCase) -> list[FieldConfig]:
    """Fields that take a text of any words."""
    fields = use_case.record.fields
    return [field for field in fields if field.type in ("text", "category") and not field.categories]


def has_free_text(use_case: UseCase) -> bool:
    """Whether some field takes any words."""
    return bool(free_text_fields(use_case))


def has_limited_text(use_case: UseCase) -> bool:
    """Whether some field takes a text up to a length."""
    return any(field.type == "text" for field in use_case.record.fields)


def draws_by_seed(use_case: UseCase) -> bool:
    """Whether the estimator draws anything."""
    return use_case.model.estimator not in SEEDLESS_ESTIMATORS


def draws_nothing(use_case: UseCase) -> bool:
    """Whether the estimator does the same whatever the seed."""
    return not draws_by_seed(use_case)


def is_updatable(use_case: UseCase) -> bool:
    """Whether the estimator can be updated in place of a new fit."""
    return can_update(make_estimator(use_case.model.estimator, use_case.model.params))


def is_resumable(use_case: UseCase) -> bool:
    """Whether a fit can go on from a checkpoint."""
    return issubclass(estimator_class(use_case.model.estimator), Resumable)


def has_three_classes(use_case: UseCase) -> bool:
    """Whether two are left when one of the configured classes has no rows; those learned keep no place."""
    return len(use_case.target.classes) >= 3


@law
def it_learns(case: Case, _folder: Path) -> None:
    """Without this the others could hold for a model that always says the same."""
    labels = case.predictor.predict(case.held_out).labels
    right = np.mean([answered == label for answered, label in zip(labels, case.held_out_labels, strict=True)])
    assert right > 1.5 / len(case.predictor.classes)
    assert len(set(labels)) > 1


@law
def answers_are_probabilities(case: Case, _folder: Path) -> None:
    probabilities = case.predictor.predict(case.held_out).probabilities
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    assert (probabilities <= 1 + 1e-6).all()


@law_for(has_label_sets)
def each_row_gets_a_set_of_labels(case: Case, _folder: Path) -> None:
    answers = case.predictor.predict(case.held_out)
    assert answers.thresholds is not None
    assert (answers.probabilities <= 1).all()
    assert all(answers.label_sets)
    assert [join_labels(labels, answers.separator) for labels in answers.label_sets] == answers.labels


@law_for(has_one_label)
def the_label_is_the_most_probable_class(case: Case, _folder: Path) -> None:
    answers = case.predictor.predict(case.held_out)
    assert answers.thresholds is None
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1, atol=1e-5)
    for label, score, row in zip(answers.labels, answers.scores, answers.probabilities, strict=True):
        assert row[case.predictor.classes.index(label)] == score == row.max()


@law
def predict_is_pure(case: Case, _folder: Path) -> None:
    records = copy.deepcopy(case.records)
    columns = case.check(records)
    before = copy.deepcopy(columns)
    first = case.answer(columns).copy()
    np.testing.assert_array_equal(case.answer(columns), first)
    assert records == case.records
    assert_same_columns(columns, before)


@law
def order_does_not_matter(case: Case, _folder: Path) -> None:
    order = np.random.default_rng(0).permutation(len(case.records))
    shuffled = case.answer(take(case.held_out, order))
    np.testing.assert_allclose(shuffled, case.answer(case.held_out)[order], atol=BATCH_TOLERANCE)


@law
def batch_size_does_not_matter(case: Case, _folder: Path) -> None:
    columns = case.held_out
    together = case.answer(columns)
    for size in (1, 7, 32):
        parts = [
            case.answer(take(columns, slice(start, start + size)))
            for start in range(0, row_count(columns), size)
        ]
        np.testing.assert_allclose(np.concatenate(parts), together, atol=BATCH_TOLERANCE)


@law
def many_rows_are_answered_as_few_are(case: Case, _folder: Path) -> None:
    many = take(case.held_out, np.arange(600) % len(case.records))
    few = case.answer(case.held_out)
    np.testing.assert_allclose(case.answer(many)[540:], few, atol=BATCH_TOLERANCE)


@law
def no_rows_get_no_answers(case: Case, _folder: Path) -> None:
    assert case.answer(case.predictor.contract.empty()).shape == (0, len(case.predictor.classes))


@law
def unknown_fields_are_ignored(case: Case, _folder: Path) -> None:
    stranger = {"no such field": [1, {"two": None}], "Ünïcode ✓": "✓"}
    records: list[Record] = [{**stranger, **record} for record in case.records]
    np.testing.assert_array_equal(case.answer(case.check(records)), case.answer(case.held_out))


@law_for(has_nullable_fields)
def missing_optional_fields_survive(case: Case, _folder: Path) -> None:
    optional = [field.name for field in case.use_case.record.fields if field.nullable]
    absent = [{k: v for k, v in record.items() if k not in optional} for record in case.records]
    null = [{**record, **dict.fromkeys(optional)} for record in case.records]
    answers = case.answer(case.check(absent))
    assert np.isfinite(answers).all()
    np.testing.assert_array_equal(answers, case.answer(case.check(null)))


@law_for(has_free_text)
def any_text_survives(case: Case, _folder: Path) -> None:
    free = free_text_fields(case.use_case)
    for text in TEXTS:
        records = [{**record, **{f.name: text[: f.max_length] for f in free}} for record in case.records[:5]]
        required = [f for f in free if f.type == "category" and not f.nullable]
        if required and not trim(text):  # it names nothing, and something has to be named
            problems = case.predictor.contract.check_records(records).problems
            assert {problem.field for problem in problems} == {f.name for f in required}
            continue
        columns = case.check(records)
        answers = case.answer(columns)
        assert np.isfinite(answers).all()
        contract = case.predictor.contract
        np.testing.assert_array_equal(case.answer(contract.from_json(contract.to_json(columns))), answers)


@law_for(has_limited_text)
def a_text_beyond_its_limit_is_refused(case: Case, _folder: Path) -> None:
    limited = [f for f in case.use_case.record.fields if f.type == "text"]
    for field in limited:
        longest = "word " * (field.max_length // 5)
        assert np.isfinite(case.answer(case.check([{**case.records[0], field.name: longest}]))).all()
        checked = case.predictor.contract.check_records([{**case.records[0], field.name: "x" * 1_000_000}])
        assert not len(checked.rows)
        assert [problem.message for problem in checked.problems] == [
            f"field '{field.name}': got 1000000 characters; allowed: text of at most {field.max_length} "
            f"characters{', or null' if field.nullable else ''}"
        ]


@law
def canonical_records_get_the_same_answers(case: Case, _folder: Path) -> None:
    """What is logged and learned from later is what was answered."""
    contract = case.predictor.contract
    documents = contract.to_json(case.held_out)
    np.testing.assert_array_equal(case.answer(contract.from_json(documents)), case.answer(case.held_out))


@law
def export_agrees(case: Case, _folder: Path) -> None:
    native = case.fitted.estimator.predict_proba(case.fitted.encoder.encode(case.held_out))
    np.testing.assert_allclose(case.answer(case.held_out), native, atol=1e-4)
    parity = case.manifest.parity
    if case.manifest.runtime == "onnx":
        assert parity is not None
        assert parity.agrees
        mixed_too = hasattr(case.fitted.estimator, "export_tolerance")
        assert parity.rows == len(case.records) * (2 if mixed_too else 1)


@law
def saved_and_loaded_answers_are_the_same(case: Case, _folder: Path) -> None:
    again = Predictor.load(case.artifact)
    assert again.check_probe() <= 1e-4
    np.testing.assert_array_equal(again.predict(case.held_out).probabilities, case.answer(case.held_out))
    manifest = case.manifest
    native = estimator_class(manifest.estimator).load(case.artifact / NATIVE, manifest.params)
    x = again.encode(case.held_out)
    np.testing.assert_array_equal(native.predict_proba(x), case.fitted.estimator.predict_proba(x))


@law
def same_seed_same_model(case: Case, _folder: Path) -> None:
    twin = fit(case.use_case, case.training, case.labels)
    x = twin.encoder.encode(case.held_out)
    np.testing.assert_array_equal(twin.estimator.predict_proba(x), case.fitted.estimator.predict_proba(x))


@law_for(draws_by_seed)
def another_seed_another_model(case: Case, _folder: Path) -> None:
    """The twin of the law above: the seed is used."""
    assert largest_difference(case, fit_with_another_seed(case)) > 1e-6


@law_for(draws_nothing)
def an_estimator_that_draws_nothing_ignores_the_seed(case: Case, _folder: Path) -> None:
    assert largest_difference(case, fit_with_another_seed(case)) == 0


@law
def other_rows_another_model(case: Case, _folder: Path) -> None:
    """Answers do depend on what was learned."""
    fewer = fit(case.use_case, take(case.training, slice(0, 120)), case.labels[:120])
    assert largest_difference(case, fewer) > 1e-3


@law
def the_encoder_never_learns_from_held_out_rows(case: Case, _folder: Path) -> None:
    encoder = case.fitted.encoder
    before = json.dumps(encoder.to_state())
    encoder.encode(case.held_out)
    encoder.summarise(case.held_out)
    encoder.summarise_both(case.training, case.held_out)
    encoder.fit_rows(case.held_out)
    assert json.dumps(encoder.to_state()) == before
    assert json.loads((case.artifact / "encoder.json").read_text("utf-8")) == json.loads(before)


@law
def learning_does_not_change_the_rows(case: Case, _folder: Path) -> None:
    """Those of the case, from which it and others have learned by now, are as they were made."""
    columns, labels = make_columns(case.use_case, TRAINING_ROWS, seed=1)
    assert_same_columns(case.training, columns)
    assert case.labels == labels


@law
def a_window_learns_from_the_newest_rows(case: Case, _folder: Path) -> None:
    window = case.use_case.training.challengers[0].model_copy(update={"window": 100, "fit": "full"})
    windowed = fit(case.use_case, case.training, case.labels, challenger=window)
    newest = fit(case.use_case, take(case.training, slice(-100, None)), case.labels[-100:], challenger=window)
    assert windowed.rows <= 100
    assert windowed.encoder.to_state() == newest.encoder.to_state()
    x = newest.encoder.encode(case.held_out)
    np.testing.assert_array_equal(windowed.estimator.predict_proba(x), newest.estimator.predict_proba(x))


@law
def a_fit_stops_when_asked(case: Case, _folder: Path) -> None:
    class Impatient(SilentWatch):
        asked = 0

        def should_stop(self) -> bool:
            self.asked += 1
            return True

    watch = Impatient()
    with pytest.raises(TrainingStopped):
        fit(case.use_case, case.training, case.labels, watch=watch)
    assert watch.asked == 1


@law
def a_fit_tells_how_far_it_is(case: Case, _folder: Path) -> None:
    last = case.followed.epochs[-1][1]
    assert case.followed.epochs == [(number, last) for number in range(1, last + 1)]
    assert case.followed.metrics


@law_for(is_updatable)
def a_warm_start_continues_on_a_copy(case: Case, folder: Path) -> None:
    before = file_digests(case.artifact)
    columns, labels = take(case.training, slice(0, 80)), case.labels[:80]
    warm = fit(case.use_case, columns, labels, challenger=WARM, parent=case.artifact)
    written = write_artifact(
        folder / "warm", warm, case.use_case, case.held_out, lineage=Lineage(), created_at=NOW
    )
    assert (written.fit, written.classes) == ("warm", case.manifest.classes)
    assert warm.encoder.to_state() == case.fitted.encoder.to_state()
    assert file_digests(case.artifact) == before
    loaded = Predictor.load(folder / "warm")
    answers = loaded.predict(case.held_out).probabilities
    np.testing.assert_array_equal(
        Predictor.load(folder / "warm").predict(case.held_out).probabilities, answers
    )
    native = warm.estimator.predict_proba(warm.encoder.encode(case.held_out))
    np.testing.assert_allclose(answers, native, atol=1e-4)
    assert written.thresholds == case.manifest.thresholds
    assert 1e-5 < np.abs(answers - case.answer(case.held_out)).mean() < 0.5
    twin = fit(case.use_case, columns, labels, challenger=WARM, parent=case.artifact)
    x = warm.encoder.encode(case.held_out)
    np.testing.assert_array_equal(twin.estimator.predict_proba(x), warm.estimator.predict_proba(x))


@law
def a_blend_answers_by_the_weighted_mean_of_its_members(case: Case, _folder: Path) -> None:
    written = case.blend.manifest
    assert [(one.name, one.window) for one in written.members] == [
        ("full", None), ("newest_2", 2), ("newest_1", 1)
    ]  # fmt: skip
    assert [one.weight for one in written.members] == pytest.approx([0.6, 0, 0.4])
    assert written.members[0].rows > written.members[1].rows > written.members[2].rows
    assert (written.estimator, written.runtime) == (case.manifest.estimator, case.manifest.runtime)
    loaded = Predictor.load(case.blend.artifact)
    loaded.check_probe()
    x = loaded.encode(case.held_out)
    members = member_answers(case.blend.artifact, x)
    assert list(members) == ["full", "newest_2", "newest_1"]
    np.testing.assert_array_equal(members["full"], case.fitted.estimator.predict_proba(x))
    for one, other in itertools.combinations(members.values(), 2):
        assert np.abs(one - other).max() > 1e-4
    answers = loaded.run(x)
    np.testing.assert_allclose(answers, 0.6 * members["full"] + 0.4 * members["newest_1"], atol=1e-4)
    assert answers.max() <= 1


@law
def a_member_learns_from_the_rows_of_its_window_only(case: Case, _folder: Path) -> None:
    old = np.flatnonzero(AGES > 0)
    labels = np.array(case.labels, dtype=object)
    labels[old] = np.roll(labels[old], 1)
    mixed_up = fit_blend(case.use_case, case.training, labels.tolist())
    answers = []
    for fitted in (case.blend.fitted, mixed_up):
        assert isinstance(fitted.estimator, Blend)
        x = fitted.encoder.encode(case.held_out)
        answers.append({one.name: one.estimator.predict_proba(x) for one in fitted.estimator.members})
    np.testing.assert_array_equal(answers[0]["newest_1"], answers[1]["newest_1"])
    for name in ("full", "newest_2"):
        assert np.abs(answers[0][name] - answers[1][name]).max() > 1e-3


@law_for(is_updatable)
def a_warm_start_lets_every_member_learn(case: Case, folder: Path) -> None:
    before, digests = case.blend.manifest, file_digests(case.blend.artifact)
    warm = fit(
        case.use_case,
        take(case.training, slice(0, 80)),
        case.labels[:80],
        challenger=WARM,
        parent=case.blend.artifact,
    )
    after = write_artifact(
        folder / "warm", warm, case.use_case, case.held_out, lineage=Lineage(), created_at=NOW
    )
    assert (after.fit, after.rows) == ("warm", warm.rows)
    assert file_digests(case.blend.artifact) == digests
    assert [(one.name, one.weight, one.rows - warm.rows) for one in after.members] == [
        (one.name, one.weight, one.rows) for one in before.members
    ]
    Predictor.load(folder / "warm").check_probe()
    x = warm.encoder.encode(case.held_out)
    old, new = member_answers(case.blend.artifact, x), member_answers(folder / "warm", x)
    for name in ("full", "newest_2", "newest_1"):
        assert np.abs(old[name] - new[name]).max() > 1e-5


@law_for(is_resumable)
def a_stopped_fit_goes_on_from_its_checkpoint(case: Case, folder: Path) -> None:
    class Patient(SilentWatch):
        def __init__(self, epochs: int) -> None:
            self.epochs = epochs
            self.seen: list[int] = []

        def epoch(self, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
            self.seen.append(epoch)

        def should_stop(self) -> bool:
            return len(self.seen) >= self.epochs

    columns, labels = take(case.training, slice(0, 120)), case.labels[:120]
    with pytest.raises(TrainingStopped):
        fit(case.use_case, columns, labels, watch=Patient(2), checkpoint_dir=folder / "a")
    rest = Patient(1000)
    resumed = fit(case.use_case, columns, labels, watch=rest, checkpoint_dir=folder / "a")
    assert rest.seen[0] == 3
    whole = fit(case.use_case, columns, labels, checkpoint_dir=folder / "b")
    x = whole.encoder.encode(case.held_out)
    np.testing.assert_allclose(
        resumed.estimator.predict_proba(x), whole.estimator.predict_proba(x), atol=1e-5
    )
    other = Patient(1)
    with pytest.raises(TrainingStopped):
        fit(case.use_case, columns, labels[::-1], watch=other, checkpoint_dir=folder / "a")
    assert other.seen == [1]


@law_for(has_three_classes)
def a_class_without_rows_keeps_its_place(case: Case, folder: Path) -> None:
    gone = case.use_case.target.classes[-1]
    rows = np.flatnonzero(np.array(case.labels) != gone)
    fewer = fit(case.use_case, take(case.training, rows), [case.labels[row] for row in rows])
    write_artifact(folder / "fewer", fewer, case.use_case, case.held_out, lineage=Lineage(), created_at=NOW)
    loaded = Predictor.load(folder / "fewer")
    assert loaded.classes == case.use_case.target.classes
    assert loaded.predict(case.held_out).probabilities.shape == (len(case.records), len(loaded.classes))


@law
def a_data_frame_gets_the_same_answers(case: Case, _folder: Path) -> None:
    contract = case.predictor.contract
    frame = example_frame(contract.to_json(case.held_out), contract)
    answered = PyfuncModel(case.predictor).predict(frame.iloc[::-1]).iloc[::-1]
    assert list(answered.columns) == [
        "label",
        "score",
        *(f"scores.{name}" for name in case.predictor.classes),
    ]
    assert list(answered.index) == list(frame.index)
    np.testing.assert_allclose(answered.iloc[:, 2:], case.answer(case.held_out), atol=BATCH_TOLERANCE)


def fit_with_another_seed(case: Case) -> FittedModel:
    """The same rows learned with the seed after the one of the case."""
    training = case.use_case.training
    other = training.model_copy(update={"seed": training.seed + 1})
    return fit(case.use_case.model_copy(update={"training": other}), case.training, case.labels)


def largest_difference(case: Case, other: FittedModel) -> float:
    """How far two fits are apart on the held-out rows, as a probability."""

    def answers(fitted: FittedModel) -> NDArray[np.float32]:
        return fitted.estimator.predict_proba(fitted.encoder.encode(case.held_out))

    return float(np.abs(answers(other) - answers(case.fitted)).max())


def assert_same_columns(actual: Columns, expected: Columns) -> None:
    """Equal names and values, missing ones too."""
    assert list(actual) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name])
