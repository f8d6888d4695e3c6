"""`ratchet up` with the real servers: a new use case from one YAML and a CSV, served and stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from configs.settings import CHECKOUT, read_settings
from flows.servers.prefect_access import auth_headers
from flows.stack.processes import marked_processes
from flows.stack.state import read_state, read_supervisor
from store.database.processes import processes_in
from tests.ports import free_port

USE_CASE = """\
name: fruit
title: Apples and pears
kind: tabular
record:
  fields:
    - {name: width, type: number, minimum: 0}
    - {name: height, type: number, minimum: 0}
target: {task: binary, classes: [apple, pear]}
data: {path: fruit.csv}
model: {estimator: logistic}
training: {holdout: {min_rows: 100}}
retrain: {min_labels: 50}
schedule: {ingest: "*/30 * * * *", drift: null, retrain: "0 4 * * *", timezone: Europe/Berlin}
"""
UP = ("service", "worker", "prefect", "mlflow")
SEEN_DEAD_WITHIN = {"worker": 2.0, "prefect": 5.0, "mlflow": 10.0}
"""Seconds until `/health` tells of a server that was killed."""


@dataclass
class Installation:
    """A home of its own with free ports, driven by the command as a person would."""

    folder: Path
    ports: tuple[int, int, int]
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        service, mlflow, prefect = self.ports
        theirs = ("RATCHET", "PREFECT", "MLFLOW", "BENTOML")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(theirs)},
            "RATCHET_HOME": str(self.home),
            "RATCHET_CONFIGS": str(self.folder),
            "RATCHET_USE_CASES": "fruit",
            "RATCHET_PORT": str(service),
            "RATCHET_MLFLOW_PORT": str(mlflow),
            "RATCHET_PREFECT_PORT": str(prefect),
        }

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def prefect_environment(self) -> dict[str, str]:
        """What a person exports to talk to this installation with Prefect's own command."""
        return {
            **self.environment,
            "PREFECT_PROFILES_PATH": str(self.home / "prefect" / "profiles.toml"),
            "PREFECT_HOME": str(self.home / "prefect"),
            "DO_NOT_TRACK": "true",
        }

    def run(
        self, *command: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            env=dict(environment or self.environment),
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            env=self.environment,
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def ask(self, port: int, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **self.auth_headers(port)},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def auth_headers(self, port: int) -> dict[str, str]:
        """What Prefect wants to see."""
        return auth_headers(read_settings(self.environment)) if port == self.ports[2] else {}

    def left(self) -> list[int]:
        """Processes of this installation, PostgreSQL's included."""
        return [process.pid for process in marked_processes(self.home)] + sorted(
            processes_in(self.home / "postgres" / "data")
        )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "fruit.yaml").write_text(USE_CASE, encoding="utf-8")
    rows = random.Random(7)
    lines = [
        f"{rows.gauss(7, 0.8):.3f},{rows.gauss(10 if name == 'pear' else 7.5, 0.9):.3f},{name}"
        for name in ("apple", "pear") * 300
    ]
    (folder / "fruit.csv").write_text("\n".join(["width,height,label", *lines]) + "\n", encoding="utf-8")
    made = Installation(folder, (free_port(), free_port(), free_port()))
    yield made
    made.run("ratchet", "down")
    assert made.left() == []


@pytest.fixture(scope="module")
def up(installation: Installation) -> Installation:
    done = installation.run("ratchet", "up", "--detach")
    assert done.returncode == 0, done.stderr
    return installation


def wait_for_health(up: Installation, true: Callable[[Any], bool], seconds: float) -> Any:
    """What the service tells of its health, as soon as that is so."""
    until = time.monotonic() + seconds
    while not true(told := up.ask(up.ports[0], "/health")):
        assert time.monotonic() < until, told
        time.sleep(0.1)
    return told


def test_up_starts_everything_and_trains_a_first_model(up: Installation) -> None:
    done = up.run("ratchet", "status", "--json")
    status = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert {server["name"]: server["state"] for server in status["servers"]} == dict.fromkeys(
        ("postgres", *UP), "up"
    )
    fruit = status["use_cases"][0]
    assert (fruit["production"], fruit["labels"], fruit["new_labels"]) == (1, 600, 0)
    assert fruit["last_run"]["outcome"] == "promoted"


def test_the_first_model_is_served(up: Installation) -> None:
    body = {"records": [{"width": 7.0, "height": 10.5}, {"width": 7.0, "height": 7.0}]}
    answer = up.ask(up.ports[0], "/v1/fruit/predict", body)
    assert [one["label"] for one in answer["predictions"]] == ["pear", "apple"]
    assert answer["model"]["version"] == 1
    wait_for_health(up, lambda told: told["status"] == "ok", 12)


def test_a_second_up_says_so_and_changes_nothing(up: Installation) -> None:
    before = read_state(up.home)
    done = up.run("ratchet", "up", "--detach", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["started"]) == (0, [])
    assert {"service", "page", "prefect", "mlflow"} <= set(told)
    assert read_state(up.home) == before


def test_the_schedules_make_runs(up: Installation) -> None:
    query = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    deadline = time.monotonic() + 60
    while not (runs := up.ask(up.ports[2], "/api/flow_runs/filter", query)):
        assert time.monotonic() < deadline
        time.sleep(1)
    retrains = [run for run in runs if "retrain" in run["tags"]]
    assert all(run["parameters"] == {"use_case": "fruit", "trigger": "schedule"} for run in retrains)
    fruit = json.loads(up.run("ratchet", "status", "--json").stdout)["use_cases"][0]
    assert set(fruit["next_runs"]) <= {"ingest", "retrain"} and fruit["next_runs"]


@pytest.mark.slow
def test_a_deployment_started_by_hand_completes(up: Installation) -> None:
    listed = up.run("prefect", "deployment", "ls", environment=up.prefect_environment).stdout
    assert all(f"fruit-{flow}" in listed for flow in ("ingest", "drift", "retrain"))
    done = up.run(
        "prefect", "deployment", "run", "retrain/fruit-retrain", "--watch", environment=up.prefect_environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    fruit = json.loads(up.run("ratchet", "status", "--json").stdout)["use_cases"][0]
    assert fruit["last_run"]["trigger"] == "person"
    assert fruit["last_run"]["status"] == "succeeded"


@pytest.mark.slow
def test_the_committed_file_deploys_as_it_is(up: Installation) -> None:
    done = up.run("prefect", "--no-prompt", "deploy", "--all", environment=up.prefect_environment)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = up.ask(up.ports[2], "/api/deployments/filter", {})
    folders = {
        one["name"]: one["pull_steps"][0]["prefect.deployments.steps.set_working_directory"]["directory"]
        for one in listed
    }
    assert {"plans-retrain", "digits-drift", "fruit-ingest"} <= set(folders)
    assert set(folders.values()) == {str(CHECKOUT)}


@pytest.mark.slow
def test_the_commands_of_the_loop(up: Installation) -> None:
    file = up.folder / "more.csv"
    file.write_text("width,height,label\n7.1,10.2,pear\n6.9,seven,apple\n7.0,7.1,quince\n", encoding="utf-8")
    report = json.loads(up.run("ratchet", "ingest", "fruit", str(file), "--json").stdout)
    assert (report["rows"], report["new"], report["quarantined"]) == (3, 1, 2)
    evaluation = json.loads(up.run("ratchet", "evaluate", "fruit", "--json").stdout)
    assert evaluation["metrics"]["accuracy"] > 0.8
    exported = up.run("ratchet", "export", "fruit", str(up.folder / "model"), "--json")
    assert (up.folder / "model" / "manifest.json").is_file(), exported.stderr
    again = up.run("ratchet", "export", "fruit", str(up.folder / "model"))
    assert again.returncode == 2
    assert "exists; name a directory that does not" in again.stderr
    entries = json.loads(up.run("ratchet", "ledger", "fruit", "--json").stdout)
    assert [entry["event"] for entry in entries][-2:] == ["intent", "registered"]


def test_a_process_is_left_that_watches(up: Installation) -> None:
    supervisor = read_supervisor(up.home)
    assert supervisor is not None
    status = json.loads(up.run("ratchet", "status", "--json").stdout)
    assert status["supervisor"]["pid"] == supervisor.pid
    assert up.ask(up.ports[0], "/health")["dependencies"]["supervisor"] == {"ok": True}


@pytest.mark.slow
def test_use_cases_that_are_new_or_gone_are_taken_up(up: Installation) -> None:
    """By a second `up`, then by `reload`; and a file that is wrong changes nothing."""
    file = up.folder / "nuts.yaml"
    file.write_text(USE_CASE.replace("fruit\n", "nuts\n"), encoding="utf-8")
    both = {**up.environment, "RATCHET_USE_CASES": "fruit,nuts"}
    before = read_state(up.home)
    done = up.run("ratchet", "up", "--detach", environment=both)
    assert done.returncode == 0, done.stderr
    assert read_state(up.home) == before
    wait_for_health(up, lambda told: told["use_cases"]["nuts"]["state"] == "serving", 30)
    answer = up.ask(up.ports[0], "/v1/nuts/predict", {"records": [{"width": 7.0, "height": 10.5}]})
    assert answer["model"]["name"] == "nuts"
    listed = up.ask(up.ports[2], "/api/deployments/filter", {})
    assert "nuts-retrain" in {one["name"] for one in listed}
    assert (up.home / "inbox" / "nuts").is_dir()

    file.write_text("name: [", encoding="utf-8")
    done = up.run("ratchet", "reload", environment=both)
    assert (done.returncode, "nuts.yaml" in done.stderr) == (2, True)
    assert up.ask(up.ports[0], "/health")["use_cases"].keys() == {"fruit", "nuts"}

    file.unlink()
    done = up.run("ratchet", "reload", "--json")
    assert json.loads(done.stdout) == {"new": [], "changed": [], "gone": ["nuts"], "warnings": {}}, (
        done.stderr
    )
    assert up.ask(up.ports[0], "/health")["use_cases"].keys() == {"fruit"}
    listed = up.ask(up.ports[2], "/api/deployments/filter", {})
    assert "nuts-retrain" not in {one["name"] for one in listed}


@pytest.mark.faults
@pytest.mark.parametrize("server", UP)
def test_one_that_was_killed_is_back_by_itself(up: Installation, server: str) -> None:
    before = read_state(up.home)
    os.kill(before[server].pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while read_state(up.home).get(server) in (None, before[server]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert up.run("ratchet", "up", "--detach").returncode == 0  # waits until it serves
    wait_for_health(up, lambda told: all(one["ok"] for one in told["dependencies"].values()), 15)
    after = read_state(up.home)
    assert {name: one for name, one in after.items() if name != server} == {
        name: one for name, one in before.items() if name != server
    }


@pytest.mark.faults
@pytest.mark.parametrize("server", UP)
def test_one_that_was_killed_with_who_watched_is_started_again_by_up(up: Installation, server: str) -> None:
    supervisor = read_supervisor(up.home)
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    before = read_state(up.home)
    os.kill(before[server].pid, signal.SIGKILL)
    if server in SEEN_DEAD_WITHIN:
        told = wait_for_health(
            up, lambda told: not told["dependencies"][server]["ok"], SEEN_DEAD_WITHIN[server]
        )
        assert told["status"] == "degraded"
    done = up.run("ratchet", "up", "--detach", "--json")
    assert json.loads(done.stdout)["started"] == [server], done.stderr
    wait_for_health(up, lambda told: told["status"] == "ok", 15)
    assert read_supervisor(up.home) not in (None, supervisor)
    after = read_state(up.home)
    assert {name: one for name, one in after.items() if name != server} == {
        name: one for name, one in before.items() if name != server
    }


@pytest.mark.faults
def test_up_after_everything_was_killed(up: Installation) -> None:
    for pid in up.left():
        psutil.Process(pid).kill()
    deadline = time.monotonic() + 10
    while up.left():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert up.run("ratchet", "up", "--detach").returncode == 0
    test_the_first_model_is_served(up)


@pytest.mark.faults
def test_down_ends_a_flow_run_at_work(up: Installation) -> None:
    started = up.run(
        "prefect", "deployment", "run", "retrain/fruit-retrain", environment=up.prefect_environment
    )
    assert started.returncode == 0
    deadline = time.monotonic() + 30
    while not any("flows.warm.client" in process.cmdline() for process in marked_processes(up.home)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert up.run("ratchet", "down").returncode == 0
    assert up.left() == []
    assert up.run("ratchet", "up", "--detach").returncode == 0
    done = up.run("ratchet", "retrain", "fruit", "--json")
    assert done.returncode == 0, done.stderr


def test_down_leaves_nothing(up: Installation) -> None:
    done = up.run("ratchet", "down", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["stopped"] == [*UP, "postgres"]
    assert up.left() == []
    done = up.run("ratchet", "down")
    assert (done.returncode, done.stdout) == (0, "Nothing was running\n")


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [0.7, 2.0, 5.0])
def test_an_up_that_was_killed_half_way_is_finished_by_the_next(
    installation: Installation, seconds: float
) -> None:
    with installation.start("ratchet", "up", "--detach") as child:
        time.sleep(seconds)
        child.kill()
    assert installation.run("ratchet", "up", "--detach").returncode == 0
    test_the_first_model_is_served(installation)
    assert installation.run("ratchet", "down").returncode == 0
    assert installation.left() == []


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_foreground_up_stops_everything_when_told_to_end(
    installation: Installation, number: signal.Signals
) -> None:
    with installation.start("ratchet", "up") as child:
        assert child.stdout is not None
        while "Ctrl-C stops everything" not in child.stdout.readline():
            assert child.poll() is None
        child.send_signal(number)
        child.communicate(timeout=60)
    assert child.returncode == 0
    assert installation.left() == []
