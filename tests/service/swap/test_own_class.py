"""A version of a class whose package the server lacks is refused by name; the one before goes on
answering."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import psycopg
import pytest

from features.encoders.contract import fit_encoder
from models.estimators.catalogue import _class_of_others, make_estimator
from models.estimators.fit_watch import SilentWatch
from models.laws.configured import model_problem
from models.production import ledger
from models.versions.artifact import Lineage
from models.versions.fitting import FittedModel
from models.versions.writing import write_artifact
from tests.service.conftest import FolderRegistry, Service
from tests.service.swap.test_watcher import DIGITS, promote, version_of, wait_for
from tests.service.tiny import CREATED, classes_of, example_columns

NAME = "borrowed_package.models:Layer"
SOURCE = """
from tests.service.tiny import OneLayer

class Layer(OneLayer):
    kinds = ("image",)
    export_onnx = None
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of somebody's, on the path."""
    folder = tmp_path / "site" / "borrowed_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("", "utf-8")
    (folder / "models.py").write_text(SOURCE, "utf-8")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def write_version(folder: Path) -> None:
    columns = example_columns(DIGITS, 4)
    encoder = fit_encoder(DIGITS, columns)
    x = encoder.encode(columns)
    estimator = make_estimator(NAME, {})
    classes = classes_of(DIGITS)
    estimator.fit(x, np.zeros(len(x), np.int64), n_classes=len(classes), seed=5, watch=SilentWatch())
    fitted = FittedModel("full", "full", encoder, estimator, classes, {}, 5, len(x), ())
    manifest = write_artifact(folder, fitted, DIGITS, columns, lineage=Lineage(), created_at=CREATED)
    assert (manifest.estimator, manifest.runtime) == (NAME, "native")


def take_away(package: Path) -> None:
    sys.path.remove(str(package.parent))
    for name in [one for one in sys.modules if one.split(".")[0] == "borrowed_package"]:
        del sys.modules[name]
    _class_of_others.cache_clear()


def test_it_is_refused_by_name_and_the_one_before_serves_on(
    package: Path, service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    write_version(registry.folder / "digits" / "2")
    model = DIGITS.model.model_copy(update={"estimator": NAME, "params": {}})
    configured = DIGITS.model_copy(update={"model": model})
    assert model_problem(configured) is None
    take_away(package)
    promote(conn, registry, 2)
    wait_for(lambda: bool(service.worker.slots["digits"].refused))
    assert version_of(service) == 1
    refused = ledger.newest(conn, "digits", ("refused",))
    told = service.get("/v1/digits/model").text + (refused.reason if refused else "")
    assert "package borrowed_package is not installed here" in told
    problem = model_problem(configured)  # what `ratchet doctor` says
    assert problem is not None
    assert f"'{NAME}' is not to be had: package borrowed_package is not installed here" in problem
