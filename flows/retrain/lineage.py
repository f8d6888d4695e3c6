"""Which rows a version has learned from, also through warm starts, and which it was judged on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from configs.schema import UseCase
from models.errors import UnknownVersion
from models.production import ledger
from models.production.contract import Version
from models.production.registry import Registry
from models.production.tags import FIT_TAG, PARENT_TAG, SNAPSHOT_TAG
from store.errors import SnapshotError
from store.history.batches import add_batches
from store.history.places import table_of
from store.snapshots.index import find_snapshot
from store.snapshots.learned import Arrivals, LearnedRows, Until
from store.snapshots.restoring import open_snapshot
from store.snapshots.uses import HOLDOUT, TRAIN

log = logging.getLogger("ratchet.lineage")


def learned_by(
    conn: psycopg.Connection[Any], registry: Registry, version: Version, use_case: UseCase, home: Path
) -> LearnedRows:
    """All rows that `version` has learned from.

    Where a snapshot is damaged and cannot be made again, of all rows that had come when it was taken: what
    may have been learned from must not be judged on.
    """
    learned = nothing_learned(conn, use_case, home)
    for digest in learned_snapshots(conn, registry, version.use_case, version.tags):
        learned |= learned_from(conn, use_case, home, digest)
    return learned


def nothing_learned(conn: psycopg.Connection[Any], use_case: UseCase, home: Path) -> LearnedRows:
    """None of the rows of the history table, which holds all that have come by now; ends the transaction."""
    table = table_of(home, use_case.name, use_case.record)
    table.fill(conn, add_batches(conn, use_case.name))
    return LearnedRows(table, scratch=home / "tmp")


def learned_until(conn: psycopg.Connection[Any], use_case: UseCase, home: Path, seq: int) -> LearnedRows:
    """All rows that had come by an arrival, also those that were corrected since; ends the transaction."""
    return replace(nothing_learned(conn, use_case, home), parts=(Until(seq),))


def learned_snapshots(
    conn: psycopg.Connection[Any], registry: Registry, use_case: str, tags: Mapping[str, str] | None
) -> Iterator[str]:
    """Digests of what a version with these tags has learned from, its own before those of its parents."""
    while tags is not None:
        if (digest := tags.get(SNAPSHOT_TAG)) is not None:
            yield digest
        parent = tags.get(PARENT_TAG)
        warm = tags.get(FIT_TAG) == "warm"
        tags = version_tags(conn, registry, use_case, int(parent)) if warm and parent else None


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


def judged_identities(
    conn: psycopg.Connection[Any], use_case: UseCase, home: Path, tags: Mapping[str, str] | None
) -> frozenset[str]:
    """Identities of the rows that were held out when a version with these tags was made; none if unknown."""
    digest = None if tags is None else tags.get(SNAPSHOT_TAG)
    if digest is None:
        return frozenset()
    try:
        return frozenset(open_snapshot(conn, use_case, home, digest, use=HOLDOUT).identities)
    except SnapshotError as error:
        log.warning("%s; nothing is compared on what the original version was judged on", error)
        return frozenset()


def version_tags(
    conn: psycopg.Connection[Any], registry: Registry, use_case: str, version: int
) -> Mapping[str, str] | None:
    """Tags of a version, also of one that was pruned or deleted; None where nobody knows them."""
    try:
        return registry.version(use_case, version).tags
    except UnknownVersion:
        return ledger.known_tags(conn, use_case, version)
