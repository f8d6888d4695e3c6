"""Labels that somebody chose are told from those that came by chance, however many there are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.gate.selection import LEVEL, LabelSelection, weigh_selection

Mask = NDArray[np.bool_]


class Answers:
    """Of a model that is right 83 of 100 times, and less sure where it is wrong."""

    def __init__(self, count: int, *, seed: int, audit: float = 0.05, informed: bool = True) -> None:
        self.random = np.random.default_rng(seed)
        self.correct: Mask = self.random.random(count) < 0.83
        self.labels = self.random.choice(["good", "poor", "ripe"], count, p=[0.6, 0.3, 0.1]).astype(object)
        sure = np.where(self.correct, 0.85, 0.65) if informed else np.full(count, 0.83)
        self.scores = np.clip(self.random.normal(sure, 0.1), 0, 1)
        self.origins = np.repeat(
            np.array(["1 model", "2 model"], dtype=object), [count // 2, count - count // 2]
        )
        self.audited: Mask = self.random.random(count) < audit

    def chance(self, share: float) -> Mask:
        drawn: Mask = self.random.random(len(self.correct)) < share
        return drawn

    def weigh(self, labelled: Mask, *, expected: float | None = 0.83) -> LabelSelection:
        return weigh_selection(
            self.labels,
            self.scores,
            self.origins,
            labelled,
            labelled & self.correct,
            self.audited,
            expected=expected,
            seed=1,
        )


def test_labels_of_wrong_answers_differ_by_their_scores() -> None:
    answers = Answers(1000, seed=1)
    found = answers.weigh(~answers.correct | answers.chance(0.05), expected=None)
    assert found.scores.shown
    assert found.scores.distance > 0.3
    assert "their scores are not those of all answers" in str(found.warning)


def test_labels_of_one_kind_of_answer_differ_by_what_was_answered() -> None:
    answers = Answers(1000, seed=2)
    found = answers.weigh((answers.labels == "ripe") | answers.chance(0.05))
    assert found.labels.shown
    assert "their answers are not those of all" in str(found.warning)


def test_where_scores_know_nothing_audited_labels_tell() -> None:
    answers = Answers(2000, seed=3, informed=False)
    found = answers.weigh(answers.audited | ~answers.correct | answers.chance(0.05), expected=None)
    assert not found.scores.shown
    assert found.agreement.shown
    assert found.audits_are_enough
    assert found.audited_right is not None
    assert found.audited_right == pytest.approx(0.83, abs=0.1)


def test_labels_that_avoid_the_audited_answers_are_noticed() -> None:
    answers = Answers(2000, seed=4)
    found = answers.weigh(answers.chance(0.3) & ~answers.audited)
    assert found.avoided.shown
    assert "audited answers are avoided (0 of " in str(found.warning)
    assert not answers.weigh(answers.audited | answers.chance(0.3)).avoided.shown


@pytest.mark.parametrize(("share", "shown"), [(0.2, True), (0.5, True), (0.95, False)])
def test_a_fall_is_believed_only_where_those_without_a_label_could_not_undo_it(
    share: float, shown: bool
) -> None:
    """Half of the labelled ones are right where 83 of 100 were: a world that turned, or a choice."""
    answers = Answers(2000, seed=5, audit=0.0, informed=False)
    answers.correct = answers.chance(0.5)
    found = answers.weigh(answers.chance(share))
    assert found.fall.shown == shown
    assert (found.warning is None) == (not shown)
    assert answers.weigh(answers.chance(share), expected=None).warning is None


@pytest.mark.slow
def test_nobody_is_warned_of_labels_that_came_by_chance() -> None:
    """In 150 retrains with everything between few labels and nearly all."""
    warned = 0
    for seed in range(150):
        answers = Answers(int(np.random.default_rng(seed).integers(40, 1500)), seed=seed)
        warned += answers.weigh(answers.chance((0.05, 0.3, 0.9)[seed % 3])).warning is not None
    assert warned <= 2  # 0.4 are expected at most; more than 2 come once in 100 runs
    assert 5 * LEVEL <= 1 / 400


def test_traffic_that_changes_with_the_share_of_labels_is_no_choice() -> None:
    """In the second half others are asked about, and more of them are labelled."""
    answers = Answers(2000, seed=7, audit=0.0)
    half = np.arange(2000) >= 1000
    answers.labels[half] = answers.random.choice(["good", "ripe"], 1000, p=[0.2, 0.8])
    labelled = np.where(half, answers.chance(0.9), answers.chance(0.1))
    assert answers.weigh(labelled).warning is None


@pytest.mark.parametrize("labelled", [0, 1])
def test_without_labels_or_without_others_there_is_nothing_to_compare(labelled: int) -> None:
    answers = Answers(100, seed=8)
    found = answers.weigh(np.full(100, bool(labelled)))
    assert (found.warning, found.labelled) == (None, 100 * labelled)
    assert found.as_dict()["scores"] == {"distance": 0.0, "chance": 1.0, "shown": False}
