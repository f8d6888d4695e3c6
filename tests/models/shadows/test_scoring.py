"""Scores of answers, and of a period."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from configs.schema import TargetConfig
from models.shadows.periods import Moments, Period
from models.shadows.scores import row_rights, row_scores
from models.shadows.scoring import Serving, Shadow, score_period
from models.versions.predictor import Answers

BINARY = TargetConfig(task="binary", classes=("no", "yes"))
MANY = TargetConfig(task="multilabel")


def answers(*rows: tuple[float, ...], classes: tuple[str, ...] = ("no", "yes")) -> Answers:
    return Answers(classes, np.array(rows, dtype=np.float32))


def test_two_classes_score_as_brier_does() -> None:
    chances = np.array([0.1, 0.4, 0.9, 0.7])
    given = answers(*[(1 - chance, chance) for chance in chances.tolist()])
    scores = row_scores(BINARY, given, ["no", "yes", "yes", "no"])
    assert scores.mean() == pytest.approx(1 - brier_score_loss([0, 1, 1, 0], chances), abs=1e-6)
    assert scores.tolist() == pytest.approx([0.99, 0.64, 0.99, 0.51], abs=1e-6)


def test_a_class_that_the_model_does_not_know_was_thought_impossible() -> None:
    given = answers((1.0, 0.0), (0.5, 0.5))
    assert row_scores(BINARY, given, ["maybe", "maybe"]).tolist() == pytest.approx([0.0, 0.25])


def test_many_labels_score_the_mean_of_those_known() -> None:
    given = answers((0.9, 0.2), (0.0, 1.0), classes=("a", "b"))
    assert row_scores(MANY, given, ["a", "b|unknown"]).tolist() == pytest.approx(
        [1 - (0.01 + 0.04) / 2, 1.0], abs=1e-6
    )


def test_what_is_right_is_what_the_metric_counts() -> None:
    given = answers((0.9, 0.1), (0.4, 0.6))
    assert row_rights("accuracy", BINARY, given, ["no", "no"]).tolist() == [1.0, 0.0]  # type: ignore[union-attr]
    many = answers((0.9, 0.2), (0.6, 0.4), classes=("a", "b"))
    of_rows = {
        metric: row_rights(metric, MANY, many, ["a", "a|b"]) for metric in ("subset_accuracy", "hamming_loss")
    }
    assert {metric: None if one is None else one.tolist() for metric, one in of_rows.items()} == {
        "subset_accuracy": [1.0, 0.0],
        "hamming_loss": [1.0, 0.5],
    }
    assert row_rights("f1", BINARY, given, ["no", "no"]) is None
    assert row_rights("roc_auc", BINARY, given, ["no", "no"]) is None


def test_contests_tell_what_was_right_where_the_metric_counts_it() -> None:
    good, bad = answers((0.0, 1.0), (1.0, 0.0)), answers((0.4, 0.6), (0.4, 0.6))
    shadows = [Shadow("full", 1, bad), Shadow("full", 2, good)]
    sources = ["desk", "api"]
    one = score_period(
        BINARY, Period(3, 5), ["yes", "no"], shadows, None, metric="accuracy", sources=sources
    ).contests[0]
    assert one.right == Moments(2, 1.0, 1.0)
    assert one.right_by_source == {"desk": Moments(1, 0.0, 0.0), "api": Moments(1, 1.0, 1.0)}
    other = score_period(BINARY, Period(3, 5), ["yes", "no"], shadows, None, metric="f1").contests[0]
    assert other.right is None


def test_the_newest_shadow_of_each_recipe_is_held_against_the_older_ones_and_production() -> None:
    good, bad = answers((0.0, 1.0), (1.0, 0.0)), answers((1.0, 0.0), (0.0, 1.0))
    half = answers((0.5, 0.5), (0.5, 0.5))
    shadows = [
        Shadow("blend", 2, half),
        Shadow("blend", 4, good, {"full": half, "newest_1": good}, version=9),
        Shadow("warm", 4, bad),
    ]
    period = score_period(
        BINARY, Period(5, 70), ["yes", "no"], shadows, Serving(7, 3, bad), sources=["desk", "api"]
    )
    told = {(one.recipe, one.made, one.version): one.gain for one in period.contests}
    assert told == {
        ("blend", 2, None): Moments(2, 0.5, 0.125),
        ("blend", 3, 7): Moments(2, 2.0, 2.0),
        ("warm", 3, 7): Moments(2, 0.0, 0.0),
    }
    assert period.members == {"blend": {"full": 0.75, "newest_1": 1.0}, "warm": {}}
    assert dict(period.contests[0].sources) == {
        "api": Moments(1, 0.25, 0.0625),
        "desk": Moments(1, 0.25, 0.0625),
    }
    assert (period.number, period.last_seq, period.rows) == (5, 70, 2)


def test_production_is_not_held_against_itself() -> None:
    good = answers((0.0, 1.0))
    period = score_period(
        BINARY, Period(2, 5), ["yes"], [Shadow("full", 1, good, version=3)], Serving(3, 1, good)
    )
    assert period.contests == ()


def test_a_key_that_names_sources_of_its_own_is_kept_apart_too() -> None:
    good, half = answers((0.0, 1.0), (0.0, 1.0)), answers((0.5, 0.5), (0.5, 0.5))
    shadows = [Shadow("full", 1, half), Shadow("full", 2, good)]
    period = score_period(
        BINARY, Period(3, 5), ["yes", "yes"], shadows, None, sources=["shop/north", "shop/south"]
    )
    told = period.contests[0].sources
    assert {name: gain.rows for name, gain in told.items()} == {"shop": 2, "shop/north": 1, "shop/south": 1}
    one = score_period(BINARY, Period(3, 5), ["yes", "yes"], shadows, None, sources=["file", "file"])
    assert one.contests[0].sources == {"file": one.contests[0].gain}


def test_challengers_that_were_made_otherwise_are_not_held_against_each_other() -> None:
    good, half = answers((0.0, 1.0)), answers((0.5, 0.5))
    shadows = [Shadow("full", 1, half, made_by="a"), Shadow("full", 2, good, made_by="b")]
    period = score_period(BINARY, Period(3, 5), ["yes"], shadows, Serving(9, None, half))
    assert [one.version for one in period.contests] == [9]
    assert period.made_by == {"full": "b"}


def test_a_label_that_the_older_model_does_not_know_counts_against_it() -> None:
    half = np.array([0.5, 0.5], dtype=np.float32)
    older = Answers(("a",), np.array([[1.0]], dtype=np.float32), half[:1])
    newest = Answers(("a", "b"), np.array([[1.0, 1.0]], dtype=np.float32), half)
    shadows = [Shadow("full", 1, older), Shadow("full", 2, newest)]
    period = score_period(MANY, Period(3, 5), ["a|b"], shadows, None, metric="subset_accuracy")
    contest = period.contests[0]
    assert (contest.right, contest.gain) == (Moments(1, 1.0, 1.0), Moments(1, 0.5, 0.25))
