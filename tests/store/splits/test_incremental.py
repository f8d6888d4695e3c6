"""A snapshot beside what production has learned is that which looking at every row gives."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from configs.schema import (
    FieldConfig,
    GateConfig,
    HoldoutConfig,
    ModelConfig,
    RecordConfig,
    TargetConfig,
    TrainingConfig,
    UseCase,
)
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.history.reading import HistoryReader
from store.snapshots.learned import NOTHING_LEARNED, AnyLearned, Learned, LearnedRows
from store.snapshots.learned_snapshots import learned_from, learned_until
from store.snapshots.reach import Reach, find_reach
from store.snapshots.restoring import open_snapshot
from store.splits.taking import take_snapshot
from tests.store.snapshots.older import take_older

HOLDOUT = HoldoutConfig(min_rows=5, max_rows=30, fraction=0.2)
FIELDS = {
    "texts": (FieldConfig(name="s", type="text", nullable=True),),
    "numbers": (FieldConfig(name="x", type="number", nullable=True),),
    "categories": (FieldConfig(name="c", type="category", nullable=True),),
}


def use_case_of(kind: str, by: str, group: str | None) -> UseCase:
    return UseCase(
        name="apples",
        title="Apples",
        kind="text" if kind == "texts" else "tabular",
        record=RecordConfig(fields=FIELDS[kind], group=group),
        target=TargetConfig(task="multiclass"),
        model=ModelConfig(estimator="linear_text" if kind == "texts" else "logistic"),
        gate=GateConfig(min_rows=5),
        training=TrainingConfig(holdout=HOLDOUT.model_copy(update={"by": by})),
    )


@dataclass
class Orchard:
    """Labels as they come: new ones, corrected ones, answers to records that came before, ones taken away."""

    conn: psycopg.Connection[Any]
    use_case: UseCase
    values: int
    chance: random.Random
    known: list[str] = field(default_factory=list)

    def live(self, rows: int) -> None:
        for _ in range(rows // 10):
            again = self.chance.sample(self.known, min(1, len(self.known)))
            new = [f"{self.chance.choice('ipc')}:{self.chance.randrange(10**9)}" for _ in range(9)]
            self.known += new
            self._send([*again, *new])
            if self.chance.random() < 0.4:
                gone = self.known.pop(self.chance.randrange(len(self.known)))
                self.conn.execute("DELETE FROM feedback WHERE identity = %s", (gone,))
                self.conn.commit()

    def _send(self, names: list[str]) -> None:
        made = [self._made(name) for name in names]
        add_feedback(
            self.conn,
            self.use_case.name,
            FeedbackBatch(
                names,
                [json.dumps(record) for record, _, _ in made],
                [self.chance.choice("ab") for _ in names],
                "test",
                record_id=[own for _, own, _ in made],
                record_group=[group for _, _, group in made],
            ),
        )

    def _made(self, name: str) -> tuple[dict[str, Any], str | None, str | None]:
        """A record, its own id and its group."""
        (one,) = self.use_case.record.fields
        value = self.chance.randrange(self.values)
        told: Any = value / 7 if one.type == "number" else f"v{value}"
        record = {one.name: None if value == 0 else told}
        group = None if self.use_case.record.group is None else f"g{self.chance.randrange(self.values * 2)}"
        own = None if name.startswith("i:") or self.chance.random() < 0.6 else str(self.chance.randrange(50))
        return record, own, group


def in_memory(learned: LearnedRows) -> Learned:
    """All that the table has of what was learned from, as sets."""
    with HistoryReader(learned.table) as reader:
        found = reader.arrow(
            f"SELECT identity, seq, contents, groups FROM lines WHERE {learned.condition(reader)}"
        )
    contents, groups = (np.unique(found[key].to_numpy()) for key in ("contents", "groups"))
    return Learned(
        frozenset(found["identity"].to_pylist()) | learned.others,
        np.unique(found["seq"].to_numpy()),
        contents[contents != 0],
        groups[groups != 0],
    )


def uses(conn: psycopg.Connection[Any], use_case: UseCase, home: Path, digest: str) -> dict[str, str]:
    frame = open_snapshot(conn, use_case, home, digest)
    return dict(zip(frame.identities.tolist(), frame.split.tolist(), strict=True))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("by", ["time", "hash"])
@pytest.mark.parametrize(
    ("kind", "values", "group"),
    [
        ("texts", 60, None),
        ("texts", 400, "batch"),
        ("numbers", 300, None),
        pytest.param("numbers", 12, None, marks=pytest.mark.slow),
        pytest.param("categories", 70, None, marks=pytest.mark.slow),
        ("categories", 8, None),
        ("categories", 70, "batch"),
    ],
)
def test_looking_at_what_was_not_learned_is_enough(
    conn: psycopg.Connection[Any],
    tmp_path: Path,
    kind: str,
    values: int,
    group: str | None,
    by: str,
    seed: int,
) -> None:
    use_case = use_case_of(kind, by, group)
    orchard = Orchard(conn, use_case, values, random.Random(seed))
    orchard.live(150)
    since: Reach | None = None
    learned: AnyLearned = NOTHING_LEARNED
    chain: list[str] = []
    for turn in range(4):
        taken = take_snapshot(conn, use_case, tmp_path, since=since, learned=learned)
        got = uses(conn, use_case, tmp_path, taken.digest)
        if isinstance(learned, LearnedRows):
            whole = take_snapshot(conn, use_case, tmp_path, since=since, learned=in_memory(learned))
            assert got == uses(conn, use_case, tmp_path, whole.digest), turn
            assert taken.digest == whole.digest
            assert (taken.rows, taken.train_rows, taken.holdout_rows, taken.records, taken.contradicted) == (
                whole.rows, whole.train_rows, whole.holdout_rows, whole.records, whole.contradicted
            )  # fmt: skip
        chain = [*chain, taken.digest] if turn == 1 else [taken.digest]
        learned = learned_from(conn, use_case, tmp_path, chain[0])
        for digest in chain[1:]:
            learned |= learned_from(conn, use_case, tmp_path, digest)
        if turn == 2:
            learned |= learned_until(conn, use_case, tmp_path, taken.last_seq - 20)
        since = find_reach(conn, chain)
        orchard.live(60)


@pytest.mark.parametrize("by", ["time", "hash"])
def test_beside_a_snapshot_of_an_earlier_release(
    conn: psycopg.Connection[Any], tmp_path: Path, by: str
) -> None:
    use_case = use_case_of("numbers", by, None)
    orchard = Orchard(conn, use_case, 300, random.Random(0))
    orchard.live(200)
    older = take_older(conn, use_case, tmp_path)
    orchard.live(60)
    learned, since = learned_from(conn, use_case, tmp_path, older.digest), find_reach(conn, [older.digest])
    taken = take_snapshot(conn, use_case, tmp_path, since=since, learned=learned)
    whole = take_snapshot(conn, use_case, tmp_path, since=since, learned=in_memory(learned))
    assert taken.digest == whole.digest
    assert taken.holdout_rows > 0
