"""2: what a command was given is wrong; 1: it failed or was refused. Every door, servers up or down."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.cli.commands import keys
from flows.cli.commands.labels import quarantine, sources
from models.canary import going_back
from models.errors import AlreadyProduction, NoProduction, RunFailed, UnknownVersion
from store.errors import RunBusy
from tests.conftest import empty_database
from tests.flows.cli.commands.test_quarantine import CONFIG, ROWS
from tests.mlflow_servers import Server

GROUPS = {"keys": keys.group, "quarantine": quarantine.group, "sources": sources.group}
MORE = {
    "ingest": ["loans.csv"], "train": ["loans.csv"], "predict": ["loans.csv"], "export": ["new"],
    "undersample": ["loans.csv", "fewer.csv"], "relabel": ["--drop", "late"],
    "quarantine export": ["refused.csv"], "sources hold": ["shop"], "sources release": ["shop"],
    "reproduce": ["1"], "forget-label": ["--source", "shop", "--dry-run"],
}  # fmt: skip
"""What a command needs beside the use case."""


def doors() -> Iterator[str]:
    """Every command that takes a use case."""
    for prefix, one in [("", app), *((f"{name} ", group) for name, group in GROUPS.items())]:
        for command in one.registered_commands:
            assert command.callback is not None
            if {"use_case", "use_cases"} & set(inspect.signature(command.callback).parameters):
                yield f"{prefix}{command.name or command.callback.__name__.replace('_', '-')}"


@pytest.fixture(scope="module")
def database(postgres: str) -> Iterator[str]:
    """One for all: what is wrong is stored nowhere."""
    with empty_database(postgres) as url:
        yield url


@pytest.fixture(autouse=True)
def home(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a use case, its labelled file, and wrong files; no server but the database."""
    ports = dict.fromkeys(("RATCHET_PORT", "RATCHET_MLFLOW_PORT", "RATCHET_PREFECT_PORT"), "1")
    environ = {
        **ports, "RATCHET_HOME": str(tmp_path / "home"), "RATCHET_DATABASE_URL": database,
        "RATCHET_CONFIGS": str(tmp_path), "RATCHET_API_KEYS": "keys", "PATH": os.environ["PATH"],
    }  # fmt: skip
    monkeypatch.setattr(os, "environ", environ)
    monkeypatch.chdir(tmp_path)
    files = {
        "loans.yaml": CONFIG.format(issued="datetime", classes="paid, late"),
        "loans.csv": ROWS,
        "other.csv": "a,b\n1,2\n",
        "loans.xlsx": "x",
        "broken.parquet": "x",
        "policy/one.yaml": "name: other\n",
        "policy/two.yaml": "gate: {metric: luck}\n",
        "policy/three.yaml": "gate: [1\n",
        "full/file": "x",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def ratchet(line: str) -> Result:
    return CliRunner().invoke(app, line.split())


def test_there_are_many_doors() -> None:
    assert {"ingest", "rollback", "replay", "work", "prune", "quarantine list", "sources hold"} <= set(
        doors()
    )


@pytest.mark.parametrize("door", list(doors()))
def test_an_unknown_use_case_is_wrong_whatever_is_down(door: str) -> None:
    result = ratchet(" ".join([door, "nobody", *MORE.get(door, [])]))
    assert (result.exit_code, result.stderr.partition(";")[0]) == (2, "ratchet: unknown use case 'nobody'")


@pytest.mark.parametrize(
    "line",
    [
        "nonsense", "status --nonsense", "open nowhere", "--configs nowhere status", "ledger loans --limit 0",
        "ingest loans none.csv", "ingest loans other.csv", "ingest loans loans.xlsx",
        "ingest loans broken.parquet",
        "train loans none.csv", "retrain loans --data none.csv", "retrain loans --epochs 0",
        "evaluate loans --data none.csv", "evaluate loans --checkpoint none",
        "evaluate loans --checkpoint full",
        "evaluate loans --checkpoint full --version 1",
        "predict loans none.csv", "predict loans loans.csv --output out.xlsx",
        "predict loans loans.csv --output none/out.csv", "predict loans loans.csv --version 0",
        "rollback loans --to 0", "rollback loans --to one",
        "replay loans --data none.csv", "replay loans --data other.csv",
        "replay loans --data loans.csv --first 50",
        "replay loans --periods often", "replay loans --periods 0", "replay loans --delay 8",
        "replay loans --delay -1", "replay loans --policy none.yaml", "replay loans --policy policy/one.yaml",
        "replay loans --policy policy/two.yaml", "replay loans --policy policy/three.yaml",
        "replay loans --jobs -1", "replay loans --picture a.gif", "replay loans --picture none/a.png",
        "audits loans --csv out.xlsx", "audits loans --csv none/out.csv", "audits loans --labels none.csv",
        "audits loans --labels other.csv", "audits loans --days -1",
        "quarantine export loans out.xlsx", "quarantine export loans loans.csv",
        "quarantine drop loans --older-than x",
        "relabel loans", "relabel loans --map paid", "relabel loans --map paid=unheard",
        "sources hold loans nobody", "sources release loans nobody",
        "undersample loans other.csv fewer.csv", "undersample loans loans.csv loans.csv",
        "undersample loans loans.csv fewer.xlsx",
        "keys add shop", "keys add shop --scope nonsense", "keys remove nobody",
        "quarantine list loans --reason k\udce9", "pause loans --reason k\udce9", "ledger k\udce9",
        "relabel loans --map paid=k\udce9", "sources hold loans k\udce9",
        "forget-label loans k\udce9 --reason typo --yes", "quarantine drop loans --source k\udce9 --yes",
        "deployments --output none/prefect.yaml", "deployments --output loans.csv/prefect.yaml",
    ],
)  # fmt: skip
def test_wrong_input_ends_with_2(line: str) -> None:
    result = ratchet(line)
    assert result.exit_code == 2, result.output + repr(result.exception)
    assert result.stderr.strip()


@pytest.mark.parametrize(
    ("line", "came"),
    [
        ("rollback loans --to one", "'one'"), ("rollback loans --to 0", "'0'"),
        ("canary start loans 7 --share most", "'most'"), ("runs loans --limit \x1b[1m", r"'\x1b[1m'"),
    ],
)  # fmt: skip
def test_a_number_that_is_none_is_told_with_what_came(line: str, came: str) -> None:
    assert came in ratchet(line).stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("rollback loans --to 0", "'--to': got '0'; allowed: a whole number from 1 to 2147483647"),
        ("rollback loans --to 9999999999", "'--to': got '9999999999'; allowed: a whole number from 1"),
        ("ledger loans --limit 0", "'--limit': got '0'; allowed: a whole number from 1 to 1000000"),
        ("runs loans --limit 2.5", "'--limit': got '2.5'; allowed: a whole number from 1 to 1000000"),
        ("canary start loans 0", "'version': got '0'; allowed: a whole number from 1 to 2147483647"),
        (
            "canary start loans 3 --share 2",
            "'--share': got 2.0; allowed: above 0, at most 0.5; it is a",
        ),
        ("canary start loans 3 --share nan", "'--share': got nan; allowed: above 0, at most 0.5"),
        ("canary start loans 3 --hours 0", "'--hours': got 0.0; allowed: above 0, at most 8760"),
        ("canary start loans 3 --share most", "'--share': got 'most'; allowed: a number"),
        (
            "quarantine drop loans --older-than -1",
            "'--older-than': got '-1'; allowed: a number from 0 to",
        ),
        ("quarantine drop loans --older-than inf", "'--older-than': got 'inf'; allowed: a number from 0 to"),
        ("audits loans --days inf", "'--days': got 'inf'; allowed: a number from 0 to 36500"),
        ("replay loans --delay -1", "'--delay': got '-1'; allowed: a whole number, at least 0"),
        ("retrain loans --epochs 20000", "'--epochs': got '20000'; allowed: a whole number from 1 to 10000"),
        (
            "check-estimator logistic --seconds inf",
            "'--seconds': got 'inf'; allowed: a number from 1",
        ),
    ],
)
def test_a_number_out_of_bounds_is_told_with_what_came_and_what_is_allowed(line: str, told: str) -> None:
    result = ratchet(line)
    said = " ".join(result.stderr.replace("│", " ").split())
    assert result.exit_code == 2
    assert told in said
    assert "Input should be" not in said


@pytest.mark.parametrize("door", list(doors()))
def test_each_number_that_a_command_takes_says_its_bounds(door: str) -> None:
    """Whatever command it is: none speaks as the library that reads values."""
    root: Any = get_command(app)
    command = reduce(lambda group, name: group.commands[name], door.split(), root)
    for one in command.params:
        described = one.type_descriptor
        if described.annotation not in (int, float) or one.param_type_name != "option":
            continue
        result = ratchet(" ".join([door, "loans", *MORE.get(door, []), one.opts[0], "many"]))
        assert result.exit_code == 2
        assert "got 'many'; allowed: a " in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    "line",
    [
        "status", "doctor", "stop loans", "quarantine drop loans",
        *(f"{door} loans {' '.join(MORE.get(door, []))}" for door in
          ("drift", "retrain", "train", "evaluate", "predict", "export", "rollback", "prune")),
        "open mlflow", "reload",
    ],
)  # fmt: skip
def test_what_may_go_well_another_time_ends_with_1(line: str) -> None:
    assert ratchet("ingest loans loans.csv").exit_code == 0
    assert ratchet(line).exit_code == 1


@pytest.mark.parametrize("door", ["evaluate loans", "predict loans loans.csv", "export loans new"])
def test_a_version_that_is_not_there_is_wrong(
    door: str, mlflow_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "MLFLOW_TRACKING_URI", mlflow_server.uri)
    result = ratchet(f"{door} --version 99")
    assert (result.exit_code, result.stderr) == (
        2,
        "ratchet: model 'loans' has no version 99; `ratchet ledger loans` tells which were registered\n",
    )
    assert ratchet(door).exit_code == 1  # no production yet


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownVersion("loans", 99), 2), (AlreadyProduction("loans", 2), 2),
        (NoProduction("loans"), 1), (RunBusy("loans", "a"), 1),
    ],
)  # fmt: skip
def test_a_rollback_says_whether_the_version_or_the_time_is_wrong(
    error: Exception, code: int, mlflow_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setitem(os.environ, "MLFLOW_TRACKING_URI", mlflow_server.uri)
    monkeypatch.setattr(going_back, "roll_back", refuse)
    assert ratchet("rollback loans --to 99").exit_code == code


def test_what_a_run_cannot_read_is_no_wrong_input(monkeypatch: pytest.MonkeyPatch) -> None:
    from configs.run_options import RunOptions
    from features.errors import SourceError
    from flows import launch
    from flows.cli.commands.training import _run

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise SourceError("the data set could not be downloaded")

    monkeypatch.setattr(launch, "retrain_now", fail)
    with pytest.raises(RunFailed, match="the retrain of 'loans' failed: the data set could not"):
        _run(None, "loans", "retrain", RunOptions(), as_json=False)  # type: ignore[arg-type]
