"""What wins is tried on a whole stack: a tenth of the keys, the same ones everywhere, until labels decide."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from store.database.connection import connect, database_url
from tests.e2e.apples import TURNED
from tests.e2e.attacks.orchards import Door, Orchard, grow, orchards, plant, record_of
from tests.e2e.stacks import PATIENCE
from tests.e2e.test_turn import ratchet

pytestmark = pytest.mark.slow
Orchards = dict[tuple[str, Door], Orchard]
LEFT = 0.7
"""Weight from which apples are good since version 2 was made."""
KEYS = 10_000
GATE = "gate: {metric: accuracy, min_rows: 50}"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchards]:
    folder, home = tmp_path_factory.mktemp("configs"), tmp_path_factory.mktemp("home")
    with orchards(folder, home, ("tried", "spoilt")) as made:
        yield made


def try_second(orchard: Orchard) -> None:
    """Version 1 serves, and version 2 is tried."""
    plant(orchard)
    orchard.configure(GATE, f"{GATE}\nserving: {{canary: {{share: 0.1, labels: 300, hours: 24}}}}")
    orchard.send(grow(TURNED, seed=20, name="turned", edge=LEFT))
    assert orchard.retrain()["outcome"] == "canary"
    assert orchard.production == 1
    until = time.monotonic() + PATIENCE
    while 2 not in ask(orchard, [f"first{number}" for number in range(200)]).values():
        assert time.monotonic() < until, "no server tries it"
        time.sleep(0.2)


def ask(orchard: Orchard, ids: list[str], *, together: int = 250) -> dict[str, int]:
    """Record id to the version that answered."""
    record = record_of(grow(1, seed=5)[0])
    found: dict[str, int] = {}
    for start in range(0, len(ids), together):
        content = orchard.post(
            "predict", {"records": [record | {"id": one} for one in ids[start : start + together]]}
        )
        served = content["model"]["version"]
        found |= {one["record_id"]: one.get("version", served) for one in content["predictions"]}
    return found


def get(orchard: Orchard, path: str) -> Any:
    url = f"{orchard.settings.service_url}/v1/{orchard.name}/{path}"
    return httpx.get(url, headers={"x-api-key": orchard.tokens["shop"]}, timeout=60).json()


def wait_until_it_is_over(orchard: Orchard) -> None:
    until = time.monotonic() + PATIENCE
    while get(orchard, "retrain/status")["canary"] is not None:
        assert time.monotonic() < until, get(orchard, "retrain/status")["canary"]
        time.sleep(0.3)


def label(orchard: Orchard, rows: list[dict[str, Any]]) -> None:
    """By the ids of what was answered."""
    ids = orchard.answer(rows)
    items = [{"prediction_id": one, "label": row["grade"]} for one, row in zip(ids, rows, strict=True)]
    assert orchard.post("feedback", {"items": items})["rejected"] == []


def test_a_tenth_of_the_keys_until_its_labels_have_come(planted: Orchards) -> None:
    orchard = planted["tried", "http"]
    try_second(orchard)
    keys = [f"key{number}" for number in range(KEYS)]
    found = ask(orchard, keys)
    share = list(found.values()).count(2) / KEYS
    assert share == pytest.approx(0.1, abs=0.01)
    assert ask(orchard, keys[::-1], together=97) == found
    assert ask(orchard, keys[:300], together=1) == {one: found[one] for one in keys[:300]}
    label(orchard, grow(200, seed=30, name="same", edge=LEFT))
    until = time.monotonic() + PATIENCE
    while {one["version"] for one in get(orchard, "quality")["versions"]} != {1, 2}:
        assert time.monotonic() < until, get(orchard, "quality")["versions"]
        time.sleep(0.5)
    with connect(database_url(orchard.settings)) as conn:
        logged: dict[int, int] = dict(
            conn.execute(
                "SELECT model_version, count(DISTINCT record_id) FROM prediction"
                " WHERE use_case = %s AND record_id LIKE 'key%%' GROUP BY model_version",
                (orchard.name,),
            ).fetchall()
        )
    assert logged == {1: KEYS - round(share * KEYS), 2: round(share * KEYS)}
    label(orchard, grow(200, seed=31, name="same", edge=LEFT))
    wait_until_it_is_over(orchard)
    assert orchard.production == 2
    told = ratchet(orchard.settings, "ledger", orchard.name)
    assert "becomes production" in str(told)


def test_one_that_the_world_has_left_is_taken_back(planted: Orchards) -> None:
    orchard = planted["spoilt", "file"]
    try_second(orchard)
    for seed in range(30, 36):
        orchard.write(grow(20, seed=seed, name="back"))
        time.sleep(2)
        if get(orchard, "retrain/status")["canary"] is None:
            break
    wait_until_it_is_over(orchard)
    assert orchard.production == 1
    assert set(ask(orchard, [f"after{number}" for number in range(200)]).values()) == {1}
    assert orchard.retrain()["outcome"] not in ("promoted", "canary"), "nothing is better than what serves"
