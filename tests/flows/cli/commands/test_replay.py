"""`ratchet replay`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.replay import starting
from flows.replay.history import read_period
from models.errors import TrainingError
from store.replays import list_replays

USE_CASE = """
name: tides
title: Tides
kind: tabular
record:
  fields: [{name: moon, type: number}]
target: {column: tide, task: binary, classes: [low, high], positive: high}
model: {estimator: logistic}
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_environment: None) -> Path:  # noqa: ARG001
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tides.yaml").write_text(USE_CASE)
    monkeypatch.setenv("RATCHET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RATCHET_CONFIGS", str(tmp_path / "configs"))
    moons = np.random.default_rng(1).normal(size=1000)
    lines = ["moon,tide", *(f"{moon},{'high' if moon > 0 else 'low'}" for moon in moons)]
    path = tmp_path / "tides.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.slow
def test_the_document_has_every_policy_with_its_figures(data: Path) -> None:
    picture = data.with_suffix(".svg")
    options = ["--data", str(data), "--periods", "100", "--json", "--picture", str(picture)]
    done = CliRunner().invoke(app, ["replay", "tides", *options], catch_exceptions=False)
    document = json.loads(done.stdout)
    assert (document["use_case"], document["periods"], document["rows"]) == ("tides", 2, 200)
    wanted = {
        "default", "never", "always_full", "always_window", "best_in_hindsight", "river_arf", "river_hat",
        "bound",
    }  # fmt: skip
    assert set(document["policies"]) == wanted
    figures = {
        "accuracy",
        "promotions",
        "worse",
        "harmful",
        "rollbacks",
        "fit_seconds",
        "seconds",
        "by_period",
    }
    assert all(figures <= set(one) for one in document["policies"].values())
    assert picture.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--periods", "soon"], "'soon'; allowed: a number of rows such as 500"),
        (["--periods", "900"], "the first 8 are learned from"),
        (["--picture", "{data}"], "allowed: a name that ends with .png, .svg, .pdf"),
        (["--delay", "8"], "name fewer than 8"),
        (["--policy", "{data}"], "a policy sets `training:` and `gate:` only"),
    ],
)
def test_what_cannot_be_replayed_is_said(data: Path, options: list[str], message: str) -> None:
    options = [option.format(data=data.with_name("mine.yaml")) for option in options]
    data.with_name("mine.yaml").write_text("serving: {}\n")
    done = CliRunner().invoke(app, ["replay", "tides", "--data", str(data), *options])
    assert done.exit_code != 0
    said = f"{done.output} {done.exception}"
    assert message in " ".join(said.replace("│", " ").split())


def test_a_replay_that_fails_says_so_in_its_folder(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise TrainingError("the fit diverged")

    monkeypatch.setattr(starting, "replay", fail)
    options = ["--periods", "100", "--data", str(data), "--first", "6", "--delay", "1"]
    done = CliRunner().invoke(app, ["replay", "tides", *options])
    assert (done.exit_code, "the fit diverged" in done.stderr) == (1, True)
    (failed,) = list_replays(data.parent / "home", "tides", 20).failed
    command = f"ratchet replay tides --data {data} --periods 100 --first 6 --delay 1"
    assert (failed.error, failed.command) == ("the fit diverged", command)


def test_periods_of_time_are_spelled_as_they_are_read() -> None:
    command = starting.command_of("tides", starting.ReplayRequest(period=timedelta(weeks=1), jobs=2))
    assert command == "ratchet replay tides --periods 168h --jobs 2"
    assert read_period("168h") == timedelta(weeks=1)
