"""Production taken back, unable to answer, or deleted, on a whole stack: nothing chosen replaces it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mlflow import MlflowClient

from models.versions.artifact import file_digest
from tests.e2e.attacks.orchards import DOORS, Door, Orchard, Row, grow, orchards, plant, turned
from tests.e2e.test_turn import ratchet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
BY_EACH_DOOR = pytest.mark.parametrize("door", DOORS)
Orchards = dict[tuple[str, Door], Orchard]
LOST = [("alias", "http"), ("version", "file"), ("model", "http"), ("model", "file")]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchards]:
    attacks = ("taken_back", "dropped", "renamed", "lost_alias", "lost_version", "lost_model")
    folder, home = tmp_path_factory.mktemp("configs"), tmp_path_factory.mktemp("home")
    with orchards(folder, home, attacks) as made:
        yield made


def good_from(rows: list[Row], edge: float) -> list[Row]:
    return [row | {"grade": "good" if row["weight"] > edge else "poor"} for row in rows]


@BY_EACH_DOOR
def test_a_version_that_was_taken_back_returns_by_fresh_rows_alone(planted: Orchards, door: Door) -> None:
    orchard = planted["taken_back", door]
    before = plant(orchard)
    lies = good_from(grow(600, seed=20, name="lies"), 0.3)
    orchard.send(lies)
    assert orchard.retrain()["outcome"] == "promoted"
    assert orchard.accuracy() < before - 0.02
    ratchet(orchard.settings, "rollback", orchard.name, "--reason", "wrong labels")
    assert (orchard.production, orchard.accuracy()) == (1, before)
    again = orchard.retrain()
    assert (again["outcome"], "has gone back from" in again["reason"]) == ("skipped", True)
    orchard.send([row | {"id": f"again-{row['id']}"} for row in lies[:300]])
    assert orchard.retrain()["outcome"] == "skipped"
    orchard.send(grow(120, seed=30, name="true"))
    assert orchard.retrain()["outcome"] != "promoted"
    assert (orchard.production, orchard.accuracy()) == (1, before)
    orchard.send(good_from(grow(600, seed=40, name="fresh"), 0.3))
    assert orchard.retrain()["outcome"] == "promoted", "the world has changed after all, and new rows say so"


@pytest.mark.parametrize(("how", "door"), [("dropped", "http"), ("renamed", "file")])
def test_labels_of_chance_after_a_field_is_gone_that_production_reads(
    planted: Orchards, how: str, door: Door
) -> None:
    orchard = planted[how, door]
    before = plant(orchard)
    if how == "dropped":
        orchard.configure("    - {name: colour, type: category, categories: [red, green]}\n", "")
    else:
        orchard.configure("{name: sugar, type: number}", "{name: sweetness, type: number, nullable: true}")
    ratchet(orchard.settings, "up", "--detach")
    orchard.send(renamed(grow(160, seed=50, name="chance", noise=0.5), how))
    result = orchard.retrain()
    assert result["outcome"] != "promoted", result["reason"]
    assert result["production_scores"] is None, "it cannot be asked"
    assert (orchard.production, orchard.accuracy()) == (1, before)
    orchard.send(renamed(grow(600, seed=60, name="true"), how))
    assert orchard.retrain()["outcome"] == "promoted", "what is true replaces what cannot answer"
    assert orchard.production != 1


def renamed(rows: list[Row], how: str) -> list[Row]:
    if how == "dropped":
        return rows
    return [{"sweetness" if name == "sugar" else name: value for name, value in row.items()} for row in rows]


@pytest.mark.parametrize(("what", "door"), LOST)
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
