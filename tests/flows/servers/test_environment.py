"""The environment of child processes."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import SettingError
from configs.settings import CHECKOUT, Settings, read_settings
from flows.servers.environment import (
    OF_OUR_OWN_PREFECT,
    QUIET,
    TELEMETRY_OFF,
    apply_environment,
    child_environment,
    quieten_logs,
)
from flows.stack.specs import servers


def settings(tmp_path: Path, **environ: str) -> Settings:
    return read_settings({"RATCHET_HOME": str(tmp_path / "home"), **environ})


def test_children_read_the_same_settings(tmp_path: Path) -> None:
    extra = tmp_path / "more"
    extra.mkdir()
    ours = settings(
        tmp_path,
        RATCHET_PORT="3001",
        RATCHET_HOST="0.0.0.0",
        RATCHET_MLFLOW_PORT="5001",
        RATCHET_PREFECT_PORT="4201",
        RATCHET_WORKERS="2",
        RATCHET_USE_CASES="a, b",
        RATCHET_CONFIGS=str(extra),
        RATCHET_DATABASE_URL="postgresql://u:p@h/db",
        RATCHET_API_KEYS=str(tmp_path / "keys.yaml"),
        RATCHET_ALLOWED_ORIGINS="https://a.example, http://b.example:81",
        RATCHET_MAX_CONNECTIONS="7",
        RATCHET_MAX_IN_FLIGHT="8",
        RATCHET_SLOW_CLIENT_SECONDS="9",
    )
    theirs = read_settings(child_environment(ours, "service", base={}))
    assert (theirs.starts_mlflow, theirs.starts_prefect) == (False, False)
    assert ours == Settings(**{**vars(theirs), "starts_mlflow": True, "starts_prefect": True})


def test_every_tool_is_told_not_to_phone_home(tmp_path: Path) -> None:
    environment = child_environment(settings(tmp_path), "service", base={"DO_NOT_TRACK": "false"})
    assert TELEMETRY_OFF.items() <= environment.items()
    assert set(TELEMETRY_OFF) == {
        "DO_NOT_TRACK",
        "BENTOML_DO_NOT_TRACK",
        "MLFLOW_DISABLE_TELEMETRY",
        "PREFECT_SERVER_ANALYTICS_ENABLED",
    }


def test_what_the_user_has_set_for_a_tool_wins(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    assert child_environment(ours, "prefect", base={})["PREFECT_HOME"] == str(ours.home / "prefect")
    assert child_environment(ours, "prefect", base={"PREFECT_HOME": "/mine"})["PREFECT_HOME"] == "/mine"


@pytest.mark.parametrize("own", [True, False])
def test_what_leads_to_another_database_is_not_meant_for_that_of_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    mislead = {"PGSSLMODE": "require", "PGSERVICE": "elsewhere", "PGOPTIONS": "-c nosuch=1"}
    base = {**mislead, "PGDATESTYLE": "German", "PATH": "/bin", "NOPGHOST": "x"}
    ours = settings(tmp_path, **({} if own else {"RATCHET_DATABASE_URL": "postgresql://u:p@h/db"}))
    told = child_environment(ours, "worker", base=base)
    assert {name: told[name] for name in mislead if name in told} == ({} if own else mislead)
    assert ("PGDATESTYLE" in told, told["NOPGHOST"]) == (False, "x")
    monkeypatch.setattr(os, "environ", dict(base))
    apply_environment(ours)
    assert {name: os.environ[name] for name in mislead if name in os.environ} == ({} if own else mislead)
    assert ("PGDATESTYLE" in os.environ, os.environ["NOPGHOST"]) == (False, "x")


def test_prefects_client_reads_no_authorities_where_it_asks_without_tls(tmp_path: Path) -> None:
    ours = child_environment(settings(tmp_path), "worker", base={})
    (read,) = ssl.create_default_context(cafile=ours["PREFECT_API_SSL_CERT_FILE"]).get_ca_certs()
    assert read["subject"] == read["issuer"]
    base = {"PREFECT_API_SSL_CERT_FILE": "/mine.pem"}
    mine = child_environment(settings(tmp_path), "worker", base=base)
    assert mine["PREFECT_API_SSL_CERT_FILE"] == "/mine.pem"
    theirs = settings(tmp_path, PREFECT_API_URL="https://prefect.example/api")
    assert not OF_OUR_OWN_PREFECT.keys() & child_environment(theirs, "worker", base={}).keys()


def test_adopting_changes_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"PREFECT_HOME": "/mine"})
    ours = settings(tmp_path)
    apply_environment(ours)
    assert os.environ["PREFECT_API_URL"] == ours.prefect_url
    assert os.environ["PREFECT_HOME"] == "/mine"
    assert os.environ["DO_NOT_TRACK"] == "true"


def test_prefect_writes_json_lines_where_they_are_wanted(tmp_path: Path) -> None:
    wanted = settings(tmp_path, RATCHET_LOG_FORMAT="json")
    wanted.home.mkdir()
    speak = "import flows.scheduling.worker; flows.scheduling.worker.log.info('%d runs', 2)"
    environ = child_environment(wanted, "test") | {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}
    done = subprocess.run(
        [sys.executable, "-c", speak], env=environ, cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "prefect.worker.ratchet", "2 runs")


def test_servers_started_by_a_command_write_whole_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    quieten_logs()
    assert os.environ.items() >= QUIET.items()
    assert not QUIET.keys() & child_environment(settings(tmp_path), "worker").keys()
    yours = child_environment(settings(tmp_path), "worker", {"MLFLOW_LOGGING_LEVEL": "ERROR"})
    assert yours["MLFLOW_LOGGING_LEVEL"] == "ERROR"


def test_the_service_may_have_a_python_of_its_own(tmp_path: Path) -> None:
    python = tmp_path / "serve" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    ours = settings(tmp_path, RATCHET_SERVICE_PYTHON=str(python))
    assert ours.service_python == python  # not where the link leads: that is another environment
    shell = {"PYTHONPATH": "/packages", "VIRTUAL_ENV": "/mine", "PATH": "/usr/bin"}
    theirs = child_environment(ours, "service", base=shell)
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & theirs.keys()
    assert theirs["PATH"] == f"{python.parent}{os.pathsep}/usr/bin"
    assert read_settings(theirs).service_python == python
    worker = child_environment(ours, "worker", base=shell)
    assert worker["PYTHONPATH"] == "/packages"
    assert worker["PATH"].startswith(str(Path(sys.executable).parent))
    commands = {server.name: server.command[0] for server in servers(ours)}
    assert commands.pop("service") == str(python)
    assert set(commands.values()) == {sys.executable}
    plain = child_environment(settings(tmp_path), "service", base=shell)
    assert (plain["PYTHONPATH"], "RATCHET_SERVICE_PYTHON" in plain) == ("/packages", False)


@pytest.mark.parametrize("given", ["nowhere/python", "."])
def test_a_python_that_is_none_is_refused(given: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"RATCHET_SERVICE_PYTHON.*the python of an environment"):
        settings(tmp_path, RATCHET_SERVICE_PYTHON=given)
