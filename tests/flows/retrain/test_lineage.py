"""What a version has learned from, through parents that are there and parents that were pruned."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import pytest

from configs.schema import FieldConfig, ModelConfig, RecordConfig, TargetConfig, UseCase
from flows.retrain import lineage
from flows.retrain.production import find_production
from models.errors import UnknownVersion
from models.production import ledger
from models.production.artifact_digests import note_registered
from models.production.contract import Version
from models.production.registry import Registry
from models.production.tags import FIT_TAG, PARENT_TAG, SNAPSHOT_TAG
from store.ingest.files import ingest_file
from store.snapshots import learned_snapshots
from store.snapshots.restoring import open_snapshot
from store.snapshots.uses import HOLDOUT, TRAIN
from tests.flows.retrain.turns import Orchard

NAME = "apples"
APPLES = UseCase(
    name=NAME,
    title="Apples",
    kind="tabular",
    record=RecordConfig(fields=(FieldConfig(name="weight", type="number"),)),
    target=TargetConfig(task="multiclass"),
    model=ModelConfig(estimator="logistic"),
)


@dataclass(frozen=True)
class Rows:
    """Stands for a snapshot with one training row, named as the snapshot is."""

    identities: Any
    seq: Any

    @property
    def train(self) -> Rows:
        return self


class NewestOnly(Registry):
    """Version 3, warm from 2, which was deleted, as was 1."""

    def version(self, use_case: str, version: int) -> Version:
        if version != 3:
            raise UnknownVersion(use_case, version)
        return Version(NAME, 3, "", tags(3, parent=2), (), 0)


def tags(number: int, parent: int | None = None) -> dict[str, str]:
    warm = {} if parent is None else {PARENT_TAG: str(parent), FIT_TAG: "warm"}
    return {SNAPSHOT_TAG: f"rows-{number}", **warm}


@pytest.fixture(autouse=True)
def snapshots(conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2, 3):
        conn.execute(
            "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq,"
            " last_seq) VALUES (%s, %s, %s, 1, 1, 0, 1, 1)",
            (f"rows-{number}", NAME, f"/rows-{number}"),
        )

    def opened(_conn: Any, _use_case: UseCase, _home: Path, digest: str, *, use: str) -> Rows:
        assert use == TRAIN
        return Rows(np.array([digest], dtype=object), np.array([7]))

    monkeypatch.setattr(learned_snapshots, "open_snapshot", opened)


def learned(conn: psycopg.Connection, home: Path) -> frozenset[str]:
    registry = NewestOnly("memory:")
    return lineage.learned_by(conn, registry, registry.version(NAME, 3), APPLES, home).others


def test_pruned_parents_are_reached_through_the_ledger(conn: psycopg.Connection, tmp_path: Path) -> None:
    for number, parent in ((1, None), (2, 1)):
        evidence = {"tags": tags(number, parent)}
        ledger.record(
            conn, NAME, "pruned", actor="pruning", reason="", from_version=number, evidence=evidence
        )
    assert learned(conn, tmp_path) == {"rows-1", "rows-2", "rows-3"}


def test_deleted_parents_are_reached_by_what_they_were_registered_with(
    conn: psycopg.Connection, tmp_path: Path
) -> None:
    for number, parent in ((1, None), (2, 1)):
        note_registered(
            conn, NAME, number,
            digest="d", actor="person", mlflow_run="m", run_id=str(uuid4()), tags=tags(number, parent),
            fences={}, dates=[], beyond_fence={},
        )  # fmt: skip
    assert learned(conn, tmp_path) == {"rows-1", "rows-2", "rows-3"}


def test_a_parent_that_nobody_knows_ends_the_line(conn: psycopg.Connection, tmp_path: Path) -> None:
    assert learned(conn, tmp_path) == {"rows-3"}


def test_what_the_original_was_judged_on_is_known_without_its_table(empty_orchard: Orchard) -> None:
    orchard = empty_orchard
    orchard.take_in(400, edge=0.5)
    assert orchard.retrain().outcome == "promoted"
    context = orchard.context
    with context.connect() as conn:
        version = orchard.registry.alias_version(orchard.name, "production")
        assert version is not None
        known = orchard.registry.version(orchard.name, version).tags
        digest = known[SNAPSHOT_TAG]
        held_out = open_snapshot(conn, context.use_case, context.settings.home, digest, use=HOLDOUT)
        assert len(held_out.identities) == 100
        # The other way round: each label is corrected, so that the rows stand by other numbers.
        rows = context.settings.home / "rows.csv"
        text = rows.read_text(encoding="utf-8").replace("good", "fair").replace("poor", "good")
        rows.write_text(text.replace("fair", "poor"), encoding="utf-8")
        assert ingest_file(conn, context.use_case, rows).corrected == 400
        assert find_production(context).original_holdout == set(held_out.identities)
        shutil.rmtree(context.settings.home / "history")
        judged = lineage.judged_identities(conn, context.use_case, context.settings.home, known)
        assert judged == set(held_out.identities)
        assert lineage.judged_identities(conn, context.use_case, context.settings.home, None) == frozenset()
