"""What `up` and `reload` say at their end: what serves, and what the service refuses in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.settings import CHECKOUT, read_settings
from flows.cli.terminal import taking_up

MADE: dict[str, dict[str, Any]] = {
    "plans": {
        "outcome": "promoted", "challenger": "gone", "version": 3, "scores": {}, "holdout_rows": 9,
    },
    "digits": {"outcome": "failed", "reason": "no data"},
}  # fmt: skip
REFUSED = "it refuses version 3: package mynet is not installed here; nothing answers"


@pytest.mark.parametrize("refused", [False, True])
def test_what_is_refused_is_not_said_to_serve(
    refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_USE_CASES": "plans,digits"})
    monkeypatch.setattr(taking_up, "refusals", lambda _settings: {"plans": REFUSED} if refused else {})
    taking_up.tell_serving(settings, MADE, goes_on=True)
    said = capsys.readouterr().out
    assert ("plans: version 3 serves: as configured before (challenger 'gone')" in said) is not refused
    assert ("http://127.0.0.1:3000/v1/plans/predict" in said) is not refused
    assert (f"plans: {REFUSED}" in said) is refused
    assert "digits:" not in said
    assert "Serves plans, digits, and not intents, papers, spam_accounts" in said


def test_a_file_that_is_not_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plans = (CHECKOUT / "configs" / "plans.yaml").read_text("utf-8").replace("name: plans", "name: mails", 1)
    (tmp_path / "mails.yml").write_text(plans, encoding="utf-8")
    settings = read_settings({"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_CONFIGS": str(tmp_path)})
    taking_up.tell_dropped(settings)
    assert "mails.yml is not read: the file of a use case ends with .yaml" in capsys.readouterr().err


def test_who_said_what_to_serve_is_not_told_what_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_USE_CASES": "plans"})
    monkeypatch.setattr(taking_up, "refusals", lambda _settings: {})
    taking_up.tell_serving(settings, {}, goes_on=False)
    assert capsys.readouterr().out == ""
