"""`ratchet new`: what it writes, prints, asks and refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from configs.loading import load_use_case, parse_use_case
from configs.served import write_served
from configs.settings import read_settings
from flows.cli import app
from tests.flows.drafting.files import table, write_csv

NAME = "mails"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """200 labelled rows."""
    labels = table()["label"]
    columns = table(
        number=range(200),
        ended=[f"2020-01-0{n % 9 + 1}" if one == "yes" else "" for n, one in enumerate(labels)],
    )
    return write_csv(tmp_path / "rows.csv", columns)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of configurations."""
    configs = tmp_path / "configs"
    configs.mkdir()
    monkeypatch.setenv("RATCHET_CONFIGS", str(configs))
    monkeypatch.chdir(tmp_path)
    return configs


def new(file: Path, *options: str, typed: str | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["new", NAME, str(file), "--target", "label", *options], input=typed)


def test_the_file_is_one_that_up_reads(file: Path, folder: Path) -> None:
    done = new(file)
    assert done.exit_code == 0, done.output
    use_case = load_use_case(folder / "mails.yaml")
    assert (use_case.name, use_case.target.positive) == (NAME, "yes")
    assert use_case.data.path is not None
    assert Path(use_case.data.path).resolve() == file
    assert "path: ../rows.csv" in (folder / "mails.yaml").read_text()
    told = " ".join(done.output.split())  # lines end where the terminal does
    assert "the number of the row" in told
    assert "suspected leak: has a value in" in told
    assert f"RATCHET_USE_CASES={NAME} ratchet up --detach" in told


def test_without_a_folder_it_is_written_here(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RATCHET_CONFIGS", raising=False)
    done = new(file)
    assert load_use_case(tmp_path / "mails.yaml").name == NAME
    assert "ratchet --configs . up --detach" in done.output


def test_the_next_command_names_the_folder_that_this_one_named(
    file: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before that of the environment."""
    other = tmp_path / "other"
    other.mkdir()
    arguments = ["--configs", str(other), "new", NAME, str(file), "--target", "label"]
    done = CliRunner().invoke(app, arguments)
    monkeypatch.setenv("RATCHET_CONFIGS", str(folder))
    assert done.exit_code == 0, done.output
    assert (other / "mails.yaml").is_file()
    assert f"RATCHET_USE_CASES={NAME} ratchet --configs {other} up --detach" in done.output


def test_the_next_command_leaves_what_a_home_serves(
    file: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_HOME", str(tmp_path))
    serves = read_settings({**os.environ, "RATCHET_USE_CASES": "plans"})
    write_served(serves, {"plans": "digest"})
    assert "next:    ratchet up --detach" in new(file).output, "the folder is one that the home knows"
    monkeypatch.delenv("RATCHET_CONFIGS")
    assert "next:    ratchet up --detach" in new(file, "--force").output
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "mails.yaml").unlink()
    told = new(file, "--out", str(elsewhere)).output
    assert f"next:    ratchet --configs {folder} --configs {elsewhere} up --detach" in told
    monkeypatch.setenv("RATCHET_USE_CASES", "plans")
    told = new(file, "--out", str(elsewhere), "--force").output
    assert f"RATCHET_USE_CASES=plans,{NAME} ratchet --configs {folder}" in told


def test_a_file_that_is_there_is_kept(file: Path, folder: Path) -> None:
    (folder / "mails.yaml").write_text("mine")
    done = new(file)
    assert done.exit_code == 2
    assert "--force" in done.stderr
    assert (folder / "mails.yaml").read_text() == "mine"
    assert new(file, "--force").exit_code == 0
    assert load_use_case(folder / "mails.yaml").name == NAME


def test_a_name_that_another_use_case_has_is_refused(file: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "mails.yaml").write_text("mine")
    done = new(file, "--out", str(tmp_path))
    assert done.exit_code == 2
    assert "described by" in done.stderr


def test_a_dry_run_prints_the_file_and_writes_nothing(file: Path, folder: Path, tmp_path: Path) -> None:
    done = new(file, "--dry-run")
    assert done.exit_code == 0
    assert list(folder.iterdir()) == []
    (tmp_path / "mails.yaml").write_text(done.stdout)
    assert load_use_case(tmp_path / "mails.yaml").kind == "tabular"


def test_json_has_the_proposal_and_its_whys(file: Path, folder: Path) -> None:
    told = json.loads(new(file, "--json").stdout)
    assert told["path"] == str(folder / "mails.yaml")
    assert parse_use_case(told["use_case"], source=folder / "mails.yaml").name == NAME
    assert (told["rows"], told["columns"], told["checked"]["refused"]) == (200, 4, 0)
    assert [one["column"] for one in told["suspected_leaks"]] == ["ended"]
    assert {one["column"]: one["reason"] for one in told["left_out"]} == {
        "number": "row_number",
        "ended": "leak",
    }
    assert told["why"]["fields"].keys() == {"size"}


def test_what_is_doubtful_is_asked_and_answers_count(file: Path, folder: Path) -> None:
    done = new(file, "--ask", typed="no\n")
    assert done.exit_code == 0, done.output
    assert "'ended' may give the label away" in done.stderr
    assert [one.name for one in load_use_case(folder / "mails.yaml").record.fields] == ["size", "ended"]
    new(file, "--ask", "--force", typed="")
    assert [one.name for one in load_use_case(folder / "mails.yaml").record.fields] == ["size"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "regression"], "regression is not supported"),
        (["--id", "nmuber"], "is 'number' meant"),
        (["--leave-out", "label"], "the target"),
        (["--positive", "maybe"], "'no' or 'yes'"),
        (["--time", "size"], "holds no times"),
        (["--target", "lable"], "is 'label' meant"),
    ],
)
def test_wrong_options_are_refused_in_one_line(
    file: Path, folder: Path, options: list[str], words: str
) -> None:
    done = new(file, *options)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1), done.output
    assert words in done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["Mails", "9mails", "my-mails", "../mails", ""])
def test_a_name_is_one_of_use_cases(file: Path, name: str) -> None:
    done = CliRunner().invoke(app, ["new", name, str(file), "--target", "label"])
    assert done.exit_code == 2
    assert "small letter" in done.stderr
