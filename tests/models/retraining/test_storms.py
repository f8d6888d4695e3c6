"""Drift that never ends starts no storm of retrains, whatever becomes of those that it starts."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import psycopg
import pytest

from benchmarks.drift.month import FIRST, SCENARIOS, Month, most_retrains
from configs.schema import DriftPart, HoldoutConfig, RetrainConfig, TrainingConfig
from models.drift.decision import DriftDecision
from models.drift.findings import DriftFindings
from models.retraining.triggers import AGAIN_AFTER, decide_retrain
from store.feedback.rows import count_feedback, count_superseded

RETRAIN = RetrainConfig(max_age_days=None)
TRAINING = TrainingConfig(min_rows=50, holdout=HoldoutConfig(min_rows=200))
MONTH = 30 * 24 * 4
"""Checks."""
PARTS: tuple[DriftPart, ...] = ("data", "answers", "labels")


def calls(moved: tuple[DriftPart, ...], retrain_on: tuple[DriftPart, ...]) -> bool:
    """Whether a check that found this calls for a retrain."""
    data, answers, labels = (
        DriftDecision("drift" if part in moved else "no_drift", None, 0.1, 0.1, {}, 2000, 500, "as it is")
        for part in PARTS
    )
    return DriftFindings(data, answers, labels, retrain_on).calls_for_retrain


@pytest.mark.parametrize(
    ("moved", "retrain_on", "flips", "a_check", "expected"),
    [
        (("labels",), ("data", "labels"), False, 25, 22),
        (("answers",), ("data", "labels"), False, 25, 0),
        (("answers",), ("answers",), False, 0, 1),
        (PARTS, PARTS, False, 25, 22),
        (PARTS, PARTS, True, 25, 22),
        (PARTS, PARTS, True, 1, 3),
    ],
)
def test_thirty_days_of_drift_start_as_many_retrains_as_labels_allow(
    moved: tuple[DriftPart, ...], retrain_on: tuple[DriftPart, ...], flips: bool, a_check: int, expected: int
) -> None:
    """Every challenger is rejected; the pure decision, with 8,000 labels at first and 3,000 new of them."""
    labels = untried = 8000
    found: list[bool] = []
    retrains: list[int] = []
    for check in range(MONTH):
        labels, untried = labels + a_check, untried + a_check
        found.insert(0, calls(() if flips and check % 2 else moved, retrain_on))
        due = decide_retrain(
            RETRAIN,
            new_labels=labels - 5000,
            total_labels=labels,
            training=TRAINING,
            age=timedelta(days=1 + check / 96),
            drift=found[: RETRAIN.drift_windows],
            untried_labels=untried,
            was_brought_forward=bool(retrains),
        )
        if due.verdict == "retrain":
            assert not retrains or untried >= max(RETRAIN.min_labels, AGAIN_AFTER * labels)
            retrains.append(check)
            untried = 0
    assert len(retrains) == expected


@pytest.mark.parametrize("name", SCENARIOS)
def test_half_a_day_of_drift_on_the_tables_starts_as_many_retrains_as_labels_allow(
    conn: psycopg.Connection, name: str
) -> None:
    scenario, checks = SCENARIOS[name], 48
    month = Month(conn, scenario)
    at = month.pass_checks(checks)
    assert 1 <= len(at) <= most_retrains(scenario, checks)
    if scenario.ending != "promoted" and scenario.a_check:
        came = [scenario.a_check * (later - earlier) for earlier, later in pairwise(at)]
        assert all(labels >= AGAIN_AFTER * FIRST for labels in came)


@pytest.mark.parametrize(
    "name", ["100 labels corrected again and again", "100 labels taken back and given again"]
)
def test_what_is_corrected_counts_among_the_labels_that_ever_came(
    conn: psycopg.Connection, name: str
) -> None:
    month = Month(conn, SCENARIOS[name])
    month.pass_checks(12)
    assert count_feedback(conn, "apples") == FIRST
    assert count_superseded(conn, "apples") == 12 * SCENARIOS[name].a_check
    assert len(month.retrains) == 1, "a hundred are new time and again, and a tenth of all is more"
