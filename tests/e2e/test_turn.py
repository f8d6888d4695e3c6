"""One whole turn of the loop on real servers, for a use case that is one YAML file and a CSV."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from mlflow import MlflowClient
from prefect.context import root_settings_context
from prefect.events.worker import EventsWorker
from typer.testing import CliRunner

from configs.security.home import HOME_ENTRIES
from configs.settings import Settings
from flows.cli import app
from flows.servers.environment import MARK_HOME, child_environment
from flows.servers.prefect_access import auth_headers
from flows.stack.processes import environment_of
from models.production.registry import Registry
from tests.conftest import keeping_environment
from tests.e2e.apples import CONFIG, TURNED, USE_CASE, write_apples
from tests.e2e.stacks import PATIENCE, running_stack
from tests.flows.scheduling.test_notify import Receiver, listening

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Whom the worker tells what happens."""
    with listening() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("APPLES_RECEIVER", f"127.0.0.1:{server.server_port}")
        yield server


@pytest.fixture(scope="module")
def stack(folder: Path, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    assert receiver.got == []
    told = CONFIG + 'notify: {urls: ["json://${APPLES_RECEIVER}/told"], events: [promoted, failed]}\n'
    (folder / f"{USE_CASE}.yaml").write_text(told, encoding="utf-8")
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o755)  # as earlier releases made it
    with running_stack(home, configs=folder, use_cases=(USE_CASE,)) as settings:
        yield settings
    assert processes_of(home) == []


def processes_of(home: Path) -> list[str]:
    """Command lines of all processes that belong to a home."""
    found = []
    for process in psutil.process_iter():
        try:
            if environment_of(process).get(MARK_HOME) == str(home) and process.pid != os.getpid():
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def ratchet(settings: Settings, *words: str, exit_code: int = 0) -> Any:
    """Run a command with --json in this process, which has loaded its libraries; gives what it printed.

    Prefect reads its settings once in a process, and goes on sending to the server of its first command;
    here other stacks may have been before this one.
    """
    mask = os.umask(0o022)
    try:
        with keeping_environment():
            os.environ.update(child_environment(settings, "test"))
            with root_settings_context():
                done = CliRunner().invoke(app, [*words, "--json"])
                sent = EventsWorker.drain_all(timeout=60)  # all that Prefect sends in the background
                assert isinstance(sent, tuple), "asked in an event loop"
                assert not sent[1], "Prefect's events and logs do not reach its server"
    finally:
        os.umask(mask)
    assert done.exit_code == exit_code, done.output
    return json.loads(done.stdout)


def start_ratchet(settings: Settings, *words: str) -> Any:
    """The same as a process of its own, for what Prefect and the umask of a process have to do with."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ratchet")), *words, "--json"],
        env=child_environment(settings, "test"),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        umask=0o022,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_deployment(settings: Settings, name: str) -> str:
    """Start a deployment as the Prefect UI does, wait for its end, and return the state's name."""
    with httpx.Client(base_url=settings.prefect_url, headers=auth_headers(settings), timeout=30) as prefect:
        deployment = prefect.get(f"/deployments/name/{name}").raise_for_status().json()
        started = prefect.post(f"/deployments/{deployment['id']}/create_flow_run", json={}).raise_for_status()
        address = f"/flow_runs/{started.json()['id']}"
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            state = prefect.get(address).raise_for_status().json()["state"]
            if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return str(state["name"])
            time.sleep(0.3)
    raise AssertionError(f"{name} did not end in time")


class Traffic(threading.Thread):
    """Requests without pause; keeps what was answered, by whom, and what failed."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.versions: list[int] = []
        self.failures: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self.over.wait(0.01):
                answer = client.post(self.url, json={"records": [{"weight": 0.4, "colour": "red"}]})
                if answer.is_success:
                    self.versions.append(answer.json()["model"]["version"])
                else:
                    self.failures.append(answer.text)


def test_a_turn_of_the_loop(stack: Settings, folder: Path, receiver: Receiver) -> None:
    base = f"{stack.service_url}/v1/{USE_CASE}"
    untrained = httpx.post(f"{base}/predict", json={"records": [{"weight": 0.4, "colour": "red"}]})
    assert untrained.status_code == 503
    assert untrained.json()["error"]["code"] == "untrained"

    first = ratchet(stack, "ingest", USE_CASE, str(write_apples(folder / "first.csv", 600, edge=0.5, bad=3)))
    assert (first["new"], first["quarantined"]) == (600, 3)
    again = ratchet(stack, "ingest", USE_CASE, str(folder / "first.csv"))
    assert (again["new"], again["newly_quarantined"]) == (0, 0)
    assert start_ratchet(stack, "retrain", USE_CASE)["outcome"] == "promoted"

    registry = Registry(stack.mlflow_uri)
    wait_for_version(base, 1)
    traffic = Traffic(f"{base}/predict")
    traffic.start()
    try:
        send_feedback(base)
        ratchet(stack, "ingest", USE_CASE, str(write_apples(folder / "second.csv", TURNED, edge=0.3)))
        assert run_deployment(stack, f"retrain/{USE_CASE}-retrain") == "Completed"
        assert registry.aliases(USE_CASE) == {
            "original": 1,
            "previous": 1,
            "production": 2,
            "challenger": 2,
        }
        wait_for_version(base, 2)
    finally:
        traffic.over.set()
        traffic.join(timeout=20)
    assert traffic.failures == []
    assert sorted(traffic.versions) == traffic.versions
    assert set(traffic.versions) == {1, 2}

    events = [entry["event"] for entry in ratchet(stack, "ledger", USE_CASE)]
    assert events == ["promoted", "intent", "registered"] * 2
    assert ratchet(stack, "evaluate", USE_CASE)["version"] == 2
    answers = str(folder / "answers.parquet")
    report = ratchet(stack, "predict", USE_CASE, str(folder / "second.csv"), "--output", answers)
    assert (report["version"], report["rows"], report["answered"]) == (2, TURNED, TURNED)
    trace_back(base)
    compare_runs(stack)
    watch(stack, base)
    read_inbox(stack)
    keep_to_its_owner(stack, folder)
    until = time.monotonic() + PATIENCE
    while len(receiver.got) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    assert receiver.titles() == ["apples: version 1 is production", "apples: version 2 is production"]


def trace_back(base: str) -> None:
    """A prediction that was asked for and answered later, followed to the data behind it."""
    submitted = httpx.post(f"{base}/predictions", json={"records": [{"weight": 0.41, "colour": "green"}]})
    place = httpx.URL(base).join(submitted.headers["location"])
    until = time.monotonic() + PATIENCE
    while (answer := httpx.get(place)).status_code == 202 and time.monotonic() < until:
        time.sleep(0.05)
    prediction = answer.json()["predictions"][0]
    trace = httpx.get(httpx.URL(base).join(f"/v1/trace/{prediction['id']}")).json()
    assert trace["prediction"]["label"] == prediction["label"]
    assert (trace["model"]["version"], trace["model"]["lineage"]["parent"]) == (2, "1")
    assert trace["snapshot"]["digest"] == trace["model"]["lineage"]["snapshot"]
    assert (trace["run"]["status"], trace["verdict"]["event"]) == ("succeeded", "promoted")
    assert trace["verdict"]["evidence"]["outcome"]


def watch(stack: Settings, base: str) -> None:
    """Quality, versions, past retrains, and a drift check whose page is read through the service."""
    quality = httpx.get(f"{base}/quality").json()
    assert quality["total"]["labelled"] == 1
    assert [move["to"] for move in quality["promotions"]] == [1, 2]
    newest, oldest = httpx.get(f"{base}/versions").json()["versions"]
    assert (newest["version"], newest["verdict"], newest["parent"]) == (2, "promote", 1)
    assert newest["metrics"]["accuracy"] > 0.5
    assert oldest["aliases"] == ["original", "previous"]
    assert newest["links"]["mlflow_compare"] is None, "it is production itself"
    for address in (*oldest["links"].values(), newest["links"]["prefect_run"]):
        where = address.partition("#")[0]
        page = httpx.get(where, headers={"Accept": "text/html"}, follow_redirects=True)
        assert page.status_code == 200, address
    runs = httpx.get(f"{base}/retrain/history").json()["runs"]
    assert [(run["outcome"], run["version"]) for run in runs] == [("promoted", 2), ("promoted", 1)]
    flow_run = runs[0]["links"]["prefect_run"].rpartition("/")[2]
    found = httpx.get(f"{stack.prefect_url}/flow_runs/{flow_run}", headers=auth_headers(stack)).json()
    assert found["name"].startswith("retrain-apples")
    status = httpx.get(f"{base}/retrain/status").json()
    assert status["quality"]["at_promotion"] == round(newest["metrics"]["accuracy"], 4)
    many = [{"weight": number / 400, "colour": "red"} for number in range(400)]
    assert httpx.post(f"{base}/predict", json={"records": many}).status_code == 200
    assert run_deployment(stack, f"drift/{USE_CASE}-drift") == "Completed"
    check = httpx.get(f"{base}/drift").json()["checks"][0]
    assert check["page"], check
    page = httpx.get(f"{base}/drift/report")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.text.rstrip().endswith("</html>")


def read_inbox(stack: Settings) -> None:
    """A file that can be read and one that cannot, as anybody may have put them there."""
    inbox = stack.home / "inbox" / USE_CASE
    inbox.mkdir(parents=True, exist_ok=True)
    write_apples(inbox / "third.csv", 30, edge=0.3)
    (inbox / "broken.parquet").write_text("no parquet")
    for path in inbox.iterdir():
        path.chmod(0o644)
    assert run_deployment(stack, f"ingest/{USE_CASE}-ingest") == "Completed"
    assert [path.name for path in (inbox / "done").iterdir()] == ["third.csv"]
    assert (inbox / "refused" / "broken.parquet").is_file()


def keep_to_its_owner(stack: Settings, folder: Path) -> None:
    """Only its owner may read what is in the home, whoever wrote it; others what was asked for elsewhere."""
    made = {path.name for path in stack.home.iterdir()}
    assert (
        {"mlflow", "prefect", "postgres", "history", "logs", "cache", "stack.json"}
        <= made
        <= set(HOME_ENTRIES)
    )
    open_to_others = [
        (str(path.relative_to(stack.home)), oct(path.lstat().st_mode))
        for path in (stack.home, *stack.home.rglob("*"))
        if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]
    assert open_to_others == []
    exported = folder / "model"
    start_ratchet(stack, "export", USE_CASE, str(exported))
    modes = {path.stat().st_mode & 0o777 for path in exported.rglob("*") if path.is_file()}
    assert modes == {0o644}


def wait_for_version(base: str, version: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if httpx.get(f"{base}/model").json().get("version") == version:
            return
        time.sleep(0.05)
    raise AssertionError(f"version {version} is not served")


def send_feedback(base: str) -> None:
    """A label by prediction id, the same again, and one with its record."""
    record = {"weight": 0.41, "colour": "green"}
    known = httpx.post(f"{base}/predict", json={"records": [record]}).json()["predictions"][0]["id"]
    items = [
        {"prediction_id": known, "label": "good"},
        {"record": {**record, "weight": 0.1}, "label": "poor"},
    ]
    first = httpx.post(f"{base}/feedback", json={"items": items}, headers={"Idempotency-Key": "one"}).json()
    again = httpx.post(f"{base}/feedback", json={"items": items}, headers={"Idempotency-Key": "one"}).json()
    twice = httpx.post(f"{base}/feedback", json={"items": items}).json()
    assert (first["accepted"], first["rejected"]) == (2, [])
    assert again == first
    assert (twice["accepted"], twice["duplicates"]) == (0, 2)


def compare_runs(stack: Settings) -> None:
    """Both runs stand in one experiment, with the same metrics, data and lineage."""
    client = MlflowClient(stack.mlflow_uri)
    experiment = client.get_experiment_by_name(USE_CASE)
    assert experiment is not None
    newest, *first = client.search_runs([experiment.experiment_id])
    oldest, plain = sorted(first, key=lambda run: run.info.run_name == "plain")
    assert oldest.data.metrics["plain_accuracy"] == plain.data.metrics["accuracy"]
    assert (plain.data.tags["ratchet.verdict"], plain.data.tags["ratchet.outcome"]) == (
        "reject",
        "plain_not_better",
    )
    common = {"accuracy", "f1_macro", "roc_auc", "log_loss", "train_rows", "judged_rows", "train_seconds"}
    assert common <= newest.data.metrics.keys() & oldest.data.metrics.keys()
    assert {"production_accuracy", "gain", "gain_low", "gain_high"} <= newest.data.metrics.keys()
    assert newest.data.tags["ratchet.verdict"] == "promote"
    assert newest.data.tags["ratchet.parent"] == "1"
    assert newest.inputs is not None
    (data,) = newest.inputs.dataset_inputs
    assert newest.data.tags["ratchet.snapshot"].startswith(data.dataset.digest)
    names = {item.path for item in client.list_artifacts(newest.info.run_id)}
    assert {"confusion_matrix.json", "confusion_matrix.png", "gate.json"} <= names
