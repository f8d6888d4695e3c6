"""What `ratchet drift` prints: what moved first, in words that are no names of the code."""

from __future__ import annotations

from typing import Any

import pytest

from flows.cli.commands.drift import print_drift
from models.drift.decision import ColumnDrift, DriftDecision
from models.drift.findings import DriftFindings

STAYED = ColumnDrift("wasserstein", 0.0123, False, 0.41)
MOVED = ColumnDrift("jensenshannon", 0.4, True, 1e-9, '"gold" 31% (10% before), "silver" 9% (28% before)')


def decision(verdict: Any, reason: str, **columns: ColumnDrift) -> DriftDecision:
    return DriftDecision(verdict, None, 0.1, 0.1, columns, 4000, 1000, reason)


def told(capsys: pytest.CaptureFixture[str], labels: DriftDecision, **more: Any) -> str:
    data = decision("no_drift", "0 of 1 columns moved", age=STAYED)
    few = decision("too_little_evidence", "3 recent rows")
    print_drift("plans", DriftFindings(data, few, labels, ("data", "labels")).as_dict() | more)
    return capsys.readouterr().out


def test_what_moved_comes_first_and_nothing_is_raw(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    said = told(capsys, decision("drift", "1 of 1 columns moved: label", label=MOVED))
    assert said.startswith("drift of 'plans': labels moved: label (1 of 1 column)\n")
    assert '"gold" 31% (10% before)' in said, "on one line"
    assert said.index("gold") < said.index("wasserstein")
    for word in ("share_threshold", "{'", "True", "False", "too_little", "certain beside"):
        assert word not in said
    data = next(line for line in said.splitlines() if "no drift" in line)
    assert "0 of 1 columns moved" in data


def test_without_drift_there_is_no_table_of_what_moved(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, decision("no_drift", "0 of 1 columns moved", label=STAYED))
    assert said.startswith("no drift of 'plans': nothing moved\n")
    assert "what moved" not in said


def test_that_no_retrain_is_started_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    labels = decision("drift", "1 of 1 columns moved: label", label=MOVED)
    assert "No retrain is started" in told(capsys, labels, retrain=False)
