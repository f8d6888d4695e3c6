"""Classifiers by their import paths on real servers: gated, served, swapped, there after a restart, and for
strangers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml

from configs.settings import CHECKOUT, Settings
from features.records.contract import RecordContract
from flows.stack.starting import bring_up
from flows.stack.stopping import bring_down
from models.production.registry import Registry
from models.pyfunc import example_frame
from models.versions.members import load_native
from models.versions.predictor import Predictor
from tests.e2e.apples import CONFIG, TURNED, write_apples
from tests.e2e.stacks import PATIENCE, running_stack
from tests.e2e.test_turn import ratchet
from tests.models.estimators.scikit.rows import FIVE
from tests.models.test_pyfunc import STRANGER

pytestmark = pytest.mark.slow
NATIVE = 1e-5
"""Most that any way to an answer may differ from the model itself."""
SHOWN = 6e-5
"""The same over HTTP, where scores have four places."""
RECORDS = [
    {"weight": round(weight, 3), "colour": colour}
    for weight in np.linspace(0.02, 0.98, 25).tolist()
    for colour in ("red", "green")
]
NAMES = {name: f"apples_{name}" for name in FIVE}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("lightgbm", "xgboost"):
        pytest.importorskip(package)
    made = tmp_path_factory.mktemp("configs")
    data = write_apples(made / "first.csv", 600, edge=0.5)
    for name, use_case in NAMES.items():
        config: dict[str, Any] = yaml.safe_load(CONFIG)
        config |= {
            "name": use_case,
            "model": {"estimator": "sklearn", "params": deepcopy(FIVE[name])},
            "training": {
                "holdout": {"min_rows": 100},
                "challengers": [{"name": "full"}],
                "baseline": "never",
            },
            "data": {"path": str(data)},
        }
        if name == "three_steps":  # two encoded columns of colours and one of weights
            config["model"]["params"]["steps"][1]["n_components"] = 2
        (made / f"{use_case}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def stack(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    names = tuple(NAMES.values())
    with running_stack(tmp_path_factory.mktemp("home"), configs=folder, use_cases=names) as settings:
        yield settings


@pytest.mark.parametrize("use_case", NAMES.values())
def test_each_is_gated_served_swapped_and_there_for_strangers(
    use_case: str, stack: Settings, folder: Path, tmp_path: Path
) -> None:
    registry = Registry(stack.mlflow_uri)
    assert ratchet(stack, "retrain", use_case)["outcome"] == "promoted"
    wait_until_served(stack, use_case, 1)
    compare(stack, registry, use_case, 1, tmp_path)
    ratchet(stack, "ingest", use_case, str(write_apples(folder / "second.csv", TURNED, edge=0.3)))
    assert ratchet(stack, "retrain", use_case)["outcome"] == "promoted"
    wait_until_served(stack, use_case, 2)
    compare(stack, registry, use_case, 2, tmp_path)
    ask_as_a_stranger(stack, registry, use_case, tmp_path)


def test_all_are_there_after_a_restart(stack: Settings) -> None:
    before = {use_case: answers_of(stack, use_case) for use_case in NAMES.values()}
    bring_down(stack, lambda _server, _what: None)
    bring_up(stack, lambda _server, _what: None)
    for use_case, answers in before.items():
        wait_until_served(stack, use_case, 2)
        np.testing.assert_array_equal(answers_of(stack, use_case), answers)


def wait_until_served(stack: Settings, use_case: str, version: int) -> None:
    """Wait for a worker that may have to import scikit-learn first."""
    until, told = time.monotonic() + PATIENCE, {}
    while time.monotonic() < until:
        told = httpx.get(f"{stack.service_url}/v1/{use_case}/model").json()
        if told.get("version") == version:
            return
        time.sleep(0.2)
    raise AssertionError(f"version {version} is not served: {told}")


def answers_of(stack: Settings, use_case: str) -> np.ndarray:
    """What the service says of the records, shape (n, classes)."""
    answered = httpx.post(f"{stack.service_url}/v1/{use_case}/predict", json={"records": RECORDS}, timeout=30)
    predictions = answered.raise_for_status().json()["predictions"]
    return np.array([[one["scores"][name] for name in ("good", "poor")] for one in predictions])


def compare(stack: Settings, registry: Registry, use_case: str, version: int, folder: Path) -> None:
    """The served version, and what the service says, beside the model itself."""
    artifact = registry.download(use_case, version, folder / f"{use_case}-{version}")
    served = Predictor.load(artifact)
    assert served.manifest.estimator == "sklearn"
    columns = served.contract.check_records(RECORDS).all_or_raise()
    native = load_native(artifact, served.manifest).predict_proba(served.encode(columns))
    difference = np.abs(served.predict(columns).probabilities - native).max()
    assert difference <= NATIVE
    np.testing.assert_allclose(answers_of(stack, use_case), native, atol=SHOWN)
    print(f"{use_case} {version}: {served.manifest.runtime}, largest difference {difference:.2g}")  # noqa: T201


def ask_as_a_stranger(stack: Settings, registry: Registry, use_case: str, folder: Path) -> None:
    """Plain mlflow.pyfunc, in a process that has nothing of ours."""
    artifact = registry.download(use_case, 2, folder / f"{use_case}-2")
    served = Predictor.load(artifact)
    contract: RecordContract = served.contract
    columns = contract.check_records(RECORDS).all_or_raise()
    frame: pd.DataFrame = example_frame(contract.to_json(columns), contract)
    rows = folder / f"{use_case}.csv"
    frame.to_csv(rows, index=False)
    uri = f"models:/{use_case}/2"
    shown = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, str(CHECKOUT), stack.mlflow_uri, uri, str(rows)],
        cwd=folder, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr[-3000:]
    told = json.loads(shown.stdout.splitlines()[-1])
    native = load_native(artifact, served.manifest).predict_proba(served.encode(columns))
    np.testing.assert_allclose(told["scores"], native, atol=NATIVE)
    assert ("sklearn" in told["heavy"]) == (served.manifest.runtime == "native")
