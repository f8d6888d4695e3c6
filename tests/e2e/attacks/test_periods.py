"""Evidence that somebody chose, period after period, on a whole stack: nothing is led by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from store.database.connection import connect, database_url
from tests.e2e.attacks.orchards import DOORS, Door, Orchard, grow, orchards, plant, soon, turned

pytestmark = pytest.mark.slow
PERIODS = 3
BY_EACH_DOOR = pytest.mark.parametrize("door", DOORS)
Orchards = dict[tuple[str, Door], Orchard]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchards]:
    attacks = ("duplicates", "selection", "future", "flips", "lone_flips")
    folder, home = tmp_path_factory.mktemp("configs"), tmp_path_factory.mktemp("home")
    with orchards(folder, home, attacks) as made:
        yield made


def assert_unmoved(orchard: Orchard, result: dict[str, Any], before: float) -> None:
    assert result["outcome"] != "promoted", result["reason"]
    assert (orchard.production, orchard.accuracy()) == (1, before)


def periods_of(orchard: Orchard) -> int:
    with connect(database_url(orchard.settings)) as conn:
        row = conn.execute(
            "SELECT max(number) FROM gate_period WHERE use_case = %s", (orchard.name,)
        ).fetchone()
    assert row is not None
    return int(row[0])


@BY_EACH_DOOR
def test_labels_of_chance_sent_five_times_under_other_ids(planted: Orchards, door: Door) -> None:
    orchard = planted["duplicates", door]
    before = plant(orchard)
    for period in range(PERIODS):
        noise = grow(40, seed=100 + period, name="noise", noise=0.5)
        again = [row | {"id": f"{row['id']}-{copy}"} for copy in range(5) for row in noise]
        orchard.send([*grow(100, seed=200 + period), *again])
        assert_unmoved(orchard, orchard.retrain(), before)
    assert periods_of(orchard) == 1 + PERIODS


@BY_EACH_DOOR
def test_labels_of_wrong_answers_and_few_right_ones(planted: Orchards, door: Door) -> None:
    orchard = planted["selection", door]
    before = plant(orchard, noise=0.17)
    for period in range(PERIODS):
        rows = grow(600, seed=300 + period, noise=0.17)
        said, ids = orchard.labels(rows), orchard.answer(rows)
        lucky = np.random.default_rng(period).random(len(rows)) < 0.05
        chosen = [
            place
            for place, (one, row) in enumerate(zip(said, rows, strict=True))
            if one != row["grade"] or lucky[place]
        ]
        if door == "http":
            items = [{"prediction_id": ids[place], "label": rows[place]["grade"]} for place in chosen]
            orchard.post("feedback", {"items": items})
        else:
            orchard.write([rows[place] for place in chosen])
        result = orchard.retrain()
        assert result["decisions"]["blend"]["outcome"] == "labels_selected", result["reason"]
        assert_unmoved(orchard, result, before)


@BY_EACH_DOOR
def test_wrong_labels_with_times_of_the_future(planted: Orchards, door: Door) -> None:
    orchard = planted["future", door]
    before = plant(orchard)
    for period in range(PERIODS):
        wrong = soon(turned(grow(60, seed=400 + period, name="wrong")))
        orchard.send([*grow(140, seed=500 + period), *wrong])
        assert_unmoved(orchard, orchard.retrain(), before)
    assert periods_of(orchard) == 1 + PERIODS


@BY_EACH_DOOR
def test_a_fifth_flipped_by_one_source_that_others_contradict(planted: Orchards, door: Door) -> None:
    """The source is the key `mallory`, or the file beside honest labels over HTTP."""
    orchard = planted["flips", door]
    before = plant(orchard)
    for period in range(PERIODS):
        honest = grow(200, seed=600 + period)
        lies = [row for row in turned(honest, 0.3, 0.5) if 0.3 < row["weight"] <= 0.5]
        for start in range(0, len(honest), 50):
            some = honest[start : start + 50]
            names = {row["id"] for row in some}
            http_send(orchard, some, "shop")
            orchard.send([row for row in lies if row["id"] in names], key="mallory")
        assert_unmoved(orchard, orchard.retrain(), before)


@BY_EACH_DOOR
def test_a_fifth_flipped_by_one_source_that_nobody_contradicts(planted: Orchards, door: Door) -> None:
    orchard = planted["lone_flips", door]
    before = plant(orchard)
    for period in range(PERIODS):
        http_send(orchard, grow(160, seed=700 + period), "shop")
        apples = grow(300, seed=800 + period, name="lone")
        lies = [row for row in turned(apples, 0.3, 0.5) if 0.3 < row["weight"] <= 0.5]
        orchard.send(lies, key="mallory")
        assert_unmoved(orchard, orchard.retrain(), before)
    assert periods_of(orchard) == 1 + PERIODS


def http_send(orchard: Orchard, rows: list[dict[str, Any]], key: str) -> None:
    Orchard(orchard.settings, orchard.tokens, orchard.name, "http", orchard.folder).send(rows, key=key)
