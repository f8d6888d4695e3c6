"""A gain that rests on one source is held back; a person's word, few rows and a changed world are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from configs.schema import FieldConfig, LabelsConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from models.gate.answers import JudgedAnswers
from models.gate.checks import judge
from models.gate.decision import GateDecision
from models.gate.sources import JudgedSources, disagreeing_sources, without_one_source
from models.versions.predictor import Answers

USE_CASE = UseCase(
    name="u",
    title="U",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="x", type="number"),)),
    target=TargetConfig(task="binary", classes=("0", "1")),
    model=ModelConfig(estimator="logistic"),
)
NAMES = ["shop"] * 100 + ["mallory"] * 60


def answering(labels: list[str]) -> Answers:
    sure = np.array([[0.9, 0.1] if label == "0" else [0.1, 0.9] for label in labels], dtype=np.float32)
    return Answers(("0", "1"), sure)


def judged(challenger: list[str], *, labels: list[str]) -> JudgedAnswers:
    """Production answers 0 always."""
    production = answering(["0"] * len(labels))
    return JudgedAnswers(labels, {"full": answering(challenger)}, production, None, ["0", "1"], "1")


def promoted() -> GateDecision:
    decision = judge(
        USE_CASE.gate, rows=160, challenger=0.9, production=0.6, differences=np.full(200, 0.3), challengers=1
    )
    assert decision.verdict == "promote"
    return decision


FLIPPED = judged(["1"] * 20 + ["0"] * 80 + ["1"] * 60, labels=["0"] * 100 + ["1"] * 60)
"""The challenger gains all 60 rows of mallory, and loses 20 of the shop's."""


LOST_NOWHERE = judged(["0"] * 100 + ["1"] * 60, labels=["0"] * 100 + ["1"] * 60)
"""It gains the same, and answers the shop's rows as production does."""


def decide(
    answers: JudgedAnswers = FLIPPED,
    names: list[str] = NAMES,
    trusted: tuple[str, ...] = (),
    **labels: object,
) -> GateDecision:
    use_case = USE_CASE.model_copy(update={"labels": LabelsConfig.model_validate(labels)})
    return without_one_source(use_case, promoted(), "full", answers, JudgedSources(names, trusted))


def test_a_gain_on_one_source_and_a_loss_on_the_others_is_held_back() -> None:
    decision = decide()
    assert (decision.verdict, decision.outcome) == ("hold_back", "one_source")
    assert (
        "without the 60 rows of source 'mallory' accuracy 0.8000 against 1.0000 on 100 rows"
        in decision.reason
    )
    assert decision.reason.startswith(
        "what is gained rests on one source, 'mallory'; once a person has looked, `ratchet sources rel"
    )


def test_names_that_a_key_makes_up_are_one_source() -> None:
    names = ["shop"] * 100 + [f"mallory/{number}" for number in range(60)]
    assert "source 'mallory'" in decide(names=names).reason


def test_a_source_that_sends_so_much_that_others_are_few_is_asked_about() -> None:
    names = ["shop"] * 40 + ["mallory"] * 120
    decision = decide(names=names)
    assert (decision.verdict, decision.outcome) == ("hold_back", "one_source")
    assert "without the 120 rows of source 'mallory' accuracy 0.5000 against 1.0000 on 40" in decision.reason


def test_a_source_against_which_production_and_the_others_agree_needs_proof_from_them() -> None:
    decision = decide(LOST_NOWHERE)
    assert (decision.verdict, decision.outcome) == ("hold_back", "one_source")
    assert "gain +0.0000" in decision.reason
    assert "production agrees with 0% of its labels and 100% of the others" in decision.reason
    proven = judged(["1"] * 40 + ["0"] * 60 + ["1"] * 60, labels=["1"] * 40 + ["0"] * 60 + ["1"] * 60)
    assert decide(proven) == promoted(), "the others tell of it too"


@pytest.mark.parametrize("share", [0.4, 0.5, 0.6])
def test_one_who_is_alone_is_asked_about_if_production_learned_mostly_from_others(share: float) -> None:
    learned = {"shop": round(100 * share), "mallory": 20, "file": round(80 - 100 * share)}
    alone = JudgedSources(["mallory"] * 160, learned=learned)
    decision = without_one_source(USE_CASE, promoted(), "full", FLIPPED, alone)
    assert (decision.outcome == "one_source") == (share > 0.5)


@pytest.mark.parametrize(
    "more",
    [
        {"trusted": ("mallory",)},
        {"most_loss": None},
        {"names": ["shop"] * 8 + ["mallory"] * 152},
        {"min_judged": 101},
        {"names": ["shop"] * 160},
        {"answers": LOST_NOWHERE, "names": ["open"] * 100 + ["file"] * 60},
        {"answers": LOST_NOWHERE, "disagrees": None},
    ],
    ids=[
        "a person said so",
        "not asked",
        "too few others",
        "fewer than asked for",
        "one source",
        "nothing is lost, and doors have no name",
        "nothing is lost, and nobody asks who stands apart",
    ],
)
def test_it_stays_as_it_was(more: dict[str, object]) -> None:
    assert decide(**more) == promoted()  # type: ignore[arg-type]


def test_a_source_with_which_production_seldom_agrees_is_told() -> None:
    (told,) = disagreeing_sources(USE_CASE, FLIPPED, JudgedSources(NAMES))
    assert told.startswith(
        "production agrees with 0% of 60 held-out labels of source 'mallory', and with 100% of 100 of "
        "the others"
    )
    assert disagreeing_sources(USE_CASE, FLIPPED, JudgedSources(NAMES, ("mallory",))) == ()
    assert disagreeing_sources(USE_CASE, replace(FLIPPED, production=None), JudgedSources(NAMES)) == ()
    off = USE_CASE.model_copy(update={"labels": LabelsConfig(disagrees=None)})
    assert disagreeing_sources(off, FLIPPED, JudgedSources(NAMES)) == ()
