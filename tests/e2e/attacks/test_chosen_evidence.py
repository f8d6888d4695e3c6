"""Labels sent twice, and with times of the future, to a whole stack: nobody chooses what is judged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from configs.loading import load_use_cases
from configs.settings import Settings
from store.database.connection import connect, database_url
from store.snapshots.restoring import open_snapshot
from store.snapshots.uses import HOLDOUT, TRAIN
from tests.e2e.apples import CONFIG, USE_CASE, write_apples
from tests.e2e.stacks import running_stack
from tests.e2e.test_turn import ratchet, wait_for_version

pytestmark = pytest.mark.slow
GROUPED = CONFIG.replace("record:\n", "record:\n  group: tree\n")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Version 1 serves, which learned that apples above 0.5 are good; four apples of a tree."""
    folder = tmp_path_factory.mktemp("configs")
    (folder / f"{USE_CASE}.yaml").write_text(GROUPED, encoding="utf-8")
    head, *lines = write_apples(folder / "rows.csv", 600, edge=0.5).read_text(encoding="utf-8").splitlines()
    rows = [f"{line},t{place // 4}" for place, line in enumerate(lines)]
    (folder / "rows.csv").write_text("\n".join([f"{head},tree", *rows]) + "\n", encoding="utf-8")
    with running_stack(tmp_path_factory.mktemp("home"), configs=folder, use_cases=(USE_CASE,)) as settings:
        ratchet(settings, "ingest", USE_CASE, str(folder / "rows.csv"))
        assert ratchet(settings, "retrain", USE_CASE)["outcome"] == "promoted"
        wait_for_version(f"{settings.service_url}/v1/{USE_CASE}", 1)
        yield settings


def send(settings: Settings, items: list[dict[str, Any]]) -> None:
    told = httpx.post(
        f"{settings.service_url}/v1/{USE_CASE}/feedback", json={"items": items}, timeout=60
    ).json()
    assert told["accepted"] == len(items), told


def apples(random: np.random.Generator, count: int, *, right: bool, **more: Any) -> list[dict[str, Any]]:
    items = []
    for weight in random.uniform(0, 1, count).round(6).tolist():
        label = "good" if (weight > 0.5) == right else "poor"
        items.append({"record": {"weight": weight, "colour": "red"}, "label": label, **more})
    return items


def test_neither_times_of_the_future_nor_labels_sent_twice_choose_what_is_judged(stack: Settings) -> None:
    random = np.random.default_rng(5)
    soon = (datetime.now(UTC) + timedelta(hours=20)).isoformat()
    send(stack, apples(random, 400, right=True))
    send(stack, apples(random, 170, right=False, event_time=soon))
    with connect(database_url(stack)) as conn:
        rows = conn.execute("SELECT record, label, record_group FROM feedback WHERE record_group IS NOT NULL")
        known = rows.fetchall()
    twice = [
        {"record": record | {"id": f"again-{place}"}, "label": label}
        for place, (record, label, _) in enumerate(known[:200])
    ]
    send(stack, twice)
    tree_mates = [
        item | {"tree": known[place][2]} for place, item in enumerate(apples(random, 100, right=True))
    ]
    send(stack, tree_mates)
    result = ratchet(stack, "retrain", USE_CASE)
    assert result["outcome"] != "promoted"
    use_case = load_use_cases(stack.config_dirs)[USE_CASE]
    with connect(database_url(stack)) as conn:
        held_out = open_snapshot(conn, use_case, stack.home, result["snapshot"], use=HOLDOUT)
        first = conn.execute("SELECT digest FROM snapshot ORDER BY created_at LIMIT 1").fetchone()
        assert first is not None
        learned = open_snapshot(conn, use_case, stack.home, first[0], use=TRAIN)
        trees: dict[str, str | None] = dict(
            conn.execute("SELECT identity, record_group FROM feedback").fetchall()
        )
    assert set(held_out.columns["weight"]) & set(learned.columns["weight"]) == set()
    assert {trees[one] for one in held_out.identities} & {trees[one] for one in learned.identities} <= {None}
    wrong = (held_out.columns["weight"] > 0.5) != (held_out.labels == "good")
    assert 0.1 < wrong.mean() < 0.5, "about three in ten of what is new"
