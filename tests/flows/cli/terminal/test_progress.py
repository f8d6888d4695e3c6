"""What a run says of itself becomes a bar and a sentence."""

from __future__ import annotations

import re
from typing import Any

import pytest

from configs.settings import CHECKOUT
from flows.cli.terminal.progress import STEPS, WITHIN, run_fraction, run_sentence


def test_the_bar_only_rises() -> None:
    said: list[dict[str, Any]] = [{"step": step} for step in STEPS]
    train = STEPS.index("train")
    said[train + 1 : train + 1] = [{"step": "train", "epoch": epoch, "epochs": 6} for epoch in range(7)]
    fractions = [run_fraction(one) for one in said]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] < 1


def test_each_step_that_a_retrain_tells_of_has_its_place() -> None:
    sources = (CHECKOUT / "flows" / "retrain").rglob("*.py")
    told = {
        step
        for source in sources
        for step in re.findall(r'(?:\.part|\.say)\("(\w+)"', source.read_text(encoding="utf-8"))
    }
    assert told >= set(STEPS)
    assert told - set(STEPS) <= set(WITHIN)
    assert set(WITHIN.values()) <= set(STEPS)
    assert run_fraction({"step": "record"}) == run_fraction({"step": "rows"}) > 0


def test_the_page_has_the_same_steps() -> None:
    page = (CHECKOUT / "service" / "page" / "static" / "panels" / "run.js").read_text(encoding="utf-8")
    (listed,) = re.findall(r"const STEPS = \[(.*?)\];", page, flags=re.DOTALL)
    (within,) = re.findall(r"const WITHIN = \{(.*?)\};", page, flags=re.DOTALL)
    assert tuple(re.findall(r'"(\w+)"', listed)) == STEPS
    assert dict(re.findall(r'(\w+): "(\w+)"', within)) == WITHIN


@pytest.mark.parametrize("said", [{}, {"step": "something new"}, {"step": "train", "epoch": 9, "epochs": 0}])
def test_what_is_not_known_is_no_progress(said: dict[str, Any]) -> None:
    assert 0 <= run_fraction(said) < 1


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"step": "snapshot"}, "snapshot"),
        (
            {
                "step": "train",
                "challenger": "full",
                "epoch": 2,
                "epochs": 6,
                "batch": 5,
                "batches": 63,
                "loss": 0.25,
            },
            "train full, epoch 2 of 6, batch 5 of 63, loss 0.25",
        ),
        ({"step": "train", "challenger": "full", "done": True}, "train full"),
        ({"step": "train", "compute": "2 processes", "loss": 0.5}, "train, loss 0.5, 2 processes"),
    ],
)
def test_the_sentence(said: dict[str, Any], sentence: str) -> None:
    assert run_sentence(said) == sentence
