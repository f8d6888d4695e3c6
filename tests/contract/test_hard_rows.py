"""Rows that an estimator can hardly learn from, `estimator:case`: a version that answers, or one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.schema import UseCase
from features.records.contract import Columns, RecordContract
from models.errors import EstimatorFailed, ModelError, TrainingError, TrainingStopped
from models.estimators.catalogue import ESTIMATORS, estimator_class
from models.estimators.fit_watch import SilentWatch
from models.versions.artifact import Lineage
from models.versions.predictor import Predictor
from models.versions.writing import write_artifact
from tests.contract.cases import NOW, fit
from tests.contract.generate import TINY_PARAMS, Record, make_records

FIELDS: dict[str, list[dict[str, Any]]] = {
    "tabular": [
        {"name": "n", "type": "number", "nullable": True},
        {"name": "at", "type": "datetime", "nullable": True},
        {"name": "c", "type": "category", "nullable": True},
    ],
    "image": [{"name": "image", "type": "image", "shape": [8, 8]}],
    "text": [{"name": "s", "type": "text", "nullable": True}],
    "mixed": [
        {"name": "s", "type": "text", "nullable": True},
        {"name": "n", "type": "number", "nullable": True},
        {"name": "at", "type": "datetime", "nullable": True},
    ],
}
KINDS = {
    "keras_cnn": "image",
    "keras_resnet": "image",
    "catboost": "tabular",
    "logistic": "tabular",
    "logistic_batches": "tabular",
    "xgboost": "tabular",
    "linear_text": "text",
    "keras_mixed": "mixed",
    "catboost_mixed": "mixed",
    "sklearn": "tabular",
}
"""Estimator to the kind of records that it learns from."""
BLANK: dict[str, Any] = {
    "number": 3.0,
    "datetime": "2024-05-01",
    "category": "x",
    "text": "the the",
    "image": [[0] * 8] * 8,
}
"""Type of a field to a value that says nothing."""
Hard = Callable[[UseCase, list[Record], list[str]], tuple[list[Record], list[str]]]


def make_use_case(estimator: str, **params: Any) -> UseCase:
    kind = KINDS[estimator]
    return UseCase.model_validate(
        {
            "name": "hard",
            "title": "Hard rows",
            "kind": kind,
            "record": {"fields": FIELDS[kind]},
            "target": {"task": "multiclass", "column": "y", "classes": ["a", "b", "c"]},
            "model": {"estimator": estimator, "params": TINY_PARAMS[estimator] | params},
        }
    )


def _same_everywhere(use_case: UseCase, records: list[Record], labels: list[str]) -> Any:
    blank = {field.name: BLANK[field.type] for field in use_case.record.fields}
    return [blank] * len(records), labels


def _all_missing(use_case: UseCase, records: list[Record], labels: list[str]) -> Any:
    required = {field.name: BLANK[field.type] for field in use_case.record.fields if not field.nullable}
    return [required] * len(records), labels


def _empty_texts(use_case: UseCase, records: list[Record], labels: list[str]) -> Any:
    texts = [field.name for field in use_case.record.fields if field.type == "text"]
    return [record | dict.fromkeys(texts, " ") for record in records], labels


def _one_class(_use_case: UseCase, records: list[Record], labels: list[str]) -> Any:
    return records, ["a"] * len(labels)


def _a_class_with_one_row(_use_case: UseCase, records: list[Record], labels: list[str]) -> Any:
    return records, ["a" if place % 2 else "b" for place in range(len(labels) - 1)] + ["c"]


def _a_class_without_rows(_use_case: UseCase, records: list[Record], labels: list[str]) -> Any:
    return records, ["a" if label == "a" else "c" for label in labels]


def _two_rows(_use_case: UseCase, records: list[Record], _labels: list[str]) -> Any:
    return records[:2], ["a", "b"]


def _absurd_values(use_case: UseCase, records: list[Record], labels: list[str]) -> Any:
    absurd = {"number": -1e308, "datetime": "9999-12-31", "text": "x" * 100_000, "category": "\u202e"}
    first = {field.name: absurd[field.type] for field in use_case.record.fields if field.type in absurd}
    return [records[0] | first, *records[1:]], labels


HARD: Mapping[str, Hard] = {
    "the_same_everywhere": _same_everywhere,
    "all_missing": _all_missing,
    "empty_texts": _empty_texts,
    "one_class": _one_class,
    "a_class_with_one_row": _a_class_with_one_row,
    "a_class_without_rows": _a_class_without_rows,
    "two_rows": _two_rows,
    "absurd_values": _absurd_values,
}
REFUSED = {
    "catboost:the_same_everywhere": "nothing to split by: every field has one value",
    "catboost:all_missing": "nothing to split by: every field has one value",
    "catboost_mixed:all_missing": "nothing to split by: every field has one value",
    **{f"{name}:one_class": "hold 1 class; at least 2 are needed" for name in ESTIMATORS},
}
"""Estimator and case to the sentence; every other one gives a version."""
UNCHANGED = {"image": ("all_missing", "empty_texts", "absurd_values"), "tabular": ("empty_texts",)}
"""Kind of records to the cases that need a field of another type."""
CASES = [(name, case) for name in ESTIMATORS for case in HARD if case not in UNCHANGED.get(KINDS[name], ())]
NETWORKS: Mapping[str, Sequence[str]] = {
    "keras_cnn": ("one_class", "a_class_without_rows", "two_rows"),
    "keras_mixed": ("one_class", "all_missing", "absurd_values"),
    "keras_resnet": ("one_class",),
}
"""Estimators that fit long, and the cases that are not among the slow tests."""


def marked(name: str, case: str) -> object:
    long = case not in NETWORKS.get(name, (case,))
    return pytest.param(name, case, id=f"{name}:{case}", marks=[pytest.mark.slow] if long else [])


def checked(use_case: UseCase, records: list[Record]) -> Columns:
    return RecordContract(use_case.record).check_records(records).all_or_raise()


@pytest.mark.parametrize(("name", "case"), [marked(*one) for one in CASES])
def test_hard_rows_give_a_version_or_one_sentence(name: str, case: str, tmp_path: Path) -> None:
    use_case = make_use_case(name, **({"smote": True} if name == "catboost" else {}))
    records, labels = HARD[case](use_case, *make_records(use_case, 60, seed=1))
    columns, held_out = checked(use_case, records), checked(use_case, make_records(use_case, 12, seed=2)[0])
    sentence = REFUSED.get(f"{name}:{case}")
    if sentence is not None:
        with pytest.raises(TrainingError, match=sentence) as refusal:
            fit(use_case, columns, labels)
        assert "\n" not in str(refusal.value)
        return
    fitted = fit(use_case, columns, labels)
    write_artifact(tmp_path / "made", fitted, use_case, held_out, lineage=Lineage(), created_at=NOW)
    predictor = Predictor.load(tmp_path / "made")
    predictor.check_probe()
    for rows in (held_out, columns):
        answers = predictor.predict(rows).probabilities
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fit_that_diverged_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer_nothing(_estimator: Any, x: Any) -> Any:
        return np.full((len(x), 3), np.nan, dtype=np.float32)

    monkeypatch.setattr(estimator_class(name), "predict_proba", answer_nothing)
    use_case = make_use_case(name)
    records, labels = make_records(use_case, 60, seed=1)
    told = rf"{name}( \(sklearn\.\S+\))? has diverged: its answers are no numbers; a smaller"
    with pytest.raises(TrainingError, match=told):
        fit(use_case, checked(use_case, records), labels)


def test_an_export_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def give_up(*_: Any) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(estimator_class("catboost"), "export_onnx", give_up)
    use_case = make_use_case("catboost")
    records, labels = make_records(use_case, 60, seed=1)
    columns = checked(use_case, records)
    fitted = fit(use_case, columns, labels)
    with pytest.raises(EstimatorFailed, match="catboost cannot be written: no such operator"):
        write_artifact(tmp_path / "made", fitted, use_case, columns, lineage=Lineage(), created_at=NOW)
    assert list(tmp_path.iterdir()) == []


RAISED = [
    (ValueError("boom\nand more"), "{} cannot learn from these rows: boom"),
    (RuntimeError("catboost/libs/data/x.cpp:12: All features are ignored"), "{} cannot .*: All features are"),
    (
        MemoryError(),
        "{} cannot learn from these rows: not enough memory; a challenger with a smaller `window`",
    ),
    (KeyError(), "{} cannot learn from these rows: KeyError"),
]


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(("raised", "sentence"), RAISED, ids=[type(one).__name__ for one, _ in RAISED])
def test_whatever_an_estimator_raises_becomes_one_sentence(
    name: str, raised: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(estimator_class(name), "fit", give_up)
    use_case = make_use_case(name)
    records, labels = make_records(use_case, 60, seed=1)
    with pytest.raises(EstimatorFailed, match=sentence.format(name)) as refusal:
        fit(use_case, checked(use_case, records), labels)
    assert refusal.value.__cause__ is raised
    assert "\n" not in str(refusal.value)


class _Watch(SilentWatch):
    def __init__(self, raised: Exception) -> None:
        self.raised = raised

    def should_stop(self) -> bool:
        raise self.raised


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name == "keras_resnet" else []) for name in ESTIMATORS],
)
@pytest.mark.parametrize(
    "raised",
    [ConnectionError("the database is away"), ZeroDivisionError("a fault of ours"), TrainingStopped()],
)
def test_what_the_watch_raises_is_not_the_estimator_s(name: str, raised: Exception) -> None:
    use_case = make_use_case(name)
    records, labels = make_records(use_case, 60, seed=1)
    with pytest.raises(type(raised)) as passed_on:
        fit(use_case, checked(use_case, records), labels, watch=_Watch(raised))
    assert not isinstance(passed_on.value, EstimatorFailed)
    assert isinstance(passed_on.value, ModelError) is isinstance(raised, ModelError)
