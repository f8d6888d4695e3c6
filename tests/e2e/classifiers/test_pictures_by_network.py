"""Pictures by what the network of a package sees in them, on real servers: up, asked, retrained, loaded
by strangers.

The pictures are parts of the two photographs that scikit-learn carries.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from configs.pretrained.picture_models import PICTURE_MODELS
from configs.settings import CHECKOUT, Settings, read_settings
from features.encoders.backbone import BACKBONE
from models.production.registry import Registry
from models.versions.predictor import Predictor
from tests.e2e.classifiers.test_any_classifier import NATIVE, SHOWN, wait_until_served
from tests.e2e.test_older_home import ratchet
from tests.models.test_pyfunc import STRANGER
from tests.ports import free_port

LITE = PICTURE_MODELS["efficientnet_lite0"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec(LITE.package) is None, reason=f"{LITE.package} is not installed: {LITE.install}"
    ),
]
USE_CASE = "photographs"
Command = Callable[..., Any]
NAMES = ("china", "flower")
CONFIG = f"""
name: {USE_CASE}
title: Which photograph this is a part of
kind: image
record: {{fields: [{{name: photo, column: file, type: image, shape: [32, 32, 3], resize: crop}}]}}
target: {{task: multiclass, column: label, classes: [china, flower]}}
features: {{image: {{backbone: {{model: efficientnet_lite0}}}}}}
model: {{estimator: logistic}}
training: {{holdout: {{min_rows: 60}}, challengers: [{{name: newest, window: 600}}], baseline: never}}
gate: {{metric: accuracy, min_rows: 50}}
schedule: {{ingest: null, drift: null, retrain: null}}
"""
"""Learns from the newest rows, which are of one world: of a mixture what is right is a matter of chance."""


def write_parts(folder: Path, file: str, rows: int, *, turned: bool = False, seed: int = 1) -> Path:
    """Parts of photographs and the CSV that names them; in a turned world each has the name of the other."""
    from sklearn.datasets import load_sample_image

    random, lines = np.random.default_rng(seed), ["file,label"]
    photographs = [Image.fromarray(load_sample_image(f"{name}.jpg")) for name in NAMES]
    for row in range(rows):
        shown = row % 2
        left, top, side = (int(random.integers(*bounds)) for bounds in ((0, 560), (0, 350), (40, 77)))
        path = f"{Path(file).stem}/{row}.{'jpg' if row % 4 < 2 else 'png'}"
        (folder / path).parent.mkdir(exist_ok=True)
        photographs[shown].crop((left, top, left + side, top + side)).save(folder / path)
        lines.append(f"{path},{NAMES[shown != turned]}")
    (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("configs")
    data = write_parts(made, "first.csv", 240)
    write_parts(made, "asked.csv", 40, seed=2)
    config = yaml.safe_load(CONFIG) | {"data": {"path": str(data)}}
    (made / f"{USE_CASE}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def environment(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a shell has that gives the commands, with a home and ports of its own."""
    tools = ("RATCHET", "PREFECT", "MLFLOW", "BENTOML")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(tools)},
        "RATCHET_HOME": str(tmp_path_factory.mktemp("home")),
        "RATCHET_CONFIGS": str(folder),
        "RATCHET_USE_CASES": USE_CASE,
        "RATCHET_PORT": str(free_port()),
        "RATCHET_MLFLOW_PORT": str(free_port()),
        "RATCHET_PREFECT_PORT": str(free_port()),
    }


@pytest.fixture(scope="module")
def command(environment: dict[str, str]) -> Command:
    """A command in a process of its own; gives what it printed."""
    return partial(ratchet, CHECKOUT, environment)


@pytest.fixture(scope="module")
def stack(environment: dict[str, str], command: Command) -> Iterator[Settings]:
    try:
        command("up", "--detach")
        yield read_settings(environment)
    finally:
        command("down")


def pictures(folder: Path) -> list[bytes]:
    """PNG and JPEG that nothing learns from, of both in turn."""
    table = pd.read_csv(folder / "asked.csv")
    return [(folder / path).read_bytes() for path in table["file"]]


def answers_of(stack: Settings, folder: Path) -> list[dict[str, Any]]:
    """Label and scores of each, as the service says."""
    records = [{"photo": base64.b64encode(file).decode()} for file in pictures(folder)]
    answered = httpx.post(f"{stack.service_url}/v1/{USE_CASE}/predict", json={"records": records}, timeout=60)
    predictions: list[dict[str, Any]] = answered.raise_for_status().json()["predictions"]
    return [{name: one[name] for name in ("label", "scores")} for one in predictions]


def right_of(answers: list[dict[str, Any]]) -> float:
    """Share that is named as in the world before it was turned."""
    return float(np.mean([one["label"] == NAMES[row % 2] for row, one in enumerate(answers)]))


def test_the_first_model_serves(stack: Settings, folder: Path) -> None:
    wait_until_served(stack, USE_CASE, 1)
    assert right_of(answers_of(stack, folder)) >= 0.85
    refused = httpx.post(
        f"{stack.service_url}/v1/{USE_CASE}/predict",
        json={"records": [{"photo": base64.b64encode(pictures(folder)[0][:200]).decode()}]},
    )
    assert refused.status_code == 422, refused.text


def test_a_retrain_in_a_turned_world_serves_and_can_be_gone_back_from(
    stack: Settings, command: Command, folder: Path
) -> None:
    before = answers_of(stack, folder)
    more = write_parts(folder, "second.csv", 720, turned=True, seed=3)
    command("ingest", USE_CASE, str(more))
    assert command("retrain", USE_CASE)["outcome"] == "promoted"
    wait_until_served(stack, USE_CASE, 2)
    assert right_of(answers_of(stack, folder)) <= 0.15
    command("rollback", USE_CASE)
    wait_until_served(stack, USE_CASE, 1)
    assert answers_of(stack, folder) == before
    command("reload")
    assert answers_of(stack, folder) == before


def test_a_stranger_is_answered_alike_by_plain_mlflow(stack: Settings, folder: Path, tmp_path: Path) -> None:
    """In a process of its own that has nothing of ours."""
    pd.DataFrame({"file": pictures(folder)}).to_parquet(tmp_path / "rows.parquet")
    shown = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER.replace("read_csv", "read_parquet"), str(CHECKOUT),
         stack.mlflow_uri, f"models:/{USE_CASE}/1", str(tmp_path / "rows.parquet")],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr[-3000:]
    told = json.loads(shown.stdout.splitlines()[-1])
    assert told["heavy"] == ["sklearn"]  # which is what serves `logistic`; the network asks for nothing
    artifact = Registry(stack.mlflow_uri).download(USE_CASE, 1, tmp_path / "version")
    served = Predictor.load(artifact)
    assert f"{BACKBONE}/model.onnx" in served.manifest.files
    records = [{"photo": base64.b64encode(file).decode()} for file in pictures(folder)]
    expected = served.predict(served.contract.check_records(records).all_or_raise()).probabilities
    np.testing.assert_allclose(told["scores"], expected, atol=NATIVE)
    over_http = [[one["scores"][name] for name in NAMES] for one in answers_of(stack, folder)]
    np.testing.assert_allclose(over_http, expected, atol=SHOWN)
