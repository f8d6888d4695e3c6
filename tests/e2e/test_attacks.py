"""Files changed and production deleted behind a running stack's back: answers stay, nothing is promoted."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient

from configs.settings import Settings
from flows.servers.environment import child_environment
from models.production.registry import Registry
from models.versions.artifact import file_digest
from store.database.connection import connect, database_url
from tests.conftest import DRAW_SECRET
from tests.e2e.apples import CONFIG, TURNED, USE_CASE, write_apples
from tests.e2e.stacks import PATIENCE, running_stack
from tests.e2e.test_turn import ratchet, wait_for_version
from tests.flows.retrain.turns import flip_byte, replace_consistently

pytestmark = pytest.mark.timeout(500)
RECORDS = [{"weight": number / 20, "colour": "red"} for number in range(20)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs")


@pytest.fixture(scope="module")
def stack(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Version 2 serves, which beat version 1; whatever labels say later, it is not taken back by itself."""
    watched = f"{CONFIG}probation: {{action: tell}}\n"
    (folder / f"{USE_CASE}.yaml").write_text(watched, encoding="utf-8")
    with running_stack(tmp_path_factory.mktemp("home"), configs=folder, use_cases=(USE_CASE,)) as settings:
        # So that each run holds the same rows out: of a mixed world, it is chance whether one beats a guess.
        with connect(database_url(settings), autocommit=True) as conn:
            conn.execute("UPDATE draw_secret SET secret = %s", (DRAW_SECRET,))
        for number, rows, edge in ((1, 600, 0.5), (2, TURNED, 0.3)):
            data = write_apples(folder / f"{number}.csv", rows, edge=edge)
            ratchet(settings, "ingest", USE_CASE, str(data))
            assert ratchet(settings, "retrain", USE_CASE)["outcome"] == "promoted"
            wait_for_version(base(settings), number)
        yield settings


def base(settings: Settings) -> str:
    return f"{settings.service_url}/v1/{USE_CASE}"


def answers(settings: Settings) -> Any:
    return [
        one["scores"]
        for one in httpx.post(f"{base(settings)}/predict", json={"records": RECORDS}).json()["predictions"]
    ]


def health(settings: Settings) -> Any:
    return httpx.get(f"{settings.service_url}/health").json()


def kept(settings: Settings, version: int) -> Path:
    return settings.home / "cache" / "models" / USE_CASE / str(version)


def stored(settings: Settings, version: int) -> Path:
    digest = file_digest(kept(settings, version) / "manifest.json")
    (found,) = (
        path.parent
        for path in (settings.home / "mlflow").rglob("data/ratchet/manifest.json")
        if file_digest(path) == digest
    )
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


def refused(settings: Settings, *words: str) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ratchet")), *words],
        env=child_environment(settings, "test"), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    return done.stderr


@pytest.mark.slow
def test_a_flipped_byte_here_is_healed_and_one_in_the_store_is_refused(
    stack: Settings, folder: Path, tmp_path: Path
) -> None:
    before = answers(stack)
    flip_byte(kept(stack, 2) / "model.onnx")
    inverted = write_inverted(folder / "inverted.csv")
    ratchet(stack, "ingest", USE_CASE, str(inverted))
    healed = ratchet(stack, "retrain", USE_CASE)
    assert healed["outcome"] in ("rejected", "too_little_evidence")
    assert healed["production_scores"] is not None

    place, good = stored(stack, 2), shutil.copytree(stored(stack, 2), tmp_path / "good")
    flip_byte(place / "model.onnx")
    shutil.rmtree(kept(stack, 2))
    assert f"version 2 of '{USE_CASE}' is refused" in refused(stack, "evaluate", USE_CASE)
    wait_until(lambda: "2" in health(stack)["use_cases"][USE_CASE]["refused"])
    assert health(stack)["status"] == "degraded"
    assert answers(stack) == before
    failed = ratchet(stack, "retrain", USE_CASE)
    assert failed["decisions"][failed["challenger"]]["outcome"] in ("below_majority", "majority_not_proven")
    assert (failed["outcome"] != "promoted", failed["production_scores"]) == (True, None)

    replace_consistently(place, good)
    assert ratchet(stack, "evaluate", USE_CASE)["version"] == 2
    wait_until(lambda: health(stack)["use_cases"][USE_CASE]["refused"] == {})
    assert answers(stack) == before


def write_inverted(path: Path) -> Path:
    """Labels of a world turned round."""
    head, *lines = write_apples(path, 100, edge=0.3, seed=4).read_text(encoding="utf-8").splitlines()
    turned = [line.replace("good", "?").replace("poor", "good").replace("?", "poor") for line in lines]
    path.write_text("\n".join([head, *turned]) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_deleted_production_is_no_first_model(stack: Settings) -> None:
    before, serving = answers(stack), Registry(stack.mlflow_uri).alias_version(USE_CASE, "production")
    MlflowClient(stack.mlflow_uri, stack.mlflow_uri).delete_registered_model_alias(USE_CASE, "production")
    wait_until(lambda: "problem" in health(stack)["use_cases"][USE_CASE])
    assert ratchet(stack, "up", "--detach")["started"] == []
    status = ratchet(stack, "status", exit_code=1)["use_cases"][0]
    assert (status["production"], "ratchet rollback" in status["problem"]) == (serving, True)
    turn = ratchet(stack, "retrain", USE_CASE)
    assert turn["outcome"] in ("rejected", "too_little_evidence")
    assert turn["production_scores"] is not None
    assert Registry(stack.mlflow_uri).alias_version(USE_CASE, "production") is None
    assert answers(stack) == before
    ratchet(stack, "rollback", USE_CASE, "--to", str(serving))
    wait_until(lambda: "problem" not in health(stack)["use_cases"][USE_CASE])
    assert ratchet(stack, "ledger", USE_CASE)[0]["event"] == "rolled_back"
    assert answers(stack) == before
