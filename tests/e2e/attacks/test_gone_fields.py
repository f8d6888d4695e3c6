"""A field gone that production reads, on a whole stack: labels of chance do not replace it, true ones do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.attacks.orchards import DOORS, Door, Orchard, Row, grow, orchards, plant
from tests.e2e.test_turn import ratchet

pytestmark = pytest.mark.slow
Orchards = dict[tuple[str, Door], Orchard]
CHANGES = {
    "dropped": ("    - {name: colour, type: category, categories: [red, green]}\n", ""),
    "renamed": ("{name: sugar, type: number}", "{name: sweetness, type: number, nullable: true}"),
}
"""What a person edits in the configuration, and into what."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchards]:
    folder, home = tmp_path_factory.mktemp("configs"), tmp_path_factory.mktemp("home")
    with orchards(folder, home, tuple(CHANGES)) as made:
        yield made


def fitting(rows: list[Row], how: str) -> list[Row]:
    """As whoever sends them has them, once the configuration has changed."""
    if how == "dropped":
        return [{name: value for name, value in row.items() if name != "colour"} for row in rows]
    return [{"sweetness" if name == "sugar" else name: value for name, value in row.items()} for row in rows]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("how", list(CHANGES))
def test_labels_of_chance_after_a_field_is_gone_that_production_reads(
    planted: Orchards, how: str, door: Door
) -> None:
    orchard = planted[how, door]
    before = plant(orchard)
    orchard.configure(*CHANGES[how])
    ratchet(orchard.settings, "up", "--detach")
    orchard.send(fitting(grow(300, seed=50, name="chance", noise=0.5), how))
    result = orchard.retrain()
    assert result["outcome"] != "promoted", result["reason"]
    assert result["production_scores"] is None, "it cannot be asked"
    judged = result["decisions"][result["challenger"]]["outcome"]
    assert judged in ("below_majority", "majority_not_proven"), result["reason"]
    assert (orchard.production, orchard.accuracy()) == (1, before)
    orchard.send(fitting(grow(600, seed=60, name="true"), how))
    assert orchard.retrain()["outcome"] == "promoted", "what is true replaces what cannot answer"
    assert orchard.production != 1
