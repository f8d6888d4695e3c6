"""Classes of packages outside the checkout on real servers: a PyTorch estimator, served by a process that has
no PyTorch, and an encoder, which the server's environment has.

PyTorch is not among the packages of the tests: `RATCHET_TEST_TORCH` names a folder that holds it, as
`uv pip install --target FOLDER torch onnxscript` makes one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import yaml

from configs.settings import CHECKOUT, Settings, read_settings
from flows.servers.environment import child_environment
from flows.stack import state
from flows.stack.processes import environment_of
from models.production.registry import Registry
from models.versions.artifact import read_manifest
from tests.e2e.apples import CONFIG, TURNED, USE_CASE, write_apples
from tests.ports import free_port

pytestmark = pytest.mark.slow
EXAMPLES = CHECKOUT / "docs" / "examples"
TORCH = os.environ.get("RATCHET_TEST_TORCH", "")
NET = {"estimator": "own_torch.nets:TableNet", "params": {"epochs": 20, "learning_rate": 0.03}}
TONGUES = """
name: tongues
title: Tongues
kind: text
record: {fields: [{name: said, type: text}]}
target: {task: multiclass, column: tongue, classes: [north, south]}
features: {encoder: "own_encoder.letters:LetterPairs", params: {pairs: 60}}
model: {estimator: logistic}
gate: {metric: accuracy, min_rows: 50}
"""
LOOK = (
    "import importlib.util as u; print([n for n in ('torch', 'own_torch', 'own_encoder') if u.find_spec(n)])"
)


@pytest.fixture(scope="module")
def serving_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with what servers need, and with the package of the encoder: no PyTorch."""
    if not TORCH:
        pytest.skip("torch is not installed: RATCHET_TEST_TORCH names no folder that holds it")
    if importlib.util.find_spec("torch") is not None:
        pytest.skip("torch is installed among the packages of the tests: no server could be without it")
    folder = tmp_path_factory.mktemp("serving") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    there = [sysconfig.get_paths()["purelib"], str(EXAMPLES / "own_encoder")]
    (site / "there.pth").write_text("\n".join(there) + "\n", encoding="utf-8")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("configs")
    training = {"holdout": {"min_rows": 100}, "challengers": [{"name": "full"}], "baseline": "never"}
    for text, data, more in (
        (CONFIG, write_apples(made / "apples.csv", 600, edge=0.5), {"model": NET}),
        (TONGUES, write_tongues(made / "tongues.csv", 600), {}),
    ):
        config = yaml.safe_load(text) | more | {"training": training, "data": {"path": str(data)}}
        config["schedule"] = {"ingest": None, "drift": None, "retrain": None}
        (made / f"{config['name']}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def stack(serving_python: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = read_settings(
        {
            "RATCHET_HOME": str(tmp_path_factory.mktemp("home")),
            "RATCHET_PORT": str(free_port()),
            "RATCHET_MLFLOW_PORT": str(free_port()),
            "RATCHET_PREFECT_PORT": str(free_port()),
            "RATCHET_CONFIGS": str(folder),
            "RATCHET_USE_CASES": f"{USE_CASE},tongues",
            "RATCHET_SERVICE_PYTHON": str(serving_python),
        }
    )
    try:
        ratchet(settings, "up", "--detach")
        yield settings
    finally:
        ratchet(settings, "down")


def ratchet(settings: Settings, *words: str, path: bool = True, code: int = 0) -> Any:
    """A command, as somebody gives it whose shell has the packages in PYTHONPATH (or not)."""
    packages = [TORCH, *(str(EXAMPLES / name) for name in ("own_torch", "own_encoder"))] if path else []
    given = {
        name: value
        for name, value in child_environment(settings, "test").items()
        if not (settings.starts_mlflow and name == "MLFLOW_TRACKING_URI")
        and not (settings.starts_prefect and name == "PREFECT_API_URL")
    }
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *words, "--json"],
        env=given | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), *packages])},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == code, done.stderr[-4000:]
    return json.loads(done.stdout) if code == 0 else done.stderr


def write_tongues(path: Path, rows: int) -> Path:
    """Said in two tongues, of the same letters: which follow which differs."""
    random = np.random.default_rng(3)
    lines = ["said,tongue"]
    for row in range(rows):
        tongue, parts = (("north", ("ka", "to", "mi")), ("south", ("ak", "ot", "im")))[row % 2]
        words = ["".join(random.choice(parts, size=3)) for _ in range(5)]
        lines.append(f"{' '.join(words)},{tongue}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_check_estimator_is_green(stack: Settings) -> None:
    told = ratchet(stack, "check-estimator", "own_torch.nets:TableNet")
    assert told["kept"], [one for one in told["laws"] if one["state"] == "broken"]
    assert ratchet(stack, "check-encoder", "own_encoder.letters:LetterPairs")["kept"]


def test_a_turn_of_the_loop_served_without_torch(stack: Settings) -> None:
    base = f"{stack.service_url}/v1/{USE_CASE}"
    wait_until_served(base, 1)  # `ratchet up` has trained it
    send_labels(base)
    asked = httpx.post(f"{base}/retrain", timeout=30)
    assert asked.is_success, asked.text
    wait_until_served(base, 2)
    heavy = {"weight": 0.4, "colour": "red"}  # poor in the first world, good in the second
    answer = httpx.post(f"{base}/predict", json={"records": [heavy]}, timeout=30).raise_for_status().json()
    assert answer["predictions"][0]["label"] == "good"
    assert answer["model"]["version"] == 2

    running = state.running(stack.home)
    assert running_packages(running["worker"]) == "['torch', 'own_torch', 'own_encoder']"
    serving = [running["service"], *running["service"].children(recursive=True)]
    for process in serving:
        assert running_packages(process) == "['own_encoder']"
        assert not [one.path for one in process.memory_maps() if "torch" in one.path]
    for version in (1, 2):
        artifact = Registry(stack.mlflow_uri).download(USE_CASE, version, stack.home / f"copy-{version}")
        manifest = read_manifest(artifact)
        assert (manifest.estimator, manifest.runtime) == (NET["estimator"], "onnx")
        assert manifest.parity is not None
        print(version, manifest.parity)  # noqa: T201


def test_an_encoder_of_ones_own_is_served_where_its_package_is(stack: Settings) -> None:
    base = f"{stack.service_url}/v1/tongues"
    wait_until_served(base, 1)
    told = {"records": [{"said": "katomi tomika"}, {"said": "akotim otimak"}]}
    answered = httpx.post(f"{base}/predict", json=told, timeout=30).raise_for_status().json()
    assert [one["label"] for one in answered["predictions"]] == ["north", "south"]
    refused = httpx.post(f"{base}/predict", json={"records": [{"said": "ka to"}, {"said": "12?"}]})
    assert refused.status_code == 422
    assert "record 1: field 'said': got no letter" in refused.json()["error"]["message"]


def test_without_the_packages_nothing_is_begun(stack: Settings) -> None:
    """The command names the field at once, and what runs goes on."""
    for words in (("retrain", USE_CASE), ("reload",)):
        said = ratchet(stack, *words, path=False, code=2)
        assert f"use case '{USE_CASE}': model.estimator: 'own_torch.nets:TableNet' is not to be had" in said
        assert "package own_torch is not installed here" in said
    assert httpx.get(f"{stack.service_url}/v1/{USE_CASE}/model").json()["version"] == 2


def running_packages(process: psutil.Process) -> str:
    """Which of the packages a process could import: asked of its own Python, in its environment."""
    asked = subprocess.run(
        [process.cmdline()[0], "-c", LOOK],
        env=dict(environment_of(process)),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    return asked.stdout.strip()


def send_labels(base: str) -> None:
    """What came to light of a world that has turned."""
    random = np.random.default_rng(5)
    items = [
        {"record": {"weight": weight, "colour": "red"}, "label": "good" if weight > 0.3 else "poor"}
        for weight in np.round(random.uniform(0, 1, TURNED), 6).tolist()
    ]
    for start in range(0, len(items), 100):
        sent = httpx.post(f"{base}/feedback", json={"items": items[start : start + 100]}, timeout=30)
        assert sent.is_success, sent.text


def wait_until_served(base: str, version: int) -> None:
    until, told = time.monotonic() + 400, {}
    while time.monotonic() < until:
        told = httpx.get(f"{base}/model", timeout=10).json()
        if told.get("version") == version:
            return
        time.sleep(0.2)
    raise AssertionError(f"version {version} is not served: {told}")
