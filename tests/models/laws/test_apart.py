"""A class is held to the laws in a process of its own: one that hangs, or ends its process, is told of."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from features.errors import EncoderFailed
from models.errors import NotHeld
from models.estimators.arrays import Features, Targets
from models.laws.apart import What, hold_apart
from models.laws.laws import LAWS
from models.laws.report import Finding, hold_encoder_to_laws
from tests.models.laws.test_encoder_laws import Lengths
from tests.models.laws.test_laws import Mean

GIVEN_UP = 15.0
"""Seconds after which a class hangs: more than what is imported on a busy machine."""


class Loud(Mean):
    """Prints where we tell, and keeps every law."""

    def predict_proba(self, x: Features) -> Any:
        os.write(1, b"{no json\n")
        return super().predict_proba(x)


class Ending(Mean):
    def fit(self, x: Features, y: Targets, **how: Any) -> None:  # noqa: ARG002
        os._exit(7)


class Hanging(Mean):
    def fit(self, x: Features, y: Targets, **how: Any) -> None:  # noqa: ARG002
        time.sleep(1000)


class Hot(Mean):
    def __init__(self, params: Mapping[str, Any]) -> None:
        float(params["heat"])
        super().__init__({})


class Unsure(Lengths):
    def refusal(self, record: Any) -> str | None:
        raise LookupError(record.fields[0].name)


def held(
    name: str,
    kind: str | None = None,
    *,
    what: What = "estimator",
    seconds: float = 120.0,
    **params: Any,
) -> list[Finding | str]:
    return list(hold_apart(what, name, kind, params, seconds=seconds))


def test_the_kind_and_every_law_are_told_whatever_the_class_prints() -> None:
    kind, *findings = held(f"{__name__}:Loud")
    assert kind == "tabular"
    assert [one.law for one in findings if isinstance(one, Finding)] == list(LAWS)
    assert {one.state for one in findings if isinstance(one, Finding)} == {"kept", "not for this"}


@pytest.mark.parametrize(
    ("found", "seconds", "saw"),
    [
        ("Ending", 120.0, "it ends its process: exit code 7; the "),
        pytest.param("Hanging", GIVEN_UP, "it does not end within 15 s; the ", marks=pytest.mark.slow),
    ],
)
def test_what_ends_or_hangs_has_broken_the_law_in_hand(found: str, seconds: float, saw: str) -> None:
    *_, last = held(f"{__name__}:{found}", seconds=seconds)
    assert isinstance(last, Finding)
    assert (last.law, last.state) == ("learns", "broken")
    assert last.saw.startswith(saw)
    assert last.saw.endswith("laws after it were not looked at")


def test_parameters_that_a_class_does_not_take_are_told_in_its_words() -> None:
    with pytest.raises(NotHeld, match="test_apart:Hot raises ValueError: could not convert string to float"):
        held(f"{__name__}:Hot", heat="hot")


def test_a_module_that_ends_its_process_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "leaving_at_once.py").write_text("import os; os._exit(9)", encoding="utf-8")
    with pytest.raises(NotHeld, match="leaving_at_once:X ends its process: exit code 9"):
        held("leaving_at_once:X")


def test_an_encoder_that_cannot_say_what_it_refuses_is_named() -> None:
    with pytest.raises(EncoderFailed, match="Unsure cannot say what it refuses"):
        list(hold_encoder_to_laws(f"{__name__}:Unsure", "text", {}))
