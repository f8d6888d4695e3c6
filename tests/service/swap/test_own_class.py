"""A version of an estimator or encoder whose package the server lacks is refused by name; the one before goes
on answering."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import psycopg
import pytest

from features.encoders.contract import fit_encoder
from features.encoders.own import _class_at
from models.estimators.catalogue import _class_of_others, make_estimator
from models.estimators.fit_watch import SilentWatch
from models.laws.configured import model_problem
from models.production import ledger
from models.versions.artifact import Lineage
from models.versions.fitting import FittedModel
from models.versions.writing import write_artifact
from tests.service.conftest import FolderRegistry, Service, record_of
from tests.service.swap.test_watcher import DIGITS, promote, version_of, wait_for
from tests.service.tiny import CREATED, OneLayer, classes_of, example_columns

NAME = "borrowed_package.models:Layer"
SOURCE = """
from tests.service.tiny import OneLayer

class Layer(OneLayer):
    kinds = ("image",)
    export_onnx = None
"""
ENCODER = "borrowed_package.encoders:Pixels"
PIXELS = """
import numpy as np
from features.errors import Problem

class Pixels:
    kinds, rows = ("image",), "pictures"

    def __init__(self, params):
        assert not params

    def fit(self, columns, record):
        self.field = record.fields[0].name

    def problems(self, columns):
        ((field, images),) = columns.items()
        blank = np.flatnonzero(~images.any(axis=(1, 2)))
        told = f"field '{field}': got a blank picture; allowed: one with something on it"
        return [Problem(int(row), field, told) for row in blank]

    def encode(self, columns):
        (images,) = columns.values()
        return (images[..., np.newaxis] / 255).astype(np.float32)

    def save(self, directory):
        pass

    @classmethod
    def load(cls, directory, params):
        return cls(params)
"""
ENCODED = DIGITS.model_copy(
    update={"features": DIGITS.features.model_copy(update={"encoder": ENCODER, "params": {}})}
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of somebody's, on the path."""
    folder = tmp_path / "site" / "borrowed_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("", "utf-8")
    (folder / "models.py").write_text(SOURCE, "utf-8")
    (folder / "encoders.py").write_text(PIXELS, "utf-8")
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
    _class_at.cache_clear()


def write_encoded(folder: Path) -> None:
    """A version whose encoder is of the package, and whose estimator is exported."""
    columns = example_columns(ENCODED, 4)
    encoder = fit_encoder(ENCODED, columns)
    estimator, classes = OneLayer({}), classes_of(ENCODED)
    x = encoder.encode(columns)
    estimator.fit(x, np.zeros(len(x), np.int64), n_classes=len(classes), seed=5, watch=SilentWatch())
    fitted = FittedModel("full", "full", encoder, estimator, classes, {}, 5, len(x), ())
    manifest = write_artifact(folder, fitted, ENCODED, columns, lineage=Lineage(), created_at=CREATED)
    assert (manifest.format, manifest.runtime) == (4, "onnx")


@pytest.mark.usefixtures("package")
def test_an_encoder_whose_package_is_there_answers_and_refuses_by_name(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    write_encoded(registry.folder / "digits" / "2")
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)
    record, field = record_of(DIGITS), DIGITS.record.fields[0].name
    blank = {field: np.zeros(DIGITS.record.fields[0].shape or ()).tolist()}
    refused = service.post("/v1/digits/predict", {"records": [record, blank]})
    assert refused.status_code == 422
    assert f"record 1: field '{field}': got a blank picture" in refused.json()["error"]["message"]
    assert version_of(service) == 2  # its neighbours are answered


def test_a_version_whose_encoder_is_not_there_is_refused_and_the_one_before_serves_on(
    package: Path, service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    write_encoded(registry.folder / "digits" / "2")
    assert model_problem(ENCODED) is None
    take_away(package)
    promote(conn, registry, 2)
    wait_for(lambda: bool(service.worker.slots["digits"].refused))
    assert version_of(service) == 1
    refused = ledger.newest(conn, "digits", ("refused",))
    told = service.get("/v1/digits/model").text + (refused.reason if refused else "")
    assert "package borrowed_package is not installed here" in told
    assert f"features.encoder: '{ENCODER}' is not to be had" in str(model_problem(ENCODED))


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
