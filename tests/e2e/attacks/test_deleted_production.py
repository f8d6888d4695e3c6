"""Production deleted in MLflow, then wrong labels, on a whole stack: what serves goes on, and stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mlflow import MlflowClient

from models.versions.artifact import file_digest
from tests.e2e.attacks.orchards import DOORS, Door, Orchard, grow, orchards, plant, turned

pytestmark = pytest.mark.slow
Orchards = dict[tuple[str, Door], Orchard]
LOST = ("alias", "version", "model")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchards]:
    folder, home = tmp_path_factory.mktemp("configs"), tmp_path_factory.mktemp("home")
    with orchards(folder, home, [f"lost_{what}" for what in LOST]) as made:
        yield made


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", LOST)
def test_production_that_somebody_deletes_goes_on_and_is_not_replaced(
    planted: Orchards, what: str, door: Door
) -> None:
    orchard = planted[f"lost_{what}", door]
    before = plant(orchard)
    said = answers(orchard)
    manifest = orchard.settings.home / "cache" / "models" / orchard.name / "1" / "manifest.json"
    kept = file_digest(manifest)
    delete(orchard, what)
    orchard.send(turned(grow(300, seed=70, name="wrong")))
    result = orchard.retrain()
    assert result["outcome"] != "promoted", result["reason"]
    assert result["production_scores"] is not None, "compared from the copy that is kept"
    assert result["version"] not in (None, 1), "no other version gets its number"
    assert (orchard.production, orchard.accuracy(), file_digest(manifest)) == (1, before, kept)
    assert answers(orchard) == said, "what serves goes on"


def answers(orchard: Orchard) -> Any:
    """What one record is answered, and by which version."""
    body = {"records": [{"weight": 0.4, "sugar": 0.5, "colour": "red"}]}
    told = orchard.post("predict", body)
    return told["model"]["version"], told["predictions"][0]["scores"]


def delete(orchard: Orchard, what: str) -> None:
    """As somebody does who has MLflow's address."""
    client = MlflowClient(orchard.settings.mlflow_uri, orchard.settings.mlflow_uri)
    if what == "alias":
        client.delete_registered_model_alias(orchard.name, "production")
    elif what == "version":
        client.delete_model_version(orchard.name, "1")
    else:
        client.delete_registered_model(orchard.name)
