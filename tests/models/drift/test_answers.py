"""Answers and labels compared: shares, how sure, and many labels a row; what is the same is no drift."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from configs.schema import DriftConfig
from models.drift.answers import (
    LearnedLabels,
    count_labels,
    describe_answers,
    describe_labels,
    judge_labelled,
)
from models.drift.decision import DriftDecision
from models.drift.judging import Parts, parts_of
from models.versions.predictor import Answers

CONFIG = DriftConfig(min_rows=30)


def answers(rows: int, shares: list[float], *, sure: float = 0.9, seed: int = 0) -> Answers:
    """One class each, drawn by shares, more or less sure of it."""
    random = np.random.default_rng(seed)
    classes = tuple(f"c{place}" for place in range(len(shares)))
    given = random.choice(len(shares), rows, p=shares)
    scores = np.clip(random.normal(sure, 0.05, rows), 0.6, 1.0)
    probabilities = np.repeat(((1 - scores) / (len(shares) - 1))[:, np.newaxis], len(shares), axis=1)
    probabilities[np.arange(rows), given] = scores
    return Answers(classes, probabilities.astype(np.float32))


def judge(before: pd.DataFrame, now: pd.DataFrame) -> DriftDecision:
    return judge_labelled(CONFIG, before, now, seed=1)[0]


def test_answers_that_are_given_more_often_are_named_with_their_shares() -> None:
    before = describe_answers(answers(1000, [0.8, 0.2]))
    moved = judge(before, describe_answers(answers(300, [0.5, 0.5], seed=1)))
    assert (moved.verdict, moved.columns["label"].drifted) == ("drift", True)
    assert moved.columns["label"].moved is not None
    assert moved.columns["label"].moved.startswith('"c')
    assert "% (" in moved.columns["label"].moved
    assert not moved.columns["score"].drifted
    assert moved.reason.startswith("1 of 2 columns moved: label")
    same = judge(before, describe_answers(answers(300, [0.8, 0.2], seed=2)))
    assert same.verdict == "no_drift"


def test_answers_that_are_less_sure_are_drift_though_they_are_the_same() -> None:
    before = describe_answers(answers(1000, [0.5, 0.5]))
    moved = judge(before, describe_answers(answers(300, [0.5, 0.5], sure=0.8, seed=1)))
    assert {name for name, one in moved.columns.items() if one.drifted} == {"score"}
    assert moved.columns["score"].moved is not None
    assert moved.columns["score"].moved.startswith("median 0.8")


@pytest.mark.parametrize(
    ("classes", "columns"),
    [(2, ["score", "label"]), (3, ["score", "score of c0", "score of c1", "score of c2", "label"]),
     (6, ["score", "label"])],
)  # fmt: skip
def test_each_class_has_a_score_where_they_are_few(classes: int, columns: list[str]) -> None:
    table = describe_answers(answers(50, [1 / classes] * classes))
    assert list(table.columns) == columns


def test_of_many_classes_that_are_all_rare_one_that_swells_is_found() -> None:
    names = [f"k{place}" for place in range(80)]
    random = np.random.default_rng(0)
    before = describe_labels(random.choice(names, 2000).tolist(), None)
    same = judge(before, describe_labels(random.choice(names, 400).tolist(), None))
    assert same.verdict == "no_drift"
    assert set(same.columns) == {"label"}
    swollen = random.choice(names, 400)
    swollen[:60] = "k7"
    moved = judge(before, describe_labels(swollen.tolist(), None))
    assert moved.verdict == "drift"
    assert moved.columns["label"].moved is not None
    assert moved.columns["label"].moved.startswith('"k7" 1')


def test_of_rows_with_many_labels_each_is_looked_at_and_their_number() -> None:
    random = np.random.default_rng(0)

    def draw(rows: int, maths: float) -> list[str]:
        given = {"biology": 0.3, "maths": maths, "physics": 0.5}
        return ["|".join(name for name in given if random.random() < given[name]) for _ in range(rows)]

    before = describe_labels(draw(1500, 0.2), "|")
    assert judge(before, describe_labels(draw(300, 0.2), "|")).verdict == "no_drift"
    moved = judge(before, describe_labels(draw(300, 0.5), "|"))
    assert set(moved.columns) == {"labels", "label biology", "label maths", "label physics"}
    assert moved.columns["label maths"].drifted
    assert not moved.columns["label physics"].drifted


@pytest.mark.parametrize("separator", [None, "|"])
def test_of_labels_a_part_and_the_counts_of_all_say_what_all_say(separator: str | None) -> None:
    random, config = np.random.default_rng(0), DriftConfig(min_rows=30, reference_rows=500)

    def draw(rows: int, shift: int) -> list[str]:
        # Rarer and rarer, more of them than a column each, so that the counts of all decide.
        names = [f"k{min(39, int(one) + shift)}" for one in random.exponential(8, rows)]
        return [
            f"{name}|{other}" if separator else name for name, other in zip(names, names[::-1], strict=True)
        ]

    before, now = draw(6000, 0), draw(400, 3)
    whole = parts_of(config, len(before), 1)
    assert isinstance(whole.sample, np.ndarray)
    kept = np.union1d(whole.sample, np.arange(len(before) - whole.newest, len(before)))
    counts = count_labels(Counter(before), separator)
    learned = LearnedLabels(counts, Parts(np.flatnonzero(np.isin(kept, whole.sample)), whole.newest))
    current = describe_labels(now, separator)
    of_all = judge_labelled(config, describe_labels(before, separator), current, seed=1)[0]
    part = describe_labels([before[place] for place in kept], separator)
    assert judge_labelled(config, part, current, seed=1, learned=learned)[0] == of_all
    assert of_all.verdict == "drift"


def test_labels_of_rows_that_have_many_are_counted_one_by_one() -> None:
    assert count_labels({"a|b": 3, "b": 2, "": 7, "c|c": 1}, "|") == {"a": 3, "b": 5, "c": 1}
    assert count_labels({"a|b": 3}, None) == {"a|b": 3}


def test_answers_with_many_labels_are_sets_beside_their_scores() -> None:
    probabilities = np.array([[0.9, 0.8], [0.9, 0.1], [0.2, 0.1]], dtype=np.float32)
    given = Answers(("a", "b"), probabilities, np.array([0.5, 0.5], dtype=np.float32))
    table = describe_answers(given)
    assert list(table.columns) == ["score", "score of a", "score of b", "label"]
    assert table["label"].tolist() == [["a", "b"], ["a"], ["a"]]


def test_one_column_is_enough_whatever_share_the_data_needs() -> None:
    config = CONFIG.model_copy(update={"share": 0.9})
    before = describe_answers(answers(1000, [0.4, 0.3, 0.3]))
    now = describe_answers(answers(300, [0.7, 0.2, 0.1], seed=1))
    decision, _ = judge_labelled(config, before, now, seed=1)
    assert decision.share is not None
    assert 0 < decision.share < 0.9
    assert decision.verdict == "drift"
