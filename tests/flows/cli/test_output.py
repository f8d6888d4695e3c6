"""What commands print of values that people did not choose: as it is, whatever is in it."""

from __future__ import annotations

import pytest

from flows.cli.commands.training import _print_result
from flows.cli.output import facts, progress_console, result_console, styled, table
from flows.cli.progress import bar

EVIL = "[link=http://elsewhere.example][red]x[/red][/link] :smile: [/] \x1b]0;owned\x07\x1b[2J"
SHOWN = "[link=http://elsewhere.example][red]x[/red][/link] :smile: [/] \\x1b]0;owned\\x07\\x1b[2J"


@pytest.fixture(autouse=True)
def a_wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """With colours, so that markup would be seen as escape sequences."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_texts_tables_facts_and_heads_show_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console = result_console()
    for shown in (
        EVIL,
        table(EVIL, ["head", EVIL], [(1, EVIL)]),
        facts({EVIL: EVIL}),
        styled(EVIL, "not bold"),
    ):
        console.print(shown)
    said = capsys.readouterr().out
    assert said.count(SHOWN) == 7
    assert "\x1b]" not in said
    assert "\x07" not in said


def test_progress_too(capsys: pytest.CaptureFixture[str]) -> None:
    with bar(EVIL) as progress:
        progress.show(0.5, EVIL)
    progress_console().print(EVIL)
    said = capsys.readouterr().err
    assert said.count(SHOWN) >= 3
    assert "\x1b]" not in said


def test_the_result_of_a_retrain_too(capsys: pytest.CaptureFixture[str]) -> None:
    result = {
        "outcome": "rejected", "reason": EVIL, "version": 2, "production_before": 1, "train_rows": 1,
        "holdout_rows": 1, "snapshot": EVIL, "run_id": "r", "scores": {EVIL: {EVIL: 0.5}},
        "production_scores": {EVIL: 0.25}, "failures": {EVIL: EVIL},
    }  # fmt: skip
    _print_result(result)
    assert capsys.readouterr().out.count(SHOWN) == 6
