"""Of production's snapshot a drift check reads what it compares: all of few rows, of many a part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from features.records.contract import RecordContract
from flows.drift.sides import Learned, read_learned
from models.production.tags import SNAPSHOT_TAG
from store.snapshots.frames import Frame
from store.snapshots.index import find_snapshot
from store.snapshots.restoring import open_snapshot
from tests.flows.retrain.turns import Orchard, open_orchard
from tests.mlflow_servers import Server

pytestmark = pytest.mark.timeout(300)
NUMBERS = count(1)
ROWS = 2000


@dataclass(frozen=True)
class Grown:
    """An orchard with a version, and all that it was made of."""

    orchard: Orchard
    frame: Frame

    def read(self, reference_rows: int, looked_at: list[int]) -> Learned:
        context = self.orchard.changed(drift={"reference_rows": reference_rows}).context
        with context.connect() as conn:
            digest = self.orchard.registry.version(self.orchard.name, 1).tags[SNAPSHOT_TAG]
            contract = RecordContract(context.use_case.record)
            return read_learned(context, conn, find_snapshot(conn, digest), contract, np.array(looked_at))


@pytest.fixture
def grown(mlflow_server: Server, database_url: str, tmp_path: Path) -> Grown:
    name = f"sided_{next(NUMBERS)}"
    made = open_orchard(name, tmp_path / "home", database_url, mlflow_server.uri, mlflow_server.store)
    made.take_in(ROWS, edge=0.5)
    assert made.retrain().outcome == "promoted"
    context = made.context
    with context.connect() as conn:
        digest = made.registry.version(name, 1).tags[SNAPSHOT_TAG]
        return Grown(made, open_snapshot(conn, context.use_case, context.settings.home, digest))


def test_of_few_rows_all_are_compared_but_those_that_are_looked_at(grown: Grown) -> None:
    looked_at = grown.frame.seq[::100]
    frame = grown.frame.take(np.flatnonzero(~np.isin(grown.frame.seq, looked_at)))
    learned = grown.read(5000, looked_at.tolist())
    assert learned.held_out is not None
    for name, column in frame.train.columns.items():
        assert learned.records[name].tolist() == column.tolist()
        assert learned.held_out[name].tolist() == frame.holdout.columns[name].tolist()
    assert learned.labels.tolist() == frame.labels.tolist()
    assert learned.parts.newest == len(frame.train) // 4
    assert learned.all_labels.parts.newest == len(frame) // 4
    assert np.arange(len(frame.train))[learned.parts.sample].tolist() == list(range(len(frame.train)))
    assert (learned.rows, learned.why_not) == (len(frame), "")


def test_of_many_rows_a_part_is_read_and_labels_are_counted_over_all(grown: Grown) -> None:
    learned, again = (grown.read(300, []) for _ in range(2))
    train = grown.frame.train
    assert learned.held_out is not None
    assert len(learned.held_out["weight"]) == len(grown.frame.holdout)
    weights = learned.records["weight"]
    assert 300 < len(weights) <= 600
    assert len(weights[learned.parts.sample]) == learned.parts.newest == 300
    assert weights[-300:].tolist() == train.columns["weight"][-300:].tolist()
    assert set(weights.tolist()) < set(train.columns["weight"].tolist())
    assert again.records["weight"].tolist() == weights.tolist(), "the same draw each time"
    assert learned.all_labels.counts == Counter(grown.frame.labels.tolist())
    assert learned.rows == ROWS
    assert len(learned.labels) <= 600
