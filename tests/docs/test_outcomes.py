"""The table of outcomes has every word of the code and no other; reasons begin with words."""

from __future__ import annotations

import inspect
import re
from typing import get_args

import pytest

from configs.schema import GateConfig
from flows.retrain.judging import plain
from flows.retrain.outcome import Outcome
from models.gate import checks, sources, uncompared
from models.gate.decision import OPENINGS, GateOutcome, GateVerdict, deciding
from tests.docs.pages import read

ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| [^|]+\. \| [^|]+\. \|$", re.MULTILINE)
RUN_ROW = re.compile(r"^\| `(\w+)` \| [^|`]+ \|$", re.MULTILINE)
OUTCOMES: tuple[GateOutcome, ...] = get_args(GateOutcome)
BY_WORDS = {"labels_selected", "labels_left_out", "production_gone", "one_source"}
"""Outcomes whose reasons are written where they are found, as sentences."""


def page() -> str:
    return read("docs/outcomes.md")


def test_every_outcome_of_the_gate_is_in_the_table() -> None:
    rows = ROW.findall(page())
    assert sorted(name for name, _ in rows) == sorted(OUTCOMES)
    assert {verdict for _, verdict in rows} == set(get_args(GateVerdict))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_verdict_is_that_of_the_code(outcome: GateOutcome) -> None:
    code = "".join(map(inspect.getsource, (checks, uncompared, sources, plain)))
    verdict = dict(ROW.findall(page()))[outcome]
    if outcome in ("labels_left_out", "production_gone"):
        assert verdict == "hold_back"  # by `hold_back`, with the outcome that it is called with
        return
    pair = rf'"{verdict}",\s*"{outcome}"|verdict="{verdict}", outcome="{outcome}"'
    assert re.search(pair, code), pair


def test_every_outcome_of_a_run_is_told() -> None:
    assert RUN_ROW.findall(page()) == list(get_args(Outcome))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_reason_begins_with_the_verdict_in_words(outcome: GateOutcome) -> None:
    reason = deciding(GateConfig(), 100, 0.8)("reject", outcome, "accuracy 0.8").reason
    assert (outcome in OPENINGS) != (outcome in BY_WORDS)
    if outcome in OPENINGS:
        opening, _, figures = reason.partition(": ")
        assert figures == "accuracy 0.8"
        assert not re.search(r"\d", opening)
