"""What a run says of itself becomes a bar and a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from flows.cli.terminal.progress import STEPS, run_fraction, run_sentence


def test_the_bar_only_rises() -> None:
    said: list[dict[str, Any]] = [{"step": step} for step in STEPS]
    train = STEPS.index("train")
    said[train + 1 : train + 1] = [{"step": "train", "epoch": epoch, "epochs": 6} for epoch in range(7)]
    fractions = [run_fraction(one) for one in said]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] < 1


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
    ],
)
def test_the_sentence(said: dict[str, Any], sentence: str) -> None:
    assert run_sentence(said) == sentence
