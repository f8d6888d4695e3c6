"""Which parts have moved, what is said of it, and what a retrain is started for."""

from __future__ import annotations

from typing import get_args

import pytest

from configs.schema import DriftConfig, DriftPart
from models.drift.decision import DriftDecision, DriftVerdict
from models.drift.findings import DriftFindings

DEFAULT = DriftConfig().retrain_on


def decided(verdict: DriftVerdict) -> DriftDecision:
    return DriftDecision(verdict, None, 0.1, 0.1, {}, 100, 100, f"it is {verdict}")


def found(*drifted: DriftPart, retrain_on: tuple[DriftPart, ...] = DEFAULT) -> DriftFindings:
    data, answers, labels = (
        decided("drift" if part in drifted else "no_drift") for part in get_args(DriftPart)
    )
    return DriftFindings(data, answers, labels, retrain_on)


@pytest.mark.parametrize(
    ("drifted", "retrain"),
    [((), False), (("data",), True), (("labels",), True), (("answers",), False), (("data", "answers"), True)],
)
def test_data_and_labels_start_a_retrain_and_answers_alone_do_not(
    drifted: tuple[DriftPart, ...], retrain: bool
) -> None:
    one = found(*drifted)
    assert one.verdict == ("drift" if drifted else "no_drift")
    assert (one.drifted, one.calls_for_retrain) == (drifted, retrain)
    assert one.as_dict()["retrain"] is retrain
    assert ("no retrain is started for that alone" in one.reason) is (drifted == ("answers",))


def test_what_starts_one_can_be_configured() -> None:
    assert found("answers", retrain_on=("answers",)).calls_for_retrain
    assert not found("data", retrain_on=()).calls_for_retrain


def test_the_reason_begins_with_what_moved() -> None:
    assert found("data", "labels").reason.startswith("data and labels moved; data: it is drift; answers: ")
    assert found().reason == "it is no_drift; answers: it is no_drift; labels: it is no_drift"


def test_without_drift_the_verdict_is_that_of_the_data() -> None:
    little = DriftFindings(decided("too_little_evidence"), decided("no_drift"), decided("no_drift"), DEFAULT)
    assert little.verdict == "too_little_evidence"
    told = little.as_dict()
    assert told["parts"] == {"data": "too_little_evidence", "answers": "no_drift", "labels": "no_drift"}
    assert (told["verdict"], told["answers"]["verdict"]) == ("too_little_evidence", "no_drift")
