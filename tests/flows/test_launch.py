"""A command that runs a flow in its own process, while another command does the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from configs.run_options import RunOptions
from configs.settings import read_settings
from flows import launch, loop
from flows.cli import app
from models.errors import NotConfigurable
from store.errors import RunBusy
from store.runs.lifecycle import start_run
from store.runs.rows import last_run
from tests.e2e.apples import CONFIG


def test_of_two_commands_that_find_one_queued_run_the_later_is_told_who_has_it(
    conn: psycopg.Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def skipped(_use_case: str, *, trigger: str, run_id: str, return_state: bool) -> object:
        """What the flow comes to where the other command was first."""
        assert (trigger, return_state) == ("person", True)
        start_run(conn, run_id)
        begun.append(run_id)
        return SimpleNamespace(is_cancelled=lambda: False, result=lambda: None)

    monkeypatch.setattr(loop, "retrain", skipped)
    settings = read_settings({"RATCHET_HOME": str(tmp_path), "RATCHET_DATABASE_URL": database_url})
    with pytest.raises(RunBusy) as told:
        launch.retrain_now(settings, "digits")
    assert begun == [told.value.running_id]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            "{estimator: catboost, params: {iterations: 60}}",
            "got 3 epochs, but model.estimator catboost has no epochs; of kind tabular have: keras_mixed",
        ),
        (
            "{estimator: 'tests.flows.test_launch:WithoutEpochs'}",
            "got 3 epochs: model.params: tests.flows.test_launch:WithoutEpochs",
        ),
    ],
)
def test_epochs_are_refused_before_a_run_where_there_are_none(
    model: str, told: str, conn: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    described = CONFIG.replace("{estimator: catboost, params: {iterations: 60}}", model)
    (tmp_path / "apples.yaml").write_text(described, encoding="utf-8")
    settings = read_settings(
        {
            "RATCHET_HOME": str(tmp_path / "home"),
            "RATCHET_DATABASE_URL": database_url,
            "RATCHET_CONFIGS": str(tmp_path),
        }
    )
    with pytest.raises(NotConfigurable) as refused:
        launch.retrain_now(settings, "apples", options=RunOptions(epochs=3))
    assert told in str(refused.value)
    assert last_run(conn, "apples") is None


class WithoutEpochs:
    """An estimator of another package that takes no parameters."""

    kinds = ("tabular",)

    def __init__(self, params: Mapping[str, Any]) -> None:
        for name in params:
            raise KeyError(name)

    def fit(self, *_rows: Any, **_options: Any) -> None:
        """Learns nothing."""

    predict_proba = save = load = fit


def test_the_command_refuses_them_before_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    done = CliRunner().invoke(app, ["retrain", "plans", "--epochs", "3"])
    assert done.exit_code == 2
    said = " ".join(done.stderr.replace("│", " ").split())
    assert "Invalid value for --epochs: got 3, but model.estimator catboost has no epochs; of kind" in said
