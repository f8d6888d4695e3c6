"""What was probably meant, beside a name that is not allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.errors import ConfigError, UnknownUseCase
from configs.loading import load_use_case, parse_use_case
from configs.spelling.near_names import NearWords, meant, misspelt, nearest
from tests.configs.test_kinds import TEXT


@pytest.mark.parametrize(
    ("name", "near"), [("mial", "mail"), ("MAIL", "mail"), ("mails", "mail"), ("apples", None), ("", None)]
)
def test_only_names_that_are_near_are_named(name: str, near: str | None) -> None:
    assert nearest(name, ["mail", "plans"]) == near


@pytest.mark.parametrize(
    ("missing", "strays", "pairs"),
    [
        (["mail", "mall"], ["maill"], {"mall": "maill"}),
        (["mail"], ["maii", "mails"], {"mail": "mails"}),
        (["mail"], ["planes"], {}),
        (["mail"], [], {}),
    ],
)
def test_each_stray_is_meant_for_one_name(
    missing: list[str], strays: list[str], pairs: dict[str, str]
) -> None:
    assert misspelt(missing, strays, ["mail", "mall", "plans"]) == pairs


def test_nothing_stands_behind_a_name_that_is_near_none() -> None:
    assert (meant("mials", ["mails"]), meant("apples", ["mails"])) == (" (is 'mails' meant?)", "")
    assert "'mial' (is 'mail' meant?); known: mail, plans" in str(UnknownUseCase("mial", ["mail", "plans"]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"retran": {}}, "retran: unknown key (is 'retrain' meant?)"),
        ({"retrain": {"every_label": 5}}, "retrain.every_label: unknown key (is 'every_labels' meant?)"),
        (
            {"record": {"fields": [{"name": "text", "type": "text", "nulable": True}]}},
            "nulable: unknown key (is 'nullable' meant?)",
        ),
        (
            {"training": {"challengers": [{"name": "full", "windows": 3}]}},
            "windows: unknown key (is 'window' meant?)",
        ),
        ({"retrain": {"window": 5}}, "retrain.window: unknown key; "),
        ({"kind": "tabulr"}, "'text' or 'mixed' (is 'tabular' meant?)"),
        ({"drift": {"ignore": ["txt"]}}, "allowed: the fields text (is 'text' meant?)"),
        (
            {"features": {"text": {"meaning": {"model": "minilmm"}}}},
            "features.text.meaning.model: got 'minilmm' (is 'minilm' meant?); allowed: ",
        ),
    ],
)
def test_the_key_that_is_nearest_at_its_place_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_use_case({**TEXT, **change}, source=Path("texts.yaml"))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "text", ["gate: {confidence: 0.8}\n", "training: {seed: 1}\ngate: {min_gain: 0.1}\n"]
)
def test_a_policy_among_the_use_cases_is_told_as_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bolder.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"looks like a policy of `ratchet replay USE_CASE --policy FILE`"):
        load_use_case(path)
    path.write_text(text + "kind: tabular\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="name: missing, and required"):
        load_use_case(path)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("month to month", "Month-to-month"),
        ("ONE YEAR", "One year"),
        ("oneyear.", "One year"),
        ("Two yaer", "Two year"),
        ("Two yar", "Two year"),
        ("Two yeaar", "Two year"),
        ("Two yeer", "Two year"),
        ("hamm", "ham"),
        ("Zürich ", "Zürich"),
        ("hat", None),
        ("1002", None),
        ("", None),
        ("–", None),
        ("Three years", None),
        ("x" * 10_000, None),
    ],
)
def test_a_word_is_near_by_one_letter_whatever_its_capitals_and_marks(text: str, near: str | None) -> None:
    words = NearWords(["Month-to-month", "One year", "Two year", "ham", "1001", "Zürich", "x" * 10_001])
    assert words.meant(text) == ("" if near is None else f", is '{near}' meant?")
