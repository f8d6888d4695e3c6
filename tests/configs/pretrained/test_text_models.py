from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.errors import ConfigError
from configs.loading import parse_use_case
from configs.pretrained import text_models
from configs.schema import TextFeatures

SOURCE = Path("somewhere") / "notes.yaml"


def describe(model: str, **changes: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "name": "notes",
        "title": "Notes",
        "kind": "text",
        "record": {"fields": [{"name": "text", "type": "text"}]},
        "target": {"task": "multiclass", "column": "label"},
        "features": {"text": {"meaning": {"model": model}}},
        "model": {"estimator": "linear_text"},
    }
    return raw | changes


def read_meaning(text: TextFeatures | None) -> str:
    assert text is not None
    assert text.meaning is not None
    return text.meaning.model


@pytest.fixture
def no_tokenizers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_models, "TOKENIZERS", "no_such_package")


@pytest.fixture
def tokenizers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_models, "TOKENIZERS", "numpy")


@pytest.mark.usefixtures("no_tokenizers")
def test_without_the_extra_it_is_refused_by_name_and_says_what_to_install() -> None:
    with pytest.raises(
        ConfigError, match=r"'minilm' needs the package no_such_package.*pip install 'tokenizers>="
    ):
        parse_use_case(describe("minilm"), source=SOURCE)
    without = describe("minilm")
    del without["features"]
    assert parse_use_case(without, source=SOURCE).features.text.meaning is None


@pytest.mark.usefixtures("no_tokenizers")
def test_a_challenger_that_needs_it_leaves_the_configuration_valid() -> None:
    raw = describe("minilm", training={"challengers": [{"name": "full"}, {"name": "meaning"}]})
    raw["training"]["challengers"][1]["features"] = raw.pop("features")
    challengers = parse_use_case(raw, source=SOURCE).training.challengers
    assert challengers[1].features is not None
    assert read_meaning(challengers[1].features.text) == "minilm"


@pytest.mark.usefixtures("tokenizers")
def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"features\.text\.meaning\.model: got 'maxilm'; allowed: minilm, or"
    ):
        parse_use_case(describe("maxilm"), source=SOURCE)


@pytest.mark.usefixtures("tokenizers")
def test_a_relative_folder_lies_beside_the_configuration() -> None:
    read = parse_use_case(describe("./own"), source=SOURCE)
    assert read_meaning(read.features.text) == str(Path("somewhere/own"))
    raw = describe("../own", training={"challengers": [{"name": "full"}]})
    raw["training"]["challengers"][0]["features"] = raw.pop("features")
    challenger = parse_use_case(raw, source=SOURCE).training.challengers[0]
    assert challenger.features is not None
    assert read_meaning(challenger.features.text) == "somewhere/../own"
    absolute = parse_use_case(describe("/models/own"), source=SOURCE)
    assert read_meaning(absolute.features.text) == "/models/own"


def test_what_is_given_is_not_changed() -> None:
    raw = describe("./own", taxonomy="words.yaml", data={"path": "rows.csv"})
    del raw["features"]
    before = str(raw)
    read = parse_use_case(raw, source=SOURCE)
    assert (str(read.taxonomy), str(read.data.path)) == ("somewhere/words.yaml", "somewhere/rows.csv")
    assert str(raw) == before
