"""Variables of Prefect's and MLflow's that they cannot read: told by name before anything runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from configs.errors import ConfigError
from configs.settings import Settings, read_settings
from flows import doctor
from flows.beforehand.tool_variables import unreadable
from flows.cli import app
from flows.cli.commands import servers
from flows.servers.environment import QUIET, tool_defaults, tool_environment
from flows.stack.starting import bring_up


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    return read_settings({"RATCHET_HOME": str(tmp_path / "home")})


def told(settings: Settings, variables: Mapping[str, str]) -> list[str]:
    return unreadable(settings, {**os.environ, **variables})


def test_nobody_is_asked_of_what_we_set_and_of_text(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_args: Any, **_options: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", ask)
    ours = QUIET | tool_defaults(settings) | tool_environment(settings)
    own = {"MLFLOW_TRACKING_TOKEN": "t", "PREFECT_API_URL": "http://127.0.0.1:1/api", "OTHER": "abc"}
    assert told(settings, ours | own) == []
    with pytest.raises(AssertionError):
        told(settings, {"PREFECT_LOGGING_LEVEL": "INFO"})


def test_each_that_cannot_be_read_is_told_with_what_its_tool_says(settings: Settings) -> None:
    found = told(
        settings,
        {
            "PREFECT_API_REQUEST_TIMEOUT": "abc",
            "PREFECT_LOGGING_LEVEL": "INFO",
            "PREFECT_CLIENT_CUSTOM_HEADERS": "{secret",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "soon",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
            "MLFLOW_OF_NOBODY": "abc",
        },
    )
    assert found == [
        "MLFLOW_HTTP_REQUEST_TIMEOUT has value 'soon' that MLflow cannot read: invalid literal for int() "
        "with base 10: 'soon'",
        "PREFECT_API_REQUEST_TIMEOUT has value 'abc' that Prefect cannot read: Input should be a valid "
        "number, unable to parse string as a number",
        "PREFECT_CLIENT_CUSTOM_HEADERS has a value that Prefect cannot read: Input should be JSON",
    ]


def test_nothing_is_started_with_one_and_doctor_tells_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", "often")
    with pytest.raises(ConfigError, match="PREFECT_WORKER_QUERY_SECONDS has value 'often'"):
        bring_up(settings, lambda _name, _what: None)
    finding = next(one for one in doctor.examine(settings) if one.what == "variables")
    assert not finding.ok
    assert finding.found.startswith("PREFECT_WORKER_QUERY_SECONDS has value 'often'")


def test_a_command_that_fails_by_one_tells_it_in_a_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_settings: Settings) -> None:
        raise ValueError("1 validation error for WorkerSettings")

    monkeypatch.setattr("flows.doctor.examine", fail)
    monkeypatch.setattr(servers, "settings_here", lambda: settings)
    result = CliRunner().invoke(app, ["doctor"])
    assert isinstance(result.exception, ValueError), "nothing is wrong with variables"
    monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", "often")
    result = CliRunner().invoke(app, ["doctor"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("ratchet: PREFECT_WORKER_QUERY_SECONDS has value 'often'")
