"""Which rows a version has learned from, also through warm starts, and which it was judged on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from features.snapshot_rows import find_snapshot
from features.snapshots import load_snapshot
from models import ledger
from models.errors import UnknownVersion
from models.registry import FIT_TAG, PARENT_TAG, SNAPSHOT_TAG, Registry, Version


def learned_identities(conn: psycopg.Connection[Any], registry: Registry, version: Version) -> frozenset[str]:
    """Identities of all rows that `version` has learned from."""
    learned: set[str] = set()
    tags: Mapping[str, str] | None = version.tags
    while tags is not None:
        digest = tags.get(SNAPSHOT_TAG)
        if digest is not None:
            frame = load_snapshot(find_snapshot(conn, digest).path)
            learned |= set(frame.train.identities)
        parent = tags.get(PARENT_TAG)
        warm = tags.get(FIT_TAG) == "warm"
        tags = _tags(conn, registry, version.use_case, int(parent)) if warm and parent else None
    return frozenset(learned)


def judged_identities(
    conn: psycopg.Connection[Any], registry: Registry, use_case: str, number: int
) -> frozenset[str]:
    """Identities of the rows that were held out when a version was made."""
    digest = registry.version(use_case, number).tags.get(SNAPSHOT_TAG)
    if digest is None:
        return frozenset()
    return frozenset(load_snapshot(find_snapshot(conn, digest).path).holdout.identities)


def _tags(
    conn: psycopg.Connection[Any], registry: Registry, use_case: str, version: int
) -> Mapping[str, str] | None:
    """Tags of a version, also of one that was pruned."""
    try:
        return registry.version(use_case, version).tags
    except UnknownVersion:
        return ledger.pruned_tags(conn, use_case, version)
