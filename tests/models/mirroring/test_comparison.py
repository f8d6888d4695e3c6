"""A shadow version beside what was served: which labels count, what is certain, and whether scores moved."""

from __future__ import annotations

import numpy as np
import pytest

from models.mirroring.comparison import LINE, compare_right, compare_scores, paired_interval
from store.predictions.shadow_figures import BINS, LabelledCounts

NONE = LabelledCounts()


def counts(at: dict[int, int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    made = np.zeros(BINS, dtype=np.int64)
    for place, number in at.items():
        made[place] = number
    return made


def test_without_a_label_nothing_is_said() -> None:
    assert compare_right({True: NONE, False: NONE}, 1000, 50) is None


def test_where_most_answers_have_a_label_all_count() -> None:
    right = compare_right(
        {True: LabelledCounts(both=10), False: LabelledCounts(both=40, shadow_only=10)}, 100, 12
    )
    assert right is not None
    assert (right.of, right.labelled, right.warning) == ("all", 60, None)
    assert (right.served_right, right.shadow_right, right.better, right.worse) == (50, 60, 10, 0)
    assert right.difference == pytest.approx(10 / 60)


def test_labels_of_wrong_answers_alone_do_not_make_it_better() -> None:
    chosen = LabelledCounts(shadow_only=60, neither=20)
    drawn = LabelledCounts(both=40, served_only=2, shadow_only=2, neither=1)
    right = compare_right({True: drawn, False: chosen}, 2000, 50)
    assert right is not None
    assert (right.of, right.labelled, right.difference, right.verdict) == ("audited", 45, 0.0, "open")


def test_without_audited_labels_it_is_warned() -> None:
    right = compare_right({True: LabelledCounts(both=5), False: LabelledCounts(shadow_only=60)}, 2000, 50)
    assert right is not None
    assert right.of == "all"
    assert right.warning is not None
    assert "65 of 2,000 answers have a label" in right.warning


@pytest.mark.parametrize(
    ("better", "worse", "verdict"), [(30, 5, "better"), (5, 30, "worse"), (12, 8, "open")]
)
def test_the_verdict_rests_on_a_bet(better: int, worse: int, verdict: str) -> None:
    found = LabelledCounts(both=60, shadow_only=better, served_only=worse)
    right = compare_right({True: found, False: NONE}, 100, 100)
    assert right is not None
    assert right.verdict == verdict
    assert (right.evidence_better >= LINE) == (verdict == "better")
    assert (right.evidence_worse >= LINE) == (verdict == "worse")


def test_equal_versions_are_seldom_told_apart_however_often_is_looked() -> None:
    random = np.random.default_rng(5)
    wrong = 0
    for _ in range(300):
        lives = np.cumsum(random.choice([1, -1, 0], 600, p=[0.05, 0.05, 0.9])[:, None] == [1, -1], axis=0)
        for place in range(20, 600, 20):
            better, worse = lives[place]
            found = LabelledCounts(both=place - better - worse, shadow_only=better, served_only=worse)
            right = compare_right({True: found, False: NONE}, place, place)
            if right is not None and right.verdict == "better":
                wrong += 1
                break
    assert wrong <= 0.05 * 300


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(6)
    held = 0
    for _ in range(1000):
        better, worse, _same = random.multinomial(200, [0.08, 0.05, 0.87])
        low, high = paired_interval(int(better), int(worse), 200)
        held += low <= 0.03 <= high
    assert held >= 935


def test_few_scores_say_nothing() -> None:
    assert compare_scores(counts({90: 99}), counts({10: 99})) is None


def test_scores_that_moved_far_and_certainly_are_told() -> None:
    moved = compare_scores(counts({90: 500}), counts({90: 300, 40: 200}))
    assert moved is not None
    assert moved.moved
    assert moved.distance == pytest.approx(0.4)
    assert moved.served_mean == pytest.approx(0.905)
    assert moved.shadow_mean == pytest.approx(0.705)


def test_a_small_move_is_none_however_certain() -> None:
    small = compare_scores(counts({90: 5000}), counts({90: 4700, 40: 300}))
    assert small is not None
    assert not small.moved


def test_a_move_that_chance_may_explain_is_none() -> None:
    few = compare_scores(counts({90: 100}), counts({90: 85, 40: 15}))
    assert few is not None
    assert not few.moved
