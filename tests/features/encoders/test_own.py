"""Encoders of other packages in the place of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from configs.errors import ConfigError
from configs.loading import parse_use_case
from configs.schema import ChallengerConfig, FeaturesChoice, UseCase
from features.encoders.adopted import AdoptedEncoder
from features.encoders.contract import encoder_of, fit_encoder
from features.encoders.own import learned_as, packages_behind_encoder
from features.encoders.text import TextEncoder
from features.errors import EncoderFailed, EncoderUnavailable
from features.records.contract import Columns, RecordContract
from models.laws.configured import model_problem
from models.shadows.recipes import recipe_digest
from tests.models.laws import test_encoder_laws as classes

HERE = classes.__name__
RECORDS: list[dict[str, Any]] = [
    {"title": None, "body": "ka ka"},
    {"title": "to", "body": "mi mi mi"},
    {"title": "a", "body": "12?"},
    {"title": "", "body": "ot im"},
]


def use_case(encoder: str = "Refusing", kind: str = "text", **more: Any) -> UseCase:
    fields = [{"name": "title", "type": "text", "nullable": True}, {"name": "body", "type": "text"}]
    raw: dict[str, Any] = {
        "name": "any",
        "title": "Any",
        "kind": kind,
        "record": {"fields": fields},
        "target": {"task": "multiclass", "column": "label", "classes": ["a", "b"]},
        "features": {"encoder": encoder if encoder == "standard" else f"{HERE}:{encoder}"},
        "model": {"estimator": "logistic"},
        "training": {"challengers": [{"name": "full"}]},
    }
    return parse_use_case(raw | more, source=Path("any.yaml"))


def columns() -> Columns:
    return RecordContract(use_case().record).check_records(RECORDS).all_or_raise()


def test_its_numbers_are_given_and_all_else_is_as_of_the_kind(tmp_path: Path) -> None:
    rows = columns()
    encoder = fit_encoder(use_case(), rows)
    assert isinstance(encoder, AdoptedEncoder)
    encoded = encoder.encode(rows)
    assert (encoded.shape, encoder.input_shape) == ((4, 2), (2,))
    assert encoder.feature_names == ("feature_1", "feature_2")
    assert encoded[2].tolist() == [0, 0]  # what it refuses
    assert encoded[0, 1] > 0
    assert encoder.fit_rows(rows).tolist() == [True, True, False, True]
    assert [(one.row, one.field) for one in encoder.problems(rows)] == [(2, "body")]
    standard = fit_encoder(use_case("standard", model={"estimator": "linear_text"}), rows)
    pd.testing.assert_frame_equal(
        encoder.summarise(rows)["title:length"].to_frame(),
        standard.summarise(rows)["title:length"].to_frame(),
    )
    encoder.write_files(tmp_path)
    state = json.loads(json.dumps(encoder.to_state(), allow_nan=False))
    again = encoder_of("text", state)
    assert again is AdoptedEncoder
    np.testing.assert_array_equal(AdoptedEncoder.from_files(state, tmp_path).encode(rows), encoded)
    assert encoder_of("text", standard.to_state()) is TextEncoder


def test_what_it_refuses_takes_no_part_in_its_fit() -> None:
    rows = columns()
    whole = fit_encoder(use_case(), rows).encode(rows)
    fine = {name: column[[0, 1, 3]] for name, column in rows.items()}
    np.testing.assert_array_equal(fit_encoder(use_case(), fine).encode(fine), whole[[0, 1, 3]])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Double", "Double cannot encode records: it gave float64, not float32"),
        ("Picky", "Picky cannot encode records: '12?'"),
    ],
)
def test_what_breaks_its_contract_is_named(name: str, message: str) -> None:
    rows = columns()
    with pytest.raises(EncoderFailed, match=message.replace("?", r"\?")):
        fit_encoder(use_case(name), rows).encode(rows)


def test_a_state_without_its_files_or_its_class_says_so(tmp_path: Path) -> None:
    encoder = fit_encoder(use_case(), columns())
    assert isinstance(encoder, AdoptedEncoder)
    with pytest.raises(EncoderFailed, match="without its files"):
        AdoptedEncoder.from_state(encoder.to_state())
    encoder.write_files(tmp_path)
    with pytest.raises(EncoderUnavailable, match="package nopackage is not installed here"):
        AdoptedEncoder.from_files(encoder.to_state() | {"encoder": "nopackage.encoders:Net"}, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"features": {"encoder": "nopackage.encoders:Net"}},
            "features.encoder: 'nopackage.encoders:Net' is not",
        ),
        ({"features": {"encoder": "letters"}}, "features.encoder: got 'letters'; allowed: standard"),
        (
            {"features": {"encoder": f"{HERE}:Lengths", "params": {"depth": 2}}},
            "features.params: .*Lengths refuses them: unknown parameters: depth",
        ),
        ({"kind": "mixed"}, "features.encoder: .*Refusing encodes kind text, got mixed"),
        ({"features": {"encoder": f"{HERE}:Boastful"}}, "says 'sounds'; allowed: tabular"),
        (
            {"model": {"estimator": "linear_text"}},
            "model.estimator linear_text learns from kind text, got rows of kind tabular by features.encoder",
        ),
        (
            {"features": {"encoder": f"{HERE}:Lengths", "tabular": {"encoding": "native"}}},
            "features.tabular.encoding: got native beside an encoder of your own",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(changes: dict[str, Any], message: str) -> None:
    import re

    assert re.search(message, str(model_problem(use_case(**changes))))


def test_a_challenger_may_have_one_of_its_own() -> None:
    pool = [{"name": "full"}, {"name": "own", "features": {"encoder": "nopackage.encoders:Net"}}]
    found = model_problem(
        use_case("standard", model={"estimator": "linear_text"}, training={"challengers": pool})
    )
    assert str(found).startswith("training.challengers: 'own': features.encoder: 'nopackage")
    with_params = use_case(features={"encoder": f"{HERE}:Lengths", "params": {"a": 1}})
    plain = ChallengerConfig(name="plain", features=FeaturesChoice(encoder="standard"))
    assert with_params.for_challenger(plain).features.params == {}


def test_parameters_without_an_encoder_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"features\.params: got some for the standard encoder"):
        use_case(features={"params": {"depth": 1}})


def test_estimators_see_what_it_makes_and_ours_what_the_kind_is() -> None:
    assert model_problem(use_case()) is None
    assert learned_as(use_case()) == "tabular"
    with pytest.raises(ConfigError, match="catboost learns from kind tabular or mixed, got kind text"):
        use_case("standard", model={"estimator": "catboost"})
    assert model_problem(use_case(model={"estimator": "catboost"})) is None
    assert packages_behind_encoder(f"{HERE}:Lengths") == {"tests"}
    assert packages_behind_encoder("standard") == set()


def test_a_record_counts_for_what_has_the_same_encoder_only() -> None:
    digests = {recipe_digest(use_case(name), "full") for name in ("standard", "Lengths", "Refusing")}
    assert len(digests) == 3
