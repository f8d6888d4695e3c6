"""A key that sends flipped labels for a fifth of the rows, on a running stack: held back, and told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from configs.api_keys import add_key
from configs.settings import Settings
from tests.e2e.apples import CONFIG, USE_CASE, write_apples
from tests.e2e.stacks import PATIENCE, running_stack
from tests.e2e.test_turn import ratchet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def tokens(home: Path) -> dict[str, str]:
    return {name: add_key(home / "keys.yaml", name, ["admin"]) for name in ("shop", "mallory")}


@pytest.fixture(scope="module")
def stack(home: Path, tokens: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Version 1 serves: apples above 0.5 are good."""
    assert tokens
    folder = tmp_path_factory.mktemp("configs")
    (folder / f"{USE_CASE}.yaml").write_text(CONFIG, encoding="utf-8")
    with running_stack(home, configs=folder, use_cases=(USE_CASE,)) as settings:
        ratchet(settings, "ingest", USE_CASE, str(write_apples(folder / "1.csv", 600, edge=0.5)))
        assert ratchet(settings, "retrain", USE_CASE)["outcome"] == "promoted"
        yield settings


def post(settings: Settings, token: str, route: str, body: Any) -> Any:
    url = f"{settings.service_url}/v1/{USE_CASE}/{route}"
    response = httpx.post(url, json=body, headers={"x-api-key": token}, timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


def sources_of(settings: Settings, token: str) -> dict[str, Any]:
    url = f"{settings.service_url}/v1/{USE_CASE}/retrain/status"
    sources = httpx.get(url, headers={"x-api-key": token}, timeout=60).json()["sources"]["sources"]
    return {one["name"]: one for one in sources}


def wait_until_held(settings: Settings, token: str, name: str) -> None:
    """The worker counts sources when labels have come."""
    until = time.monotonic() + PATIENCE
    while not sources_of(settings, token).get(name, {}).get("held"):
        assert time.monotonic() < until, "it is not held back"
        time.sleep(0.2)


def test_flipped_labels_by_request_and_by_file_lead_nobody(
    stack: Settings, tokens: dict[str, str], tmp_path: Path
) -> None:
    weights = [round(float(one), 6) for one in np.random.default_rng(5).uniform(0, 1, 600)]
    for start in range(0, 600, 60):
        some = weights[start : start + 60]
        records = [{"weight": weight, "colour": "red"} for weight in some]
        answers = post(stack, tokens["shop"], "predict", {"records": records})["predictions"]
        honest = [
            {"prediction_id": one["id"], "label": "good" if weight > 0.5 else "poor"}
            for one, weight in zip(answers, some, strict=True)
        ]
        flipped = [
            {"prediction_id": one["id"], "label": "good"}
            for one, weight in zip(answers, some, strict=True)
            if 0.3 < weight <= 0.5
        ]
        post(stack, tokens["mallory"], "feedback", {"items": flipped})  # before the others
        post(stack, tokens["shop"], "feedback", {"items": honest})
        post(stack, tokens["mallory"], "feedback", {"items": flipped})
    wait_until_held(stack, tokens["shop"], "mallory")
    lies = tmp_path / "lies.csv"
    rows = [f"{weight},red,good" for weight in weights if 0.3 < weight <= 0.5]
    lies.write_text("\n".join(["weight,colour,grade", *rows]) + "\n", encoding="utf-8")
    ratchet(stack, "ingest", USE_CASE, str(lies))
    result = ratchet(stack, "retrain", USE_CASE)
    assert result["outcome"] != "promoted"
    told = sources_of(stack, tokens["shop"])
    assert {name for name, one in told.items() if one["held"]} == {"mallory", "file"}
    assert any("source 'mallory'" in warning for warning in result["warnings"])
    (one,) = ratchet(stack, "status")["use_cases"]
    assert one["sources"]["sources"] == list(told.values())
    listed = ratchet(stack, "sources", "list", USE_CASE)["sources"]
    assert listed == list(told.values())
