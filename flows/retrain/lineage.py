"""Which rows a version has learned from, also through warm starts, and which it was judged on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg

from configs.schema import UseCase
from models.production import ledger
from models.production.contract import Version
from models.production.registry import Registry
from models.production.tags import FIT_TAG, PARENT_TAG, SNAPSHOT_TAG
from store.errors import SnapshotError
from store.feedback.rows import identities_of
from store.snapshots.index import find_snapshot
from store.snapshots.learned import LearnedRows
from store.snapshots.learned_snapshots import learned_from, nothing_learned
from store.snapshots.restoring import open_snapshot
from store.snapshots.uses import HOLDOUT

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


def learned_snapshots(
    conn: psycopg.Connection[Any], registry: Registry, use_case: str, tags: Mapping[str, str] | None
) -> Iterator[str]:
    """Digests of what a version with these tags has learned from, its own before those of its parents."""
    while tags is not None:
        if (digest := tags.get(SNAPSHOT_TAG)) is not None:
            yield digest
        parent = tags.get(PARENT_TAG)
        warm = tags.get(FIT_TAG) == "warm"
        tags = ledger.tags_of(conn, registry, use_case, int(parent)) if warm and parent else None


def judged_identities(
    conn: psycopg.Connection[Any], use_case: UseCase, home: Path, tags: Mapping[str, str] | None
) -> frozenset[str]:
    """Identities of the rows that were held out when a version with these tags was made; none if unknown.

    The database has them by their numbers: nothing is read of the snapshot's table.
    """
    digest = None if tags is None else tags.get(SNAPSHOT_TAG)
    if digest is None:
        return frozenset()
    try:
        rule = find_snapshot(conn, digest).rule
        if rule is not None:
            return identities_of(conn, use_case.name, rule.held_out)
        return frozenset(open_snapshot(conn, use_case, home, digest, use=HOLDOUT).identities)
    except SnapshotError as error:
        log.warning("%s; nothing is compared on what the original version was judged on", error)
        return frozenset()
