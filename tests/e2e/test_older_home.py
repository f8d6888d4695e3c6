"""A home made by an older commit with its own code and real servers opens, serves, retrains, goes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from configs.pretrained.text_models import TEXT_MODELS, TOKENIZERS, is_installed
from configs.settings import CHECKOUT, Settings, read_settings
from flows.servers.prefect_access import auth_headers
from tests.e2e.apples import CONFIG, TURNED, USE_CASE, write_apples
from tests.e2e.stacks import PATIENCE
from tests.ports import free_port

pytestmark = pytest.mark.slow
WITHOUT_DIGESTS = "8dc88b5b9ccdad1a2dd09c22e74fa6b4278a6a5f"
"""The last commit without digests in the ledger, and without a password for Prefect."""
WITHOUT_ROOMS = "ab077ce"
"""The last commit whose modules lay flat in their packages, as a version of it knows them."""
WITHOUT_MEANING = "08d3f8b4"
"""The last commit whose use case `intents` had the version before as its second link."""
RECORDS = [{"weight": number / 20, "colour": "red"} for number in range(20)]


LOADER = """
import json, sys
checkout, store, uri, records = sys.argv[1:]
if not checkout:  # whoever loads the model has not installed us
    sys.meta_path = [one for one in sys.meta_path if "editable" not in getattr(one, "__module__", "")]
    sys.path = [entry for entry in sys.path if entry]
import mlflow, pandas
mlflow.set_tracking_uri(store)
answers = mlflow.pyfunc.load_model(uri).predict(pandas.DataFrame(json.loads(records)))
import models.pyfunc
print(json.dumps({"code": models.pyfunc.__file__, "labels": answers["label"].tolist()}))
"""


@pytest.fixture
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The checkout of a commit; skipped where the history does not reach so far."""
    archive = subprocess.run(
        ["git", "archive", request.param], cwd=CHECKOUT, capture_output=True, check=False
    )
    if archive.returncode != 0:
        pytest.skip(f"commit {request.param} is not in this clone")
    folder = tmp_path / "older"
    folder.mkdir()
    subprocess.run(["tar", "--extract", "--directory", str(folder)], input=archive.stdout, check=True)
    return folder


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("configs")
    data = write_apples(folder / "apples.csv", 600, edge=0.5)
    config = f"{CONFIG}data: {{path: {data}}}\nretrain: {{keep_versions: 5}}\n"
    (folder / f"{USE_CASE}.yaml").write_text(config, encoding="utf-8")
    tools = ("RATCHET", "PREFECT", "MLFLOW", "BENTOML")
    made = {
        **{name: value for name, value in os.environ.items() if not name.startswith(tools)},
        "RATCHET_HOME": str(tmp_path_factory.mktemp("home")),
        "RATCHET_CONFIGS": str(folder),
        "RATCHET_USE_CASES": USE_CASE,
        "RATCHET_PORT": str(free_port()),
        "RATCHET_MLFLOW_PORT": str(free_port()),
        "RATCHET_PREFECT_PORT": str(free_port()),
    }
    yield made
    ratchet(CHECKOUT, made, "down")


def ratchet(checkout: Path, environment: Mapping[str, str], *words: str) -> Any:
    """Run a command of a checkout's own code, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *words, "--json"],
        cwd=checkout,
        env={**environment, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def answers(settings: Settings) -> list[str]:
    found = httpx.post(f"{settings.service_url}/v1/{USE_CASE}/predict", json={"records": RECORDS})
    return [one["label"] for one in found.raise_for_status().json()["predictions"]]


def served(settings: Settings, version: int, use_case: str = USE_CASE) -> None:
    """Wait until a version serves."""
    until = time.monotonic() + PATIENCE
    while True:
        answer = httpx.get(f"{settings.service_url}/v1/{use_case}/model")
        if answer.is_success and answer.json()["version"] == version:
            return
        assert time.monotonic() < until, answer.text
        time.sleep(0.2)


def loaded_by_mlflow(environment: Mapping[str, str], checkout: Path | None) -> dict[str, Any]:
    """What `mlflow.pyfunc.load_model` makes of version 1, with our code on the path or without."""
    settings = read_settings(environment)
    uri, path = f"models:/{USE_CASE}/1", "" if checkout is None else str(checkout)
    done = subprocess.run(
        [sys.executable, "-c", LOADER, path, settings.mlflow_uri, uri, json.dumps(RECORDS)],
        cwd=environment["RATCHET_CONFIGS"],
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def retrain_and_go_back(environment: dict[str, str], before: list[str]) -> None:
    """With this code: version 1 serves as it did; 2 is promoted over it, and it is gone back to."""
    settings = read_settings(environment)
    ratchet(CHECKOUT, environment, "up", "--detach")
    served(settings, 1)
    assert answers(settings) == before
    more = write_apples(Path(environment["RATCHET_CONFIGS"]) / "more.csv", TURNED, edge=0.3)
    ratchet(CHECKOUT, environment, "ingest", USE_CASE, str(more))
    result = ratchet(CHECKOUT, environment, "retrain", USE_CASE)
    assert (result["outcome"], result["production_before"], result["version"]) == ("promoted", 1, 2)
    assert result["production_scores"]["accuracy"] < result["scores"][result["challenger"]]["accuracy"]
    served(settings, 2)
    assert answers(settings) != before

    ratchet(CHECKOUT, environment, "rollback", USE_CASE)
    served(settings, 1)
    assert answers(settings) == before
    assert ratchet(CHECKOUT, environment, "evaluate", USE_CASE, "--version", "1")["rows"] > 50


def first_answers(older: Path, environment: dict[str, str]) -> list[str]:
    """What version 1 answers by the code that made it."""
    settings = read_settings(environment)
    ratchet(older, environment, "up", "--detach")
    served(settings, 1)
    response = httpx.post(
        f"{settings.service_url}/v1/{USE_CASE}/predict",
        json={"records": RECORDS, "labels": ["good"] * len(RECORDS)},
    )
    assert response.is_success
    return answers(settings)


@pytest.mark.parametrize("older", [WITHOUT_DIGESTS], indirect=True)
def test_one_without_digests_and_password_gets_both(older: Path, environment: dict[str, str]) -> None:
    settings = read_settings(environment)
    before = first_answers(older, environment)
    pool = httpx.get(f"{settings.prefect_url}/work_pools/ratchet").raise_for_status().json()
    assert "command" in pool["base_job_template"]["variables"]["properties"], "the commit is not older"
    ratchet(older, environment, "down")

    retrain_and_go_back(environment, before)
    assert httpx.get(f"{settings.prefect_url}/deployments/count").status_code == 401
    with httpx.Client(base_url=settings.prefect_url, headers=auth_headers(settings)) as prefect:
        pool = prefect.get("/work_pools/ratchet").raise_for_status().json()
        assert pool["base_job_template"]["variables"]["properties"] == {}
    ratchet(CHECKOUT, environment, "down")
    ratchet(CHECKOUT, environment, "up", "--detach")
    served(settings, 1)
    assert answers(settings) == before


@pytest.mark.parametrize("older", [WITHOUT_ROOMS], indirect=True)
def test_a_version_of_one_without_rooms_serves_and_loads(older: Path, environment: dict[str, str]) -> None:
    assert not (older / "store").exists(), "the commit is not older"
    before = first_answers(older, environment)
    ratchet(older, environment, "down")
    retrain_and_go_back(environment, before)

    by_stranger = loaded_by_mlflow(environment, None)
    assert by_stranger["labels"] == before
    assert not by_stranger["code"].startswith(str(CHECKOUT)), "the code that travels in the model"
    by_house = loaded_by_mlflow(environment, CHECKOUT)
    assert by_house["labels"] == before


def links_of(settings: Settings) -> dict[str, tuple[str, int | None]]:
    """State and version of each link of the chain of `intents`."""
    told = httpx.get(f"{settings.service_url}/health").raise_for_status().json()
    return {one["name"]: (one["state"], one["version"]) for one in told["use_cases"]["intents"]["chain"]}


def links_become(settings: Settings, links: dict[str, tuple[str, int | None]]) -> None:
    """Wait until the chain is such."""
    until = time.monotonic() + PATIENCE
    while (found := links_of(settings)) != links:
        assert time.monotonic() < until, found
        time.sleep(0.2)


def wishes_answered(settings: Settings) -> list[tuple[str, str]]:
    """Label and link, of shipped requests and of the parcels that came later."""
    rows = (CHECKOUT / "configs" / "data" / "intents.csv").read_text(encoding="utf-8").splitlines()[1::150]
    texts = [row.rpartition(",")[0].strip('"') for row in rows] + ["parcel number 7", "parcel number 90210"]
    asked = {"records": [{"text": text} for text in texts]}
    found = httpx.post(f"{settings.service_url}/v1/intents/predict", json=asked, timeout=60)
    return [(one["label"], one["source"]) for one in found.raise_for_status().json()["predictions"]]


def write_parcels(path: Path, numbers: range) -> str:
    """Requests that the shipped ones have not: of one intent, as if a campaign had begun."""
    path.write_text(
        "\n".join(["text,label", *(f"parcel number {one},kids_lunchbox" for one in numbers)]) + "\n"
    )
    return str(path)


@pytest.mark.skipif(
    not (is_installed(TOKENIZERS) and is_installed(TEXT_MODELS["minilm"].package)),
    reason="texts by meaning are not installed: docs/texts-by-meaning.md",
)
@pytest.mark.parametrize("older", [WITHOUT_MEANING], indirect=True)
def test_intents_with_the_version_before_as_second_link_get_one_of_their_own(
    older: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    environment["RATCHET_USE_CASES"] = "intents"
    settings = read_settings(environment)
    ratchet(older, environment, "up", "--detach")
    served(settings, 1, "intents")
    ratchet(older, environment, "ingest", "intents", write_parcels(tmp_path / "one.csv", range(500)))
    assert ratchet(older, environment, "retrain", "intents")["version"] == 2
    served(settings, 2, "intents")
    links_become(settings, {"trained": ("ready", 2), "second": ("ready", 1), "keywords": ("ready", None)})
    before = wishes_answered(settings)
    ratchet(older, environment, "down")

    ratchet(CHECKOUT, environment, "up", "--detach")
    served(settings, 2, "intents")
    links_become(
        settings, {"trained": ("ready", 2), "meaning": ("missing", None), "keywords": ("ready", None)}
    )
    assert [one for one in wishes_answered(settings) if one[1] == "trained"] == [
        one for one in before if one[1] == "trained"
    ]
    ratchet(CHECKOUT, environment, "ingest", "intents", write_parcels(tmp_path / "two.csv", range(500, 600)))
    assert ratchet(CHECKOUT, environment, "retrain", "intents")["failures"] == {}
    until = time.monotonic() + PATIENCE
    while (found := links_of(settings)["meaning"])[0] != "ready":
        assert time.monotonic() < until, found
        time.sleep(0.2)
    assert found[1] not in (None, 1, 2)
    parcels = wishes_answered(settings)[-2:]
    assert [label for label, _ in parcels] == ["kids_lunchbox"] * 2
