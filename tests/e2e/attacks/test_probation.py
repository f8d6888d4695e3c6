"""What was promoted is taken back by itself on a whole stack, once labels that came later prove it worse."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from store.database.connection import connect, database_url
from tests.e2e.apples import TURNED
from tests.e2e.attacks.orchards import DOORS, Door, Orchard, Row, grow, orchards, plant
from tests.e2e.stacks import PATIENCE
from tests.e2e.test_turn import ratchet

pytestmark = pytest.mark.slow
Orchards = dict[tuple[str, Door], Orchard]
LEFT = 0.7
"""Weight from which apples are good while version 2 is made, and never after."""
LIFE = 20_000
"""Labels after which a version has passed."""
MOST_LABELS = 120
"""Of a version that is right in 20 points fewer answers: the median is about 50."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchards]:
    folder, home = tmp_path_factory.mktemp("configs"), tmp_path_factory.mktemp("home")
    with orchards(folder, home, ("left_behind", "equal")) as made:
        yield made


def send_late(orchard: Orchard, rows: list[Row]) -> None:
    """Labels that come after the answers: by the ids of these, or in a file."""
    ids = orchard.answer(rows)
    if orchard.door == "file":
        orchard.write(rows)
        return
    items = [{"prediction_id": one, "label": row["grade"]} for one, row in zip(ids, rows, strict=True)]
    assert orchard.post("feedback", {"items": items})["rejected"] == []


def wait_for_production(orchard: Orchard, version: int) -> None:
    until = time.monotonic() + PATIENCE
    while orchard.production != version:
        assert time.monotonic() < until, orchard.production
        time.sleep(0.3)


def probation(orchard: Orchard) -> dict[str, object]:
    told = next(
        one for one in ratchet(orchard.settings, "status")["use_cases"] if one["name"] == orchard.name
    )
    facts: dict[str, object] = told["probation"]
    return facts


@pytest.mark.parametrize("door", DOORS)
def test_a_version_that_the_world_has_left_goes_and_stays_away(planted: Orchards, door: Door) -> None:
    orchard = planted["left_behind", door]
    before = plant(orchard)
    orchard.send(grow(TURNED, seed=20, name="turned", edge=LEFT))
    assert orchard.retrain()["outcome"] == "promoted"
    seen = 0
    for seed in range(30, 30 + MOST_LABELS // 20):
        send_late(orchard, grow(20, seed=seed, name="back"))
        seen += 20
        time.sleep(3)
        if orchard.production == 1:
            break
    wait_for_production(orchard, 1)
    assert seen <= MOST_LABELS
    assert orchard.accuracy() == before
    facts = probation(orchard)
    assert (facts["verdict"], facts["version"], facts["before"]) == ("taken_back", 2, 1)
    with connect(database_url(orchard.settings)) as conn:
        events = conn.execute(
            "SELECT event, actor FROM ledger WHERE use_case = %s AND event IN ('promoted', 'rolled_back')"
            " ORDER BY id", (orchard.name,),
        ).fetchall()  # fmt: skip
    assert [event for event, _ in events] == ["promoted", "promoted", "rolled_back"]
    assert events[-1][1] == "probation"
    for seed in range(60, 80):
        send_late(orchard, grow(10, seed=seed, name="after"))
    assert orchard.retrain()["outcome"] != "promoted", "nothing is better than what serves"
    assert orchard.production == 1


@pytest.mark.parametrize("door", DOORS)
def test_one_that_is_no_worse_stays(planted: Orchards, door: Door) -> None:
    orchard = planted["equal", door]
    plant(orchard)
    orchard.send(grow(TURNED, seed=20, name="turned", edge=LEFT))
    assert orchard.retrain()["outcome"] == "promoted"
    for seed in range(30, 53):  # a tenth more than its life, as a look waits for a tenth more labels
        send_late(orchard, grow(1_000, seed=seed, name="same", edge=LEFT))
    until = time.monotonic() + PATIENCE
    while probation(orchard)["labels"] != LIFE:
        assert time.monotonic() < until, probation(orchard)
        time.sleep(1)
    assert orchard.production == 2
    assert probation(orchard)["verdict"] == "passed"
