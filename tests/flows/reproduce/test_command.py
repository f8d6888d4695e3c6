"""`ratchet reproduce`: a table or a document, and 0, 1 or 2."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.reproduce import origin
from models.versions.artifact import read_fit
from tests.flows.retrain.turns import Orchard


@pytest.fixture(autouse=True)
def environ(grown: Orchard, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = grown.context.settings
    told = {
        "RATCHET_HOME": str(settings.home),
        "RATCHET_CONFIGS": str(settings.home / "configs"),
        "RATCHET_USE_CASES": grown.name,
        "RATCHET_DATABASE_URL": grown.context.database_url,
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "COLUMNS": "200",
        "PATH": os.environ["PATH"],
    }
    monkeypatch.setattr(os, "environ", told)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["reproduce", *words])


def test_the_same_is_told_in_a_table_and_in_a_document(grown: Orchard) -> None:
    told = run(grown.name, "1")
    assert told.exit_code == 0, told.output
    assert (
        "same: the same answers and metrics: the largest difference is 0, tolerated are 1e-06" in told.stdout
    )
    for words in ("sample count", "probe", "held-out", "100.00%", "f1_macro", "made again"):
        assert words in told.stdout
    told = run(grown.name, "1", "--json")
    document: dict[str, Any] = json.loads(told.stdout)
    assert (told.exit_code, document["outcome"], document["use_case"]) == (0, "same", grown.name)
    assert document["comparison"]["holdout"]["max_difference"] == 0
    assert document["comparison"]["metrics"]["accuracy"]["difference"] == 0


def test_what_cannot_be_made_again_is_told_and_ends_with_1(
    grown: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = read_fit(grown.kept(1))
    assert inputs is not None
    other = inputs.model_copy(update={"rows_digest": "0" * 64})
    monkeypatch.setattr(origin, "read_fit", lambda _: other)
    told = run(grown.name, "1", "--json")
    document = json.loads(told.stdout)
    assert (told.exit_code, document["outcome"], document["comparison"]) == (1, "impossible", None)
    assert "that are others" in document["reason"]
    assert "impossible: its fit was handed" in run(grown.name, "1").stdout


@pytest.mark.parametrize("words", [["7"], ["0"], ["one"], ["1", "--tolerance", "-1"]])
def test_wrong_input_ends_with_2(grown: Orchard, words: list[str]) -> None:
    told = run(grown.name, *words)
    assert (told.exit_code, told.stdout) == (2, "")


def test_a_use_case_that_is_not_there_ends_with_2_whatever_servers_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(os.environ, "MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    told = run("pears", "1")
    assert (told.exit_code, told.stdout) == (2, "")
