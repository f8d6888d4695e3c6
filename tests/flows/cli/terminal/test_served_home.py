"""Commands in a home that serves: they know what it serves; and files that are no use cases, or lack data."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from configs.loading import load_use_case
from configs.served import write_served
from configs.settings import Settings, read_settings
from flows.cli import app
from flows.stack.reloading import digests, dropped


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of the test's own; what a command puts into the environment is undone."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RATCHET", "PREFECT"))}
    clean.pop("MLFLOW_TRACKING_URI", None)
    free_port = {"RATCHET_MLFLOW_PORT": "1", "RATCHET_PREFECT_PORT": "1", "RATCHET_PORT": "1"}
    monkeypatch.setattr(os, "environ", {**clean, **free_port, "RATCHET_HOME": str(tmp_path / "home")})


def ratchet(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def write_plans(folder: Path, configs: Path, *names: str) -> Path:
    """A folder of use cases that are like plans, of other names."""
    raw = yaml.safe_load((configs / "plans.yaml").read_text(encoding="utf-8"))
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**raw, "name": name}), encoding="utf-8")
    return folder


def serve(tmp_path: Path, folder: Path, *names: str) -> None:
    """As `ratchet up` leaves it."""
    (tmp_path / "home").mkdir(exist_ok=True)
    settings = read_settings(
        {
            "RATCHET_HOME": str(tmp_path / "home"),
            "RATCHET_CONFIGS": str(folder),
            "RATCHET_USE_CASES": ",".join(names),
        }
    )
    write_served(settings, digests(settings))


def test_what_a_home_serves_is_known_to_every_command(tmp_path: Path, configs: Path) -> None:
    serve(tmp_path, write_plans(tmp_path / "own", configs, "mine", "yours"), "mine")
    assert json.loads(ratchet("example", "mine").stdout)["internet_service"] == "No"
    told = json.loads(ratchet("status", "--json").stdout)
    assert [one["name"] for one in told["use_cases"]] == ["mine"]
    assert ratchet("ledger", "yours").exit_code == 1, "known, though it is not served"


def test_a_folder_that_is_gone_is_named_by_every_command(tmp_path: Path, configs: Path) -> None:
    own = write_plans(tmp_path / "own", configs, "mine")
    serve(tmp_path, own, "mine")
    shutil.rmtree(own)
    result = ratchet("ledger", "mine")
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert first.startswith(f"ratchet: the folder {own}, which use cases of this home came from, is gone")
    assert "unknown use case 'mine'" in second
    assert f"folders read: {configs}; others are named by --configs DIR or RATCHET_CONFIGS" in second


def test_what_will_be_served_no_longer_is_named_with_the_reason(tmp_path: Path, configs: Path) -> None:
    own = write_plans(tmp_path / "own", configs, "mine", "yours")
    serve(tmp_path, own, "mine", "yours")
    assert dropped(settings_of(tmp_path, RATCHET_CONFIGS=str(own), RATCHET_USE_CASES="mine,yours")) == {}
    told = dropped(settings_of(tmp_path, RATCHET_CONFIGS=str(own), RATCHET_USE_CASES="mine"))
    assert told == {"yours": "RATCHET_USE_CASES is 'mine'; what it has learned stays"}
    told = dropped(settings_of(tmp_path, RATCHET_USE_CASES=""))
    assert list(told) == ["mine", "yours"]
    assert "no file describes it in the folders read (none beside the shipped ones)" in told["mine"]


def settings_of(tmp_path: Path, **variables: str) -> Settings:
    return read_settings({"RATCHET_HOME": str(tmp_path / "home"), **variables})


def test_a_folder_of_the_command_line_comes_before_those_of_the_environment(
    tmp_path: Path, configs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = write_plans(tmp_path / "named", configs, "mine")
    monkeypatch.setitem(os.environ, "RATCHET_CONFIGS", str(write_plans(tmp_path / "set", configs, "yours")))
    assert ratchet("--configs", str(named), "example", "yours").exit_code == 0
    assert read_settings().config_dirs == (configs, named, tmp_path / "set")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "services: {db: {image: postgres}}\nvolumes: {}\n",
            "looks like no use case, as it has `services:`, ",
        ),
        ("- a\n- b\n", "holds list; allowed: a mapping of keys"),
    ],
)
def test_a_yaml_file_of_something_else_is_said_to_be_one(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "compose.yaml").write_text(text, encoding="utf-8")
    result = ratchet("--configs", str(tmp_path), "status")
    assert result.exit_code == 2
    assert f"compose.yaml: {said}" in result.stderr
    assert "keep what is none in a folder of its own" in result.stderr


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "rows.csv: cannot be read: No such file"), ("a,b\n1,2\n", "contract"), ("", "rows.csv")],
    ids=["no file", "other columns", "empty"],
)
def test_doctor_looks_at_the_files_that_are_learned_from(
    tmp_path: Path, configs: Path, content: str | None, problem: str
) -> None:
    own = write_plans(tmp_path / "own", configs, "mine")
    raw = yaml.safe_load((own / "mine.yaml").read_text(encoding="utf-8"))
    raw["data"] = {"path": "rows.csv"}
    (own / "mine.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    if content is not None:
        (own / "rows.csv").write_text(content, encoding="utf-8")
    told = {one["what"]: one for one in json.loads(ratchet("--configs", str(own), "doctor", "--json").stdout)}
    assert not told["data"]["ok"]
    assert told["data"]["found"].startswith("mine: ")
    assert problem in told["data"]["found"]
    assert "data.path" in told["data"]["advice"]


def test_doctor_is_content_with_a_file_that_has_the_columns(tmp_path: Path, configs: Path) -> None:
    own = write_plans(tmp_path / "own", configs, "mine")
    raw = yaml.safe_load((own / "mine.yaml").read_text(encoding="utf-8"))
    raw["data"] = {"path": "rows.csv"}
    (own / "mine.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    use_case = load_use_case(own / "mine.yaml")
    keys = {
        use_case.record.id_column,
        use_case.record.time_column,
        use_case.record.group,
        use_case.target.column,
    }
    columns = [*(one.source_column for one in use_case.record.fields), *(key for key in keys if key)]
    (own / "rows.csv").write_text(",".join(columns) + "\n", encoding="utf-8")
    told = {one["what"]: one for one in json.loads(ratchet("--configs", str(own), "doctor", "--json").stdout)}
    assert told["data"]["ok"], told["data"]
    assert f"mine: {own / 'rows.csv'}" in told["data"]["found"]
