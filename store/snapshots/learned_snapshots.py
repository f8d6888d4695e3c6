"""What was learned from, by the snapshots that it was learned from."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from configs.schema import UseCase
from store.errors import SnapshotError
from store.history.batches import add_batches
from store.history.places import table_of
from store.snapshots.index import find_snapshot
from store.snapshots.learned import Arrivals, LearnedRows, Until
from store.snapshots.restoring import open_snapshot
from store.snapshots.uses import TRAIN

log = logging.getLogger("ratchet.snapshots")


def nothing_learned(conn: psycopg.Connection[Any], use_case: UseCase, home: Path) -> LearnedRows:
    """None of the rows of the history table, which holds all that have come by now; ends the transaction."""
    table = table_of(home, use_case.name, use_case.record)
    table.fill(conn, add_batches(conn, use_case.name, use_case.record))
    return LearnedRows(table, scratch=home / "work")


def learned_until(conn: psycopg.Connection[Any], use_case: UseCase, home: Path, seq: int) -> LearnedRows:
    """All rows that had come by an arrival, also those that were corrected since; ends the transaction."""
    return replace(nothing_learned(conn, use_case, home), parts=(Until(seq),))


def learned_from(conn: psycopg.Connection[Any], use_case: UseCase, home: Path, digest: str) -> LearnedRows:
    """The rows of a snapshot that were learned from; all that had come by then, where it is damaged."""
    snapshot = find_snapshot(conn, digest)
    learned = nothing_learned(conn, use_case, home)
    if snapshot.rule is not None and snapshot.rule.table == learned.table.layout.name:
        return replace(learned, parts=(snapshot.rule,))
    try:
        train = open_snapshot(conn, use_case, home, digest, use=TRAIN)
    except SnapshotError as error:
        log.warning("%s; all rows that had come by then count as learned from", error)
        return replace(learned, parts=(Until(snapshot.last_seq),))
    # By numbers, which other tables have as well; and by names, as some may be gone from the database.
    return replace(learned, parts=(Arrivals(train.seq),), others=frozenset(train.identities.tolist()))
