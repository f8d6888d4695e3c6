"""`ratchet sources` and what `ratchet ingest` says of several sources, on a database of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app

CONFIG = """
name: loans
title: Loans
kind: tabular
record:
  source_column: who
  fields: [{name: amount, type: number}]
target: {task: binary, column: status, classes: [paid, late]}
model: {estimator: logistic}
"""


@pytest.fixture(autouse=True)
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A use case whose file says whose label each row has: eve contradicts ann and bob."""
    environ = {
        "RATCHET_HOME": str(tmp_path / "home"),
        "RATCHET_DATABASE_URL": database_url,
        "RATCHET_CONFIGS": str(tmp_path),
        "COLUMNS": "250",
        "PATH": os.environ["PATH"],
    }
    monkeypatch.setattr(os, "environ", environ)
    (tmp_path / "loans.yaml").write_text(CONFIG, encoding="utf-8")
    rows = [
        f"{amount},{'late' if who == 'eve' else 'paid'},{who}"
        for amount in range(40)
        for who in ("ann", "bob", "eve")
    ]
    (tmp_path / "loans.csv").write_text("\n".join(["amount,status,who", *rows]) + "\n", encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_sources_are_listed_held_and_released(home: Path) -> None:
    told = run("ingest", "loans", str(home / "loans.csv"))
    assert told.exit_code == 0, told.output
    assert "outvoted" in told.output
    report = json.loads(run("ingest", "loans", str(home / "loans.csv"), "--json").stdout)
    assert (report["new"], report["corrected"], report["rows"]) == (0, 0, 120)
    listed = run("sources", "list", "loans")
    assert "file/eve: contradicts other sources in 40 of 40 rows" in listed.output
    assert "ratchet sources release loans file/eve" in listed.output
    sources = json.loads(run("sources", "release", "loans", "file/eve", "--json").stdout)["sources"]
    assert [(one["name"], one["held"], one["told"]) for one in sources] == [
        ("file/ann", False, None), ("file/bob", False, None), ("file/eve", False, "release"),
    ]  # fmt: skip
    assert "held back since" in run("sources", "hold", "loans", "file/bob").output
    refused = run("sources", "hold", "loans", "mallory")
    assert refused.exit_code == 2
    assert (
        "has no labels of a source 'mallory'; those that it has: file/ann"
        in str(refused.exception) + refused.output
    )
