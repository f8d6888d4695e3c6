"""The shipped use cases: `ratchet reproduce`, in a process of its own, gives the same to the last bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import yaml

from configs.loading import load_use_case
from configs.schema import UseCase
from configs.settings import CHECKOUT
from models.versions.artifact import read_manifest
from store.ingest.files import ingest_dataset, ingest_file
from tests.flows.retrain.turns import Orchard, open_orchard
from tests.mlflow_servers import Server

SUBJECTS = {"cs.LG": ["network", "gradient", "loss"], "math.CO": ["graph", "colour", "tree"],
            "hep-th": ["string", "brane", "field"]}  # fmt: skip
TakeIn = Callable[[psycopg.Connection[Any], UseCase, int, Path], None]


def from_dataset(conn: psycopg.Connection[Any], use_case: UseCase, rows: int, _folder: Path) -> None:
    assert use_case.data.dataset is not None
    ingest_dataset(conn, use_case, use_case.data.dataset, rows=rows)


def shuffled_intents(conn: psycopg.Connection[Any], use_case: UseCase, rows: int, folder: Path) -> None:
    """Each part of them has all classes; in the file one comes after the other."""
    head, *lines = (CHECKOUT / "configs" / "data" / "intents.csv").read_text(encoding="utf-8").splitlines()
    order = np.random.default_rng(1).permutation(len(lines))[:rows]
    path = folder / "intents.csv"
    path.write_text("\n".join([head, *(lines[place] for place in order)]) + "\n", encoding="utf-8")
    ingest_file(conn, use_case, path)


def made_up_papers(conn: psycopg.Connection[Any], use_case: UseCase, rows: int, folder: Path) -> None:
    """Abstracts whose words tell their subjects, most of the time."""
    random = np.random.default_rng(1)
    lines = ["abstract,title,date,subjects"]
    for number in range(rows):
        subjects = sorted(random.choice(list(SUBJECTS), size=random.integers(1, 3), replace=False))
        words = [str(random.choice(SUBJECTS[one])) for one in subjects for _ in range(4)]
        words += random.choice([word for own in SUBJECTS.values() for word in own], 3).tolist()
        date = np.datetime64("2020-01-01") + number
        lines.append(f"{' '.join(words)} number {number},Paper {number},{date},{'|'.join(subjects)}")
    path = folder / "papers.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ingest_file(conn, use_case, path)


@dataclass(frozen=True)
class Case:
    """A shipped use case, with fits that are short."""

    name: str
    take_in: TakeIn
    params: Mapping[str, Any]
    estimator: str
    rows: int = 400
    """That come before each retrain, and before the warm start."""
    retrains: int = 2
    """Before the warm start."""
    blends: int = 0
    """Members that answer in the last of them."""


CASES = [
    Case("digits", from_dataset, {"epochs": 2, "update_batch_size": 16}, "keras_cnn"),
    Case("spam_accounts", from_dataset, {"epochs": 2, "update_batch_size": 8}, "keras_mixed"),
    Case("plans", from_dataset, {"iterations": 40}, "catboost", retrains=3, blends=2),
    Case("intents", shuffled_intents, {}, "linear_text", 500, 3),
    Case("papers", made_up_papers, {"epochs": 3}, "linear_text", retrains=3, blends=2),
]


def opened(case: Case, home: Path, database_url: str, server: Server) -> Orchard:
    name = f"{case.name}_again"
    orchard = open_orchard(name, home, database_url, server.uri, server.store)
    raw = yaml.safe_load((CHECKOUT / "configs" / f"{case.name}.yaml").read_text(encoding="utf-8"))
    raw["name"] = name
    raw["model"]["params"].update(case.params)
    raw["data"].pop("path", None)
    if "taxonomy" in raw:
        raw["taxonomy"] = str(CHECKOUT / "configs" / raw["taxonomy"])
    raw["training"]["baseline"] = "never"  # after so short fits a plain model may be the better one
    raw["gate"] = {**raw["gate"], "min_rows": 30, "resamples": 200}
    path = home / "configs" / f"{name}.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    use_case = load_use_case(path)
    return orchard.changed(**use_case.model_dump())


def reproduced(orchard: Orchard, version: int) -> dict[str, Any]:
    """What the command says, as a person gets it."""
    settings = orchard.context.settings
    environ = os.environ | {
        "RATCHET_HOME": str(settings.home),
        "RATCHET_CONFIGS": str(settings.home / "configs"),
        "RATCHET_USE_CASES": orchard.name,
        "RATCHET_DATABASE_URL": orchard.context.database_url,
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
    }
    command = [sys.executable, "-m", "flows.cli", "reproduce", orchard.name, str(version), "--json"]
    done = subprocess.run(command, env=environ, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_use_case_is_made_again(
    case: Case, tmp_path: Path, database_url: str, mlflow_server: Server
) -> None:
    orchard = opened(case, tmp_path / "home", database_url, mlflow_server)
    versions = []
    for turn, kind in enumerate((*["retrain"] * case.retrains, "train"), start=1):
        with orchard.context.connect() as conn:
            case.take_in(conn, orchard.context.use_case, turn * case.rows, tmp_path)
        versions.append(orchard.retrain(kind=kind).version)
    manifests = [read_manifest(orchard.kept(version)) for version in versions]
    assert {one.estimator for one in manifests} == {case.estimator}
    assert manifests[-1].fit == "warm"
    assert sum(one.weight > 0 for one in manifests[-2].members) >= case.blends, manifests[-2]
    for version in versions[-2:]:
        made = reproduced(orchard, version)
        compared = made["comparison"]
        assert made["outcome"] == "same", made["reason"]
        assert {compared[name]["max_difference"] for name in ("probe", "holdout")} == {0.0}
        assert {one["difference"] for one in compared["metrics"].values()} <= {0.0, None}
        assert (made["differences"], made["unrecorded"]) == ([], [])
