"""Which snapshots may go: those that no version that is kept has learned from, but the newest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import psycopg

from flows.context import LoopContext
from flows.retrain.training.checkpoints import noted_snapshot
from models.production import ledger
from models.production.registry_rest import open_registry
from models.production.tags import FIT_TAG, PARENT_TAG, SNAPSHOT_TAG
from store.snapshots.files import snapshot_file
from store.snapshots.shared import forget_shared, shared_digests


def old_snapshots(
    conn: psycopg.Connection[Any], home: Path, use_case: str, keep: int, needed: Collection[str]
) -> list[str]:
    """Digests that are neither among the newest `keep` nor needed, and that something is kept of."""
    rows = conn.execute(
        "SELECT digest, contents IS NOT NULL OR history IS NOT NULL, path FROM snapshot WHERE use_case = %s"
        # By times alone those of before the clock was set back would be the newest.
        " ORDER BY (history->>'batch')::int DESC NULLS LAST, created_at DESC, digest OFFSET %s",
        (use_case, keep),
    ).fetchall()
    shared = shared_digests(home, use_case)
    return [
        digest for digest, has_contents, path in rows
        if digest not in needed and (has_contents or digest in shared or _is_file(path))
    ]  # fmt: skip


def _is_file(path: str) -> bool:
    """Whether a snapshot's file is there; where there is none, the path is that of a table."""
    return path.endswith(".parquet") and Path(path).exists()


def needed_snapshots(
    conn: psycopg.Connection[Any],
    context: LoopContext,
    versions: Iterable[int],
    listed: Mapping[int, Mapping[str, str]],
) -> frozenset[str]:
    """Digests of all that these versions have learned from, and trainings that were left off do.

    Args:
        listed: tags of versions as the registry has just said; for others it is asked.
    """
    digests: set[str] = set()
    registry = open_registry(context.settings.mlflow_uri)
    for version in versions:
        number: int | None = version
        while number is not None:
            if (tags := listed.get(number)) is None:
                tags = ledger.tags_of(conn, registry, context.use_case.name, number) or {}
            digests |= {tags[SNAPSHOT_TAG]} if SNAPSHOT_TAG in tags else set()
            # A warm start has also learned what its parent has.
            parent = tags.get(PARENT_TAG) if tags.get(FIT_TAG) == "warm" else None
            number = int(parent) if parent else None
    return frozenset(digests | _checkpointed(context))


def forget_snapshot(conn: psycopg.Connection[Any], context: LoopContext, digest: str) -> None:
    """Delete a snapshot's file, here and in the storage, then what it could be made again from.

    Its row stays, for traces.
    """
    snapshot_file(context.settings.home, context.use_case.name, digest).unlink(missing_ok=True)
    forget_shared(context.settings.home, context.use_case.name, digest)
    conn.execute(
        "UPDATE snapshot SET contents = NULL, history = NULL, held_out = NULL, unused = NULL, used = NULL"
        " WHERE digest = %s",
        (digest,),
    )
    conn.commit()


def _checkpointed(context: LoopContext) -> set[str]:
    folder = context.settings.home / "checkpoints" / context.use_case.name
    folders = folder.iterdir() if folder.is_dir() else ()
    return {digest for one in folders if (digest := noted_snapshot(one)) is not None}
