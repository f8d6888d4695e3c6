"""`ratchet quarantine`, `recheck` and `relabel`, on a database of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app

CONFIG = """
name: loans
title: Loans
kind: tabular
record:
  fields:
    - {{name: issued, type: {issued}}}
    - {{name: amount, type: number}}
target: {{task: multiclass, column: status, classes: [{classes}]}}
model: {{estimator: catboost}}
"""
ROWS = "issued,amount,status\nMar-2018,5,paid\nMar-2018,x,late\n3,4\n"


@pytest.fixture(autouse=True)
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one use case and its file, three lines of which are refused."""
    environ = {
        "RATCHET_HOME": str(tmp_path / "home"),
        "RATCHET_DATABASE_URL": database_url,
        "RATCHET_CONFIGS": str(tmp_path),
        "COLUMNS": "200",
        "PATH": os.environ["PATH"],
    }
    monkeypatch.setattr(os, "environ", environ)
    configure(tmp_path)
    (tmp_path / "loans.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path


def configure(home: Path, issued: str = "datetime", classes: str = "paid, late") -> None:
    (home / "loans.yaml").write_text(CONFIG.format(issued=issued, classes=classes), encoding="utf-8")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def document(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_from_refused_to_learned_from(home: Path) -> None:
    told = run("ingest", "loans", str(home / "loans.csv"))
    assert "got 'Mar-2018' (text); allowed: a time in ISO 8601" in told.stdout
    assert "- 2 rows, e.g. loans.csv line 2" in told.stdout
    assert "ratchet quarantine list loans" in told.stdout
    listed = document("quarantine", "list", "loans", "--rows")
    assert (listed["rows"], len(listed["shown"])) == (3, 3)
    assert [reason["rows"] for reason in listed["reasons"]] == [2, 1, 1]
    assert "3,4" in run("quarantine", "list", "loans", "--rows").stdout
    configure(home, issued="category")
    tried = document("quarantine", "retry", "loans")
    assert (tried["new"], tried["refused"], tried["unreadable"]) == (1, 1, 1)
    assert document("quarantine", "list", "loans", "--reason", "amount")["rows"] == 1
    assert "have to be mended in a file" in run("quarantine", "retry", "loans").stdout


def test_rows_are_shown_in_their_own_letters(home: Path) -> None:
    (home / "odd.csv").write_text("issued,amount,status\n2018-03-01,5,spät\n", encoding="utf-8")
    run("ingest", "loans", str(home / "odd.csv"))
    shown = run("quarantine", "list", "loans", "--rows").stdout
    assert '"spät"' in shown, shown


def test_export_gives_a_file_that_is_ingested_once_mended(home: Path) -> None:
    document("ingest", "loans", str(home / "loans.csv"))
    written = document("quarantine", "export", "loans", str(home / "refused.csv"))
    assert (written["rows"], written["lines"], written["left"]) == (2, 1, 0)
    assert Path(written["lines_file"]).read_text(encoding="utf-8") == "3,4\n"
    mended = (home / "refused.csv").read_text(encoding="utf-8").replace("Mar-2018", "2018-03-01")
    (home / "refused.csv").write_text(mended, encoding="utf-8")
    again = document("ingest", "loans", str(home / "refused.csv"))
    assert (again["new"], again["quarantined"]) == (1, 1)
    document("quarantine", "export", "loans", str(home / "refused.jsonl"), "--source", "loans.csv")
    rows = (home / "refused.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(rows[0]) == {"issued": "Mar-2018", "amount": "5", "status": "paid"}
    refused = run("quarantine", "export", "loans", str(home / "refused.jsonl"))
    assert refused.exit_code == 2
    assert run("quarantine", "export", "loans", str(home / "refused.xlsx")).exit_code == 2


def test_rows_are_deleted_when_it_was_meant(home: Path) -> None:
    document("ingest", "loans", str(home / "loans.csv"))
    assert run("quarantine", "drop", "loans").exit_code == 1  # nobody answers
    assert document("quarantine", "list", "loans")["rows"] == 3
    assert document("quarantine", "drop", "loans", "--older-than", "1", "--yes")["dropped"] == 0
    assert document("quarantine", "drop", "loans", "--reason", "header", "--yes")["dropped"] == 1
    assert document("quarantine", "drop", "loans", "--yes")["dropped"] == 2
    assert run("quarantine", "list", "loans").stdout.strip() == "Nothing is in quarantine"


def test_classes_that_were_renamed_or_removed(home: Path) -> None:
    configure(home, issued="category")
    document("ingest", "loans", str(home / "loans.csv"))
    configure(home, issued="category", classes="settled, late")
    assert document("recheck", "loans") == document("recheck", "loans") | {"misfits": 1, "set_aside": 0}
    assert "ratchet recheck loans --set-aside" in run("recheck", "loans").stdout
    wrong = run("relabel", "loans", "--map", "paid=setled")
    assert (wrong.exit_code, "'setled' is no label" in wrong.stderr) == (2, True)
    assert document("relabel", "loans", "--map", "paid=settled")["relabelled"] == 1
    assert document("recheck", "loans", "--set-aside")["misfits"] == 0
    assert document("relabel", "loans", "--drop", "settled")["dropped"] == 1
    assert "No stored row has the label 'gone'" in run("relabel", "loans", "--set-aside", "gone").stdout


@pytest.mark.parametrize("arguments", [[], ["--map", "paid"], ["--map", "a=b", "--map", "a=c"]])
def test_what_relabel_cannot_use(arguments: list[str]) -> None:
    assert run("relabel", "loans", *arguments).exit_code == 2
