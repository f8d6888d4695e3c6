"""Every encoder of ours learns the same of batches as of all rows at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.schema import FeaturesConfig, FieldConfig, RecordConfig, UseCase
from features.encoders.batched.learning import LEARNERS, learn_encoder, learns_in_batches
from features.encoders.batched.text import learn_text
from features.encoders.contract import ENCODERS, fit_encoder
from features.records.contract import Columns
from features.records.rows import RowBatch, RowsInMemory, RowSource
from tests.features.backbone.tiny import write_network

WORDS = ["red", "green", "house", "car", "see", "www.red.example", "me@b.example", "and", "17", "Blue"]
COUNT = 700


def texts(random: np.random.Generator) -> Any:
    made = np.array([" ".join(random.choice(WORDS, number)) for number in random.integers(0, 30, COUNT)])
    made = made.astype(object)
    made[::9] = None
    return made


def dates(random: np.random.Generator) -> Any:
    made = np.datetime64("2022-01-01", "us") + random.integers(0, 900, COUNT) * np.timedelta64(1, "D")
    made[3], made[4], made[5] = (np.datetime64(day, "us") for day in ("2999-01-01", "9999-12-31", "NaT"))
    return made


def fields_of(kind: str) -> list[dict[str, Any]]:
    text: list[dict[str, Any]] = [
        {"name": name, "type": "text", "nullable": True} for name in ("title", "body")
    ]
    if kind == "text":
        return text
    if kind == "image":
        return [{"name": "picture", "type": "image", "shape": [8, 8]}]
    rest: list[dict[str, Any]] = [
        {"name": "price", "type": "number"},
        {"name": "colour", "type": "category", "nullable": True},
        {"name": "since", "type": "datetime", "nullable": True},
        {"name": "until", "type": "datetime", "nullable": True},
    ]
    return rest if kind == "tabular" else [*rest, *text]


def columns_of(use_case: UseCase) -> Columns:
    random = np.random.default_rng(5)
    made: Columns = {
        "title": texts(random),
        "body": texts(random),
        "price": np.exp(random.normal(size=COUNT)),
        "colour": random.choice(np.array(["red", "blue", None], object), COUNT),
        "since": dates(random),
        "until": dates(random),
        "picture": random.integers(0, 256, (COUNT, 8, 8)).astype(np.uint8),
    }
    return {field.name: made[field.name] for field in use_case.record.fields}


def use_case_of(kind: str, estimator: str, **features: Any) -> UseCase:
    return UseCase.model_validate(
        {
            "name": "one",
            "title": "One",
            "kind": kind,
            "record": {"fields": fields_of(kind)},
            "target": {"task": "binary"},
            "model": {"estimator": estimator},
            "features": features,
        }
    )


def in_batches(columns: Columns) -> RowSource:
    labels, times = np.full(COUNT, "a", object), np.arange(COUNT).astype("datetime64[us]")
    return RowsInMemory(RowBatch(columns, labels, np.arange(COUNT), times), most=64)


def ensure_same(one: Any, other: Any, key: str = "") -> None:
    """Equal, but for means and deviations, whose sums are rounded."""
    if isinstance(one, dict):
        assert list(one) == list(other), key
        for name, value in one.items():
            ensure_same(value, other[name], name)
    elif key in ("mean", "scale", "deviation"):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
    elif isinstance(one, list) and one and isinstance(one[0], dict):
        for value, beside in zip(one, other, strict=True):
            ensure_same(value, beside, key)
    else:
        assert one == other, key


CASES = {
    "tabular": ("tabular", "catboost"),
    "image": ("image", "logistic"),
    "image_backbone": ("image", "logistic"),
    "text": ("text", "linear_text"),
    "mixed": ("mixed", "keras_mixed"),
    "mixed_terms": ("mixed", "catboost_mixed"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_is_learned(name: str, tmp_path: Path) -> None:
    kind, estimator = CASES[name]
    features = {}
    if name == "image_backbone":
        write_network(tmp_path)
        features = {"image": {"backbone": {"model": str(tmp_path)}}}
    use_case = use_case_of(kind, estimator, **features)
    columns = columns_of(use_case)
    whole, streamed = fit_encoder(use_case, columns), learn_encoder(use_case, in_batches(columns))
    assert type(whole) is type(streamed)
    ensure_same(whole.to_state(), streamed.to_state())
    np.testing.assert_allclose(whole.encode(columns), streamed.encode(columns), rtol=1e-5, atol=1e-5)


def test_every_encoder_of_ours_has_its_learner() -> None:
    assert set(LEARNERS) == set(ENCODERS) == set(CASES)
    assert learns_in_batches(use_case_of("tabular", "catboost"))


def test_of_very_many_words_frequent_ones_are_known_all_the_same() -> None:
    record = RecordConfig(fields=(FieldConfig(name="body", type="text"),))
    random = np.random.default_rng(1)
    bodies = np.array([f"often rare{number} sometimes{number % 40}" for number in range(COUNT)], object)
    random.shuffle(bodies)
    options = FeaturesConfig.model_validate({"text": {"pieces": 0, "words": 41}})
    encoder = learn_text(in_batches({"body": bodies}), record, options, most=200)
    known = encoder.to_state()["words"]
    assert "often" in known
    assert sum(word.startswith("sometimes") for word in known) == 40
