"""Challengers and links may not be called as something else is, nor lead to where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.errors import ConfigError, UnknownUseCase
from configs.loading import load_selected, parse_use_case
from configs.settings import read_settings
from flows.doctor import examine
from tests.configs.test_combinations import describe


def refused(**changes: Any) -> str:
    raw = describe("tabular", "logistic", "multiclass", **changes)
    with pytest.raises(ConfigError) as error:
        parse_use_case(raw, source=Path("any.yaml"))
    return str(error.value)


def linked(**link: Any) -> dict[str, Any]:
    return {"links": [{"name": "own", "alias": "production"}, link]}


@pytest.mark.parametrize("name", ["production", "original", "previous", "canary", "challenger"])
def test_a_challenger_is_not_called_as_a_version_is_by_its_place(name: str) -> None:
    told = refused(training={"challengers": [{"name": "full"}, {"name": name}]})
    assert f"training.challengers[1].name: got '{name}', which is a version by its place" in told


def test_a_challenger_is_not_called_as_the_plain_model_that_is_always_made() -> None:
    told = refused(training={"baseline": "always", "challengers": [{"name": "plain"}]})
    assert "got 'plain', which is the plain model of training.baseline" in told


def test_an_entry_of_a_list_is_told_by_its_name() -> None:
    fields = [{"name": "a", "type": "number"}, {"name": "b", "type": "nmber", "nulable": True}, {"type": "x"}]
    told = refused(record={"fields": fields}, training={"challengers": [{"name": "full", "fit": "ful"}]})
    for place in ("record.fields['b'].type: got 'nmber'", "record.fields['b'].nulable: unknown key"):
        assert f"any.yaml: {place}" in told
    assert "record.fields.2.name: missing" in told, "it has no name"
    assert "training.challengers['full'].fit: got 'ful'" in told


@pytest.mark.parametrize("name", ["out_of_scope", "none"])
def test_a_link_is_not_called_as_what_is_said_where_none_is_sure(name: str) -> None:
    told = refused(chain=linked(name=name, keywords={"a": ["x"]}))
    assert f"chain.links[1].name: got '{name}', which is said where no link is sure" in told


def test_a_link_does_not_lead_to_its_own_use_case() -> None:
    told = refused(chain=linked(name="again", use_case="any"))
    assert "chain.links[1].use_case: got 'any', which is this one" in told


def test_a_wrong_challenger_is_told_once() -> None:
    told = refused(training={"challengers": [{"name": "A"}]})
    assert "got 'A'" in told
    assert "tuple" not in told
    assert "\n" not in told


@pytest.mark.parametrize("ending", ["yml", "YAML"])
def test_a_use_case_under_another_ending_is_told(tmp_path: Path, ending: str) -> None:
    raw = describe("tabular", "logistic", "multiclass", name="mails")
    (tmp_path / f"mails.{ending}").write_text(yaml.safe_dump(raw), encoding="utf-8")
    (tmp_path / "compose.yml").write_text("name: shop\nservices: {}\n", encoding="utf-8")
    (tmp_path / "torn.yml").write_text("{", encoding="utf-8")
    sentence = f"{tmp_path / 'mails'}.{ending} is not read: the file of a use case ends with .yaml"
    with pytest.raises(UnknownUseCase) as told:
        load_selected([tmp_path], ["mails"])
    assert str(told.value).endswith(f"RATCHET_CONFIGS; {sentence}")
    settings = read_settings({"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_CONFIGS": str(tmp_path)})
    (finding,) = [one for one in examine(settings) if one.what == "use cases"]
    assert (finding.ok, finding.found.endswith(f"; {sentence}")) == (True, True)


def test_doctor_names_a_link_to_a_use_case_that_nobody_describes(tmp_path: Path) -> None:
    raw = describe("tabular", "logistic", "multiclass", chain=linked(name="other", use_case="nowhere"))
    (tmp_path / "any.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    settings = read_settings(
        {"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_CONFIGS": str(tmp_path), "RATCHET_USE_CASES": "any"}
    )
    (finding,) = [one for one in examine(settings) if one.what == "use cases"]
    assert not finding.ok
    assert "any: chain.links[1].use_case: got 'nowhere', which no file describes" in finding.found
