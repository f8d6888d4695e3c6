"""A shadow version on a whole stack: asked, given up when it hangs, resumed after kills, moved, pruned."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from mlflow import MlflowClient

from benchmarks.harness.spoiling import Fault, spoil
from configs.settings import Settings
from flows.mirroring.following import MODULE
from flows.stack.starting import bring_up
from store.database.connection import connect, database_url
from tests.e2e.apples import CONFIG, USE_CASE, write_apples
from tests.e2e.stacks import PATIENCE, running_stack
from tests.e2e.test_turn import ratchet, wait_for_version

pytestmark = pytest.mark.slow
SHADOW = "serving: {shadow: challenger}\nprobation: {labels: 0}\n"
MARKED = 1.4
"""A weight at which a spoilt version shows its fault: three deviations above the mean, once encoded."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs")


@pytest.fixture(scope="module")
def stack(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    (folder / f"{USE_CASE}.yaml").write_text(CONFIG + SHADOW, encoding="utf-8")
    with running_stack(tmp_path_factory.mktemp("home"), configs=folder, use_cases=(USE_CASE,)) as settings:
        yield settings
    assert processes(settings) == []


def processes(stack: Settings) -> list[psutil.Process]:
    """Those that ask shadow versions of this stack."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("RATCHET_HOME") == str(stack.home)
            if mine and MODULE in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def told(stack: Settings) -> dict[str, Any]:
    """The part of the status that tells of the shadow."""
    shadow: dict[str, Any] = httpx.get(f"{base(stack)}/retrain/status").json()["shadow"]
    return shadow


def base(stack: Settings) -> str:
    return f"{stack.service_url}/v1/{USE_CASE}"


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.2)


def predict(stack: Settings, weights: list[float]) -> list[str]:
    """Ids of predictions."""
    records = [{"weight": weight, "colour": "red"} for weight in weights]
    answer = httpx.post(f"{base(stack)}/predict", json={"records": records}).raise_for_status().json()
    return [one["id"] for one in answer["predictions"]]


def add_version(stack: Settings, fault: Fault | None) -> int:
    """Another version like the first, or with a fault, named challenger."""
    client = MlflowClient(stack.mlflow_uri, stack.mlflow_uri)
    source = client.get_model_version(USE_CASE, "1").source
    assert source is not None
    made = client.create_model_version(USE_CASE, source, model_id=source.removeprefix("models:/"))
    kept = stack.home / "cache" / "models" / USE_CASE
    if fault is None:
        shutil.copytree(kept / "1", kept / str(made.version))
    else:
        spoil(kept / "1", kept / str(made.version), fault, beyond=2.3)
    client.set_registered_model_alias(USE_CASE, "challenger", str(made.version))
    return int(made.version)


def answers(stack: Settings, version: int) -> dict[str, str | None]:
    """Id to label of all answers of a version."""
    with connect(database_url(stack)) as conn:
        rows = conn.execute(
            "SELECT prediction_id, label FROM shadow_answer WHERE version = %s", (version,)
        ).fetchall()
    return dict(rows)


def test_a_shadow_from_its_first_answer_to_its_last(stack: Settings, folder: Path) -> None:
    ratchet(stack, "ingest", USE_CASE, str(write_apples(folder / "first.csv", 600, edge=0.5)))
    assert ratchet(stack, "retrain", USE_CASE)["outcome"] == "promoted"
    wait_for_version(base(stack), 1)
    wait_for(lambda: told(stack)["state"] == "serves", "the challenger is production")
    assert processes(stack) == []

    whole = add_version(stack, None)
    wait_for(
        lambda: told(stack)["version"] == whole and told(stack)["alone_ms"] is not None, "it is not loaded"
    )
    first = predict(stack, [0.9, 0.1, 0.8])
    wait_for(lambda: told(stack)["answered"] == 3, "it is not asked")
    assert (told(stack)["differing"], told(stack)["failed"], told(stack)["share_differing"]) == (0, 0, 0.0)
    items = [{"prediction_id": first[0], "label": "good"}, {"prediction_id": first[1], "label": "good"}]
    httpx.post(f"{base(stack)}/feedback", json={"items": items}).raise_for_status()
    right = told(stack)["right"]
    assert (right["labelled"], right["served_right"], right["shadow_right"]) == (2, 1, 1)

    process = processes(stack)[0]
    worker = process.parent()
    assert worker is not None
    process.kill()
    second = predict(stack, [0.7] * 20)
    wait_for(lambda: told(stack)["answered"] == 23, "it does not go on after a kill")
    os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: all(one.ppid() != worker.pid for one in processes(stack)), "it outlives the worker")
    bring_up(stack, lambda _server, _what: None)
    third = predict(stack, [0.2] * 20)
    wait_for(lambda: told(stack)["answered"] == 43, "it does not go on with the next worker")
    assert set(answers(stack, whole)) == {*first, *second, *third}

    breaking = add_version(stack, "breaks")
    wait_for(lambda: told(stack)["version"] == breaking and told(stack)["alone_ms"] is not None, "not loaded")
    predict(stack, [0.9, MARKED])
    wait_for(lambda: told(stack)["failed"] == 1, "its failure is not counted")
    assert told(stack)["answered"] == 2

    hanging = add_version(stack, "hangs")
    wait_for(lambda: told(stack)["version"] == hanging and told(stack)["alone_ms"] is not None, "not loaded")
    predict(stack, [MARKED])
    wait_for(lambda: told(stack)["state"] == "hangs", "it is not given up")
    wait_for(lambda: processes(stack) == [], "it goes on")
    assert told(stack)["given_up"]
    assert "ratchet shadow" in ratchet(stack, "shadow", USE_CASE)["sentence"]
    assert ratchet(stack, "shadow", USE_CASE, "--again")["state"] == "asked"
    wait_for(lambda: len(processes(stack)) == 1, "it is not tried again")

    with connect(database_url(stack)) as conn:
        for table in ("prediction", "shadow_answer"):
            conn.execute(f"UPDATE {table} SET predicted_at = predicted_at - interval '100 days'")
        conn.commit()
    removed = {one["what"]: one["count"] for one in ratchet(stack, "prune", USE_CASE)[USE_CASE]}
    assert removed["answers of shadow versions"] == 43 + 2 - 2, "those of labelled predictions stay"
    assert set(answers(stack, whole)) == set(first[:2])
