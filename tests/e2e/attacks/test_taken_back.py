"""Production taken back on a whole stack: what made it does not make it again, new rows that prove it do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.apples import TURNED
from tests.e2e.attacks.orchards import DOORS, Door, Orchard, Row, grow, orchards, plant
from tests.e2e.test_turn import ratchet

pytestmark = pytest.mark.slow
Orchards = dict[tuple[str, Door], Orchard]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchards]:
    folder, home = tmp_path_factory.mktemp("configs"), tmp_path_factory.mktemp("home")
    with orchards(folder, home, ("taken_back",)) as made:
        yield made


def good_from(rows: list[Row], edge: float) -> list[Row]:
    return [row | {"grade": "good" if row["weight"] > edge else "poor"} for row in rows]


@pytest.mark.parametrize("door", DOORS)
def test_a_version_that_was_taken_back_returns_by_fresh_rows_alone(planted: Orchards, door: Door) -> None:
    orchard = planted["taken_back", door]
    before = plant(orchard)
    lies = good_from(grow(TURNED, seed=20, name="lies"), 0.3)
    orchard.send(lies)
    assert orchard.retrain()["outcome"] == "promoted"
    assert orchard.accuracy() < before - 0.02
    ratchet(orchard.settings, "rollback", orchard.name, "--reason", "wrong labels")
    assert (orchard.production, orchard.accuracy()) == (1, before)
    again = orchard.retrain()
    assert (again["outcome"], "since a version was taken back" in again["reason"]) == ("skipped", True)
    orchard.send([row | {"id": f"again-{row['id']}"} for row in lies[:300]])
    assert orchard.retrain()["outcome"] == "skipped"
    orchard.send(grow(120, seed=30, name="true"))
    assert orchard.retrain()["outcome"] != "promoted"
    assert (orchard.production, orchard.accuracy()) == (1, before)
    orchard.send(good_from(grow(TURNED, seed=40, name="fresh"), 0.3))
    assert orchard.retrain()["outcome"] == "promoted", "the world has changed after all, and new rows say so"
