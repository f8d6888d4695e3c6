"""What commands print of values that people did not choose: as it is, whatever is in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from configs.loading import load_use_case
from flows.batch.evaluate import Evaluation
from flows.cli.commands.production.versions import SHOWN_CLASSES, _print_evaluation
from flows.cli.commands.training import _print_result
from flows.cli.terminal.output import facts, progress_console, result_console, styled, table
from flows.cli.terminal.progress import bar

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


def test_ids_stay_on_one_line_and_lines_have_no_blanks_at_their_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "01a1fe1e-7758-754b-970d-78d48fef5ac1"
    rows = [("2026-11-27 08:00", name, "a label of some length", 0.75, '{"amount": 5.0, "note": "long"}')]
    result_console().print(table("", ["at", "prediction", "answer", "score", "record"], rows))
    result_console().print(facts({"short": 1, "longer name": "a much longer value"}))
    lines = capsys.readouterr().out.splitlines()
    assert any(name in line for line in lines)
    assert [line for line in lines if line != line.rstrip()] == []


def test_progress_too(capsys: pytest.CaptureFixture[str]) -> None:
    with bar(EVIL) as progress:
        progress.show(0.5, EVIL)
    progress_console().print(EVIL)
    said = capsys.readouterr().err
    assert said.count(SHOWN) >= 3
    assert "\x1b]" not in said


def test_the_result_of_a_retrain_too(capsys: pytest.CaptureFixture[str], configs: Path) -> None:
    result = {
        "outcome": "rejected", "reason": EVIL, "version": 2, "production_before": 1, "train_rows": 1,
        "holdout_rows": 1, "snapshot": EVIL, "run_id": "r", "scores": {EVIL: {EVIL: 0.5}},
        "production_scores": {EVIL: 0.25}, "failures": {EVIL: EVIL},
    }  # fmt: skip
    _print_result(result, load_use_case(configs / "plans.yaml"))
    assert capsys.readouterr().out.count(SHOWN) == 7
    _print_result(
        {**result, "compute": "Dask at tcp://h:8786: 2 workers"}, load_use_case(configs / "plans.yaml")
    )
    said = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)
    assert re.search(r"^ *made by +Dask at tcp://h:8786: 2 workers$", said, re.MULTILINE)


def test_a_retrain_that_was_skipped_is_not_said_to_have_trained(
    capsys: pytest.CaptureFixture[str], configs: Path
) -> None:
    result: dict[str, Any] = {
        "outcome": "skipped", "reason": "no label to judge on", "version": None, "production_before": 1,
        "train_rows": 3748, "holdout_rows": 0, "snapshot": "s", "run_id": "r", "scores": {},
        "production_scores": None, "failures": {},
    }  # fmt: skip
    _print_result(result, load_use_case(configs / "plans.yaml"))
    said = capsys.readouterr().out
    assert "rows to train on" in said
    assert "trained on" not in said


def evaluation(**changes: Any) -> Evaluation:
    scores = {"ham": {"precision": 0.5, "recall": 1.0}, "spam": {"precision": 1.0, "recall": 0.75}}
    plain: dict[str, Any] = {
        "use_case": "mails", "version": 3, "checkpoint": None, "epoch": None, "source": "holdout", "rows": 8,
        "refused_rows": 0, "metrics": {"accuracy": 0.875}, "classes": ("ham", "spam"),
        "class_scores": scores, "confusion": [[2, 0], [1, 5]],
    }  # fmt: skip
    return Evaluation(**plain | changes)


def shown(capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    _print_evaluation("mails", evaluation(**changes))
    return capsys.readouterr().out


def test_an_evaluation_tells_what_was_judged_on_which_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'mails' version 3 on 8 rows of holdout" in shown(capsys)
    checkpoint = shown(capsys, version=None, checkpoint="/x/checkpoint.npz", epoch=4, refused_rows=2)
    assert "'mails' checkpoint after epoch 4 on 8 rows of holdout" in checkpoint
    assert "2 rows could not be used" in checkpoint


def test_an_evaluation_shows_each_class_where_there_are_not_too_many(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "Truth (rows) and answers (columns)" in shown(capsys)
    many_labels = shown(capsys, confusion=None)
    assert "precision" in many_labels
    assert "0.75" in many_labels
    classes = tuple(map(str, range(SHOWN_CLASSES + 1)))
    assert "31 classes: --json or --output-dir shows each" in shown(capsys, classes=classes)
