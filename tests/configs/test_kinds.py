from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from configs.errors import ConfigError
from configs.loading import parse_use_case
from configs.schema import UseCase
from configs.spelling.letters import compose, decompose

TEXT: dict[str, Any] = {
    "name": "texts",
    "title": "Texts",
    "kind": "text",
    "record": {"fields": [{"name": "text", "type": "text"}]},
    "target": {"task": "multiclass"},
    "model": {"estimator": "linear_text"},
}
MANY: dict[str, Any] = {**TEXT, "target": {"task": "multilabel"}, "gate": {"metric": "f1_micro"}}
NUMBER = {"name": "size", "type": "number"}
IMAGE = {"name": "image", "type": "image", "shape": [8, 8]}
LINK = {"name": "one", "alias": "production"}


@pytest.mark.parametrize("raw", [TEXT, MANY, {**TEXT, "chain": {"links": [LINK]}}])
def test_valid(raw: dict[str, Any]) -> None:
    UseCase.model_validate(raw)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({**TEXT, "record": {"fields": [NUMBER]}}, "kind text: every field must be a text"),
        ({**TEXT, "kind": "mixed", "record": {"fields": [IMAGE]}}, "kind mixed: field 'image' is an image"),
        (
            {**TEXT, "gate": {"metric": "f1_micro"}},
            "gate.metric: got 'f1_micro'; allowed for multiclass targets: accuracy, ",
        ),
        (
            {**MANY, "gate": {"metric": "accuracy"}},
            "gate.metric: got 'accuracy'; allowed for multilabel targets: f1_macro, ",
        ),
        ({**MANY, "chain": {"links": [LINK]}}, "`chain` is for binary and multiclass targets"),
        ({**MANY, "target": {"task": "multilabel", "classes": ["a|b", "c"]}}, r"holds the separator '\|'"),
        (
            {**MANY, "target": {"task": "multilabel", "classes": ["a"], "thresholds": {"b": 0.5}}},
            "thresholds name 'b'",
        ),
        ({**TEXT, "target": {"task": "binary", "thresholds": {"b": 0.5}}}, "`thresholds` are for multilabel"),
        ({**TEXT, "features": {"text": {"words": 0, "pieces": 0}}}, "nothing would be known of a text"),
        ({**TEXT, "features": {"text": {"piece_lengths": [4, 3]}}}, r"piece_lengths \[4, 3\] must not fall"),
        ({**TEXT, "data": {"separator": " "}}, "describe a `dataset`, and none is named"),
        (
            {**TEXT, "data": {"dataset": "kaggle/a/b/c.csv", "columns": {"x": "z", "y": "z"}}},
            "columns name a column of the data set twice",
        ),
        ({**TEXT, "chain": {"links": [LINK, LINK]}}, "links repeat a name"),
        ({**TEXT, "chain": {"links": [{"name": "one"}]}}, "exactly one of `alias`"),
        (
            {**TEXT, "chain": {"links": [{"name": "one", "keywords": {"th\u00e9": [], "the\u0301": []}}]}},
            "is there twice, in two forms of its letters",
        ),
        ({**TEXT, "chain": {"links": [{**LINK, "taxonomy": True}]}}, "exactly one of `alias`"),
        ({**TEXT, "chain": {"links": [{"name": "a", "taxonomy": True}]}}, "`taxonomy: <file>` is required"),
    ],
)
def test_refused(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        UseCase.model_validate(raw)


def test_classes_are_named_in_whichever_form_their_letters_are() -> None:
    target: dict[str, Any] = {"task": "binary", "classes": ["non", compose("gelé")]}
    binary = UseCase.model_validate({**TEXT, "target": target | {"positive": decompose("gelé")}}).target
    assert binary.positive_of(binary.classes) == compose("gelé")
    thresholds = {decompose("gelé"): 0.3, "non": 0.4}
    target = {"task": "multilabel", "classes": ["non", compose("gelé")], "thresholds": thresholds}
    many = UseCase.model_validate({**MANY, "target": target}).target
    assert many.thresholds_of(many.classes) == {compose("gelé"): 0.3, "non": 0.4}
    with pytest.raises(
        ValidationError, match=r"positive 'yess' is not one of classes .* \(is 'yes' meant\?\)"
    ):
        UseCase.model_validate(
            {**TEXT, "target": {"task": "binary", "classes": ["no", "yes"], "positive": "yess"}}
        )


def test_a_taxonomy_lies_beside_its_configuration(tmp_path: Path) -> None:
    read = parse_use_case({**TEXT, "taxonomy": "data/t.yaml"}, source=tmp_path / "texts.yaml")
    assert read.taxonomy == str(tmp_path / "data" / "t.yaml")


def test_fields_that_drift_ignores_have_to_be_fields() -> None:
    assert UseCase.model_validate({**TEXT, "drift": {"ignore": ["text"]}}).drift.ignore == ("text",)
    with pytest.raises(ValidationError, match=r"drift.ignore: got 'words'; allowed: the fields text"):
        UseCase.model_validate({**TEXT, "drift": {"ignore": ["words"]}})


@pytest.mark.parametrize(
    ("came", "hint"),
    [
        (False, "valid string; in quotes it is one: without them no, off and false are read as False"),
        (True, "without them yes, on and true are read as True"),
        (3, "got 3; input should be a valid string; in quotes it is one"),
        (date(2026, 11, 28), "in quotes it is one"),
    ],
)  # fmt: skip
def test_what_yaml_reads_as_no_text_is_to_be_quoted(came: Any, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_use_case({**TEXT, "target": {"classes": [came, "b"]}}, source=Path("a.yaml"))
    assert hint in str(refused.value)


def test_what_quotes_would_not_mend_is_not_to_be_quoted() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_use_case({**TEXT, "target": {"classes": [["a"], "b"]}}, source=Path("a.yaml"))
    assert "quotes" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"training": {"holdout": {"fraction": 20}}},
            "training.holdout.fraction: got 20; input should be less than 1; it is a share, 0.2 for 20 %",
        ),
        ({"training": {"holdout": {"fraction": 1}}}, "it is a share, 0.5 for 50 %"),
        ({"training": {"holdout": {"fraction": "20%"}}}, "as a number; 20% is written 0.2"),
        ({"training": {"holdout": {"fraction": "12,5 %"}}}, "as a number; 12,5 % is written 0.125"),
        ({"serving": {"canary": {"share": 60}}}, "less than or equal to 0.5; it is a share, 0.25 for 25 %"),
        ({"serving": {"audit": 5}}, "it is a share, 0.05 for 5 %"),
        ({"gate": {"confidence": 95}}, "it is a share, 0.95 for 95 %"),
        ({"chain": {"links": [{**LINK, "confidence": 100}]}}, "it is a share, 1 for 100 %"),
        ({"labels": {"hold_back": {"contradicts": 15}}}, "it is a share, 0.15 for 15 %"),
        ({"target": {"task": "multilabel", "thresholds": {"a": 30}}}, "it is a share, 0.3 for 30 %"),
    ],
)
def test_percent_are_told_to_be_a_share(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_use_case({**TEXT, **change}, source=Path("texts.yaml"))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "change", [{"training": {"validation": 90}}, {"gate": {"confidence": 0.4}}, {"drift": {"share": "much"}}]
)
def test_other_numbers_are_told_to_be_none(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_use_case({**TEXT, **change}, source=Path("texts.yaml"))
    assert "it is a share" not in str(refused.value)


@pytest.mark.parametrize(
    ("target", "metric", "told"),
    [
        ({"task": "binary", "classes": ["a", "b"]}, "f2", "f1_macro, f1_weighted, f1, roc_auc, log_loss"),
        ({"task": "multiclass"}, "acuracy", "roc_auc, log_loss (is 'accuracy' meant?)"),
        (
            {"task": "multiclass"},
            "f1",
            "allowed for multiclass targets: accuracy, balanced_accuracy, f1_macro, ",
        ),
        ({"task": "multilabel"}, "acuracy", "hamming_loss, label_ranking_average_precision, coverage_error"),
    ],
)
def test_of_metrics_those_of_the_task_are_told(target: dict[str, Any], metric: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_use_case({**TEXT, "target": target, "gate": {"metric": metric}}, source=Path("texts.yaml"))
    message = str(refused.value)
    assert f"gate.metric: got '{metric}'; allowed for {target['task']} targets: " in message
    assert told in message
    assert ("f1_micro" in message) is (target["task"] == "multilabel")
