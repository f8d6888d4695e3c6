"""The command, without servers: help, descriptions, errors and exit codes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from configs.schema import UseCase
from flows.cli import app
from flows.reference.docstrings import DocumentedSchema

COMMANDS = sorted(
    str(command.callback.__name__).replace("_", "-")
    for command in app.registered_commands
    if command.callback
)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of the test's own; what a command puts into the environment is undone."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RATCHET", "PREFECT"))}
    clean.pop("MLFLOW_TRACKING_URI", None)
    free_port = {"RATCHET_MLFLOW_PORT": "1", "RATCHET_PREFECT_PORT": "1", "RATCHET_PORT": "1"}
    monkeypatch.setattr(os, "environ", {**clean, **free_port, "RATCHET_HOME": str(tmp_path / "home")})


def ratchet(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_commands_are_all_there() -> None:
    assert {
        *("up", "down", "status", "doctor", "ingest", "drift", "retrain", "evaluate"),
        *("train", "rollback", "pause", "resume", "stop"),
        *("export", "ledger", "demo", "deployments", "schema", "example"),
    } <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = ratchet(command, "--help")
    assert result.exit_code == 0
    assert f"Example: ratchet {command}" in result.stdout


@pytest.mark.parametrize("line", ["status", "doctor", "retrain plans", "drift plans", "open mlflow"])
def test_servers_of_yours_are_told_by_their_variable_without_a_password(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:1")
    monkeypatch.setenv("PREFECT_API_URL", "http://me:s3cret@127.0.0.1:1/api")
    result = ratchet(*line.split())
    assert result.exit_code == 1
    assert "MLFLOW_TRACKING_URI" in result.output
    assert "http://127.0.0.1:1" in result.output
    assert "s3cret" not in result.output
    assert "`ratchet up` starts mlflow" not in result.output


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys; from flows.cli import app;"
        "slow = ('prefect', 'mlflow', 'tensorflow', 'numpy', 'pydantic');"
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_schema_describes_the_use_case() -> None:
    printed = json.loads(ratchet("schema").stdout)
    assert printed == UseCase.model_json_schema(schema_generator=DocumentedSchema)


@pytest.mark.parametrize("request_body", [False, True])
def test_example_prints_a_record_or_a_request(request_body: bool) -> None:
    printed = json.loads(ratchet("example", "plans", *(["--request"] if request_body else [])).stdout)
    record = printed["records"][0] if request_body else printed
    assert record["internet_service"] == "No"


@pytest.mark.parametrize("command", ["example", "ledger", "status"])
def test_a_use_case_of_an_own_folder_is_known(command: str, tmp_path: Path, configs: Path) -> None:
    raw = yaml.safe_load((configs / "plans.yaml").read_text(encoding="utf-8"))
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**raw, "name": "mine"}), encoding="utf-8")
    result = ratchet("--configs", str(tmp_path), command, *(["mine"] if command != "status" else []))
    assert "unknown use case" not in result.output
    assert os.environ["RATCHET_CONFIGS"] == str(tmp_path)


def test_an_unknown_use_case_is_a_usage_error() -> None:
    result = ratchet("ledger", "nope")
    assert result.exit_code == 2
    known = "digits, intents, papers, plans, spam_accounts"
    assert result.stderr.startswith(f"ratchet: unknown use case 'nope'; known: {known}")


def test_a_setting_that_cannot_be_used_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "RATCHET_PORT", "http")
    result = ratchet("status")
    assert result.exit_code == 2
    assert (
        result.stderr == "ratchet: RATCHET_PORT has value 'http'; allowed: a whole number from 1 to 65535\n"
    )


def test_a_damaged_configuration_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: bad\nnonsense: 1\n", encoding="utf-8")
    result = ratchet("--configs", str(tmp_path), "status")
    assert result.exit_code == 2
    assert "bad.yaml: nonsense: unknown key" in result.stderr


@pytest.mark.parametrize("command", ["retrain", "drift", "evaluate"])
def test_what_needs_a_server_says_which_one_is_missing(command: str) -> None:
    result = ratchet(command, "plans")
    assert result.exit_code == 1
    assert (
        result.stderr == "ratchet: MLflow does not answer at http://127.0.0.1:1; start it with `ratchet up`\n"
    )


def test_an_output_that_cannot_be_written_is_named_first(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n", encoding="utf-8")
    result = ratchet("predict", "plans", str(file), "--output", str(tmp_path / "out.xlsx"))
    assert result.exit_code == 2
    assert "out.xlsx: unknown kind of file; allowed: .csv" in result.stderr
    result = ratchet("predict", "plans", str(file))
    assert "MLflow does not answer" in result.stderr


def test_a_worker_is_a_process_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], str]] = []

    def become(_program: str, command: list[str], environment: dict[str, str]) -> None:
        started.append((command[1:], environment["RATCHET_USE_CASES"]))

    monkeypatch.setattr(os, "execve", become)
    assert ratchet("work", "plans", "digits").exit_code == 0
    assert started == [(["-m", "service.work"], "plans,digits")]
    assert ratchet("work", "nobody").exit_code == 2
    assert len(started) == 1


def test_what_needs_the_database_says_how_to_start_it(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n", encoding="utf-8")
    for arguments in (["ledger", "plans"], ["ingest", "plans", str(file)]):
        result = ratchet(*arguments)
        assert result.exit_code == 1
        assert "start one with `ratchet up`" in result.stderr


def test_a_file_that_is_not_there_is_a_usage_error() -> None:
    assert ratchet("ingest", "plans", "nowhere.csv").exit_code == 2


def test_status_tells_what_it_can_without_servers() -> None:
    result = ratchet("status", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {server["name"]: server["state"] for server in found["servers"]} == dict.fromkeys(
        ("postgres", "service", "worker", "prefect", "mlflow"), "down"
    )
    names = ["digits", "intents", "papers", "plans", "spam_accounts"]
    assert [one["name"] for one in found["use_cases"]] == names
    assert len(found["problems"]) == 6
    assert any("RATCHET_HOME" in problem for problem in found["problems"])


def test_down_with_nothing_up_is_fine() -> None:
    result = ratchet("down")
    assert (result.exit_code, result.stdout) == (0, "Nothing was running\n")


def test_doctor_names_who_has_taken_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setitem(os.environ, "RATCHET_PORT", str(port))
        result = ratchet("doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(result.stdout)}
    good = ("python", "packages", "use cases", "home", "disk", "database", "your servers")
    assert all(findings[what]["ok"] for what in good)
    assert result.exit_code == 1
    assert f"port {port} is taken by pid {os.getpid()}" in findings["service"]["found"]
    assert "RATCHET_PORT" in findings["service"]["advice"]


def test_doctor_says_when_others_may_read_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for mode, fine in ((0o755, False), (0o750, False), (0o700, True)):
        home.chmod(mode)
        findings = {finding["what"]: finding for finding in json.loads(ratchet("doctor", "--json").stdout)}
        assert findings["home"]["ok"] is fine
        assert ("ratchet up" in findings["home"]["advice"]) is not fine


def test_deployments_writes_where_it_is_told(tmp_path: Path, configs: Path) -> None:
    extra = tmp_path / "extra"
    extra.mkdir()
    raw = yaml.safe_load((configs / "plans.yaml").read_text(encoding="utf-8"))
    (extra / "mine.yaml").write_text(yaml.safe_dump({**raw, "name": "mine"}), encoding="utf-8")
    target = tmp_path / "prefect.yaml"
    assert ratchet("--configs", str(extra), "deployments", "--output", str(target)).exit_code == 0
    names = [entry["name"] for entry in yaml.safe_load(target.read_text(encoding="utf-8"))["deployments"]]
    assert names[-1] == "mine-retrain"


def test_the_command_is_installed() -> None:
    command = shutil.which("ratchet", path=str(Path(sys.executable).parent))
    assert command is not None
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=True, timeout=30)
    assert "Keeps served classifiers improving" in done.stdout


def test_the_status_of_one_use_case_is_asked_for_by_its_name() -> None:
    told = json.loads(ratchet("status", "plans", "--json").stdout)
    assert [one["name"] for one in told["use_cases"]] == ["plans"]
    refused = ratchet("status", "plan")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("ratchet: unknown use case 'plan' (is 'plans' meant?); known: ")


def test_one_of_some_words_is_told_with_the_nearest() -> None:
    refused = ratchet("open", "prefct")
    assert refused.exit_code == 2
    told = " ".join(refused.stderr.replace("│", " ").split())
    assert "'prefct' is not one of 'prefect', 'mlflow', 'page' (is 'prefect' meant?)" in told
