"""Which rows a version has learned from: its own training rows and, through warm starts, its parents'."""

from __future__ import annotations

from typing import Any

import psycopg

from features.snapshot_rows import find_snapshot
from features.snapshots import load_snapshot
from models.registry import FIT_TAG, PARENT_TAG, SNAPSHOT_TAG, Registry, Version


def learned_identities(conn: psycopg.Connection[Any], registry: Registry, version: Version) -> frozenset[str]:
    """Identities of all rows that `version` has learned from."""
    learned: set[str] = set()
    current: Version | None = version
    while current is not None:
        digest = current.tags.get(SNAPSHOT_TAG)
        if digest is not None:
            frame = load_snapshot(find_snapshot(conn, digest).path)
            learned |= set(frame.train.identities)
        parent = current.tags.get(PARENT_TAG)
        warm = current.tags.get(FIT_TAG) == "warm"
        current = registry.version(version.use_case, int(parent)) if warm and parent else None
    return frozenset(learned)
