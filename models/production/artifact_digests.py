"""Versions are known by the ledger: what a manifest says of the files beside it proves nothing by itself.

The digest of a version's artifact goes into the ledger when the version is registered, before anything
can be promoted; whoever loads the version compares. A version that an earlier Ratchet registered has no
such row: the first to load it writes down what was found, and from then on that is what it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import psycopg

from models.errors import ArtifactDamaged, ArtifactError
from models.production import ledger
from models.production.contract import ArtifactSource
from models.versions.artifact import artifact_digest
from models.versions.cache import find_cached

AS_FOUND = "taken as it was found; registered before the ledger kept digests, or outside Ratchet"
WHOLE_AGAIN = "its source has again what was registered"


def note_registered(
    conn: psycopg.Connection[Any],
    use_case: str,
    version: int,
    *,
    digest: str,
    actor: str,
    mlflow_run: str,
    run_id: str,
    tags: Mapping[str, str],
    fences: Mapping[str, tuple[float, float]],
    dates: Collection[str],
    beyond_fence: Mapping[str, int],
) -> None:
    """Write down what a version that was just registered is known by, and its fences. The caller commits.

    A model that was deleted and made anew counts its versions from 1 again, so the newest row counts.

    Args:
        dates: which of the fences are of dates, in days since 1970.
        beyond_fence: what its fit made of training rows beyond (`models.versions.fit_checks.count_beyond`).
    """
    ledger.record(
        conn,
        use_case,
        "registered",
        actor=actor,
        reason="what this run made",
        to_version=version,
        evidence={
            "digest": digest,
            "mlflow_run": mlflow_run,
            "tags": dict(tags),
            "fences": dict(fences),
            "fence_dates": sorted(set(fences) & set(dates)),
            "beyond_fence": dict(beyond_fence),
        },
        run_id=run_id,
    )


def registered_digests(conn: psycopg.Connection[Any], use_case: str, version: int) -> list[str]:
    """What a version is known by, the newest first; none where the ledger does not know it."""
    rows = conn.execute(
        "SELECT evidence->>'digest' FROM ledger"
        " WHERE use_case = %s AND to_version = %s AND event = 'registered' ORDER BY id DESC",
        (use_case, version),
    ).fetchall()
    return [str(row[0]) for row in rows]


def registered_digest(conn: psycopg.Connection[Any], use_case: str, version: int) -> str | None:
    """What a version is known by; None where the ledger does not know it."""
    return next(iter(registered_digests(conn, use_case, version)), None)


def vouched_artifact(
    conn: psycopg.Connection[Any],
    registry: ArtifactSource,
    use_case: str,
    version: int,
    cache_dir: Path,
    *,
    actor: str,
) -> Path:
    """Directory with a version whose bytes are those that the ledger knows.

    A damaged copy on this machine is fetched again. That the source is damaged is written down, once, and
    also that it is whole again.

    Raises:
        ArtifactDamaged: the registry has other bytes, and no copy here is whole.
        UnknownVersion: no copy is here, and the registry has none of that number.
        RegistryUnavailable: no copy is here, and it cannot be fetched now.
    """
    digest = registered_digest(conn, use_case, version)
    conn.commit()  # nothing is held while it downloads
    kept = find_cached(cache_dir, use_case, version, digest)
    if kept is None:
        try:
            kept = registry.download(use_case, version, cache_dir, digest)
        except ArtifactDamaged as damage:
            _note_damage(conn, use_case, version, damage, actor)
            raise
        _note_whole(conn, use_case, version, actor)
    if digest is None:
        _take_as_found(conn, use_case, version, kept, actor)
    return kept


def damage_of(conn: psycopg.Connection[Any], use_case: str, version: int) -> str | None:
    """Why a version is damaged at its source, as far as the last one who fetched it knows."""
    row = conn.execute(
        "SELECT event, reason FROM ledger WHERE use_case = %s AND to_version = %s"
        " AND (event = 'registered' OR event = 'refused' AND evidence ? 'found') ORDER BY id DESC LIMIT 1",
        (use_case, version),
    ).fetchone()
    return None if row is None or row[0] != "refused" else str(row[1])


def _note_damage(
    conn: psycopg.Connection[Any], use_case: str, version: int, damage: ArtifactDamaged, actor: str
) -> None:
    with conn.transaction():
        ledger.lock(conn, use_case)
        if damage_of(conn, use_case, version) is None:
            ledger.record(
                conn,
                use_case,
                "refused",
                actor=actor,
                reason=str(damage),
                to_version=version,
                evidence={"expected": damage.expected, "found": damage.actual},
            )
    conn.commit()  # it stays written though the caller fails


def _note_whole(conn: psycopg.Connection[Any], use_case: str, version: int, actor: str) -> None:
    with conn.transaction():
        ledger.lock(conn, use_case)
        digest = registered_digest(conn, use_case, version)
        if digest is not None and damage_of(conn, use_case, version) is not None:
            _record(conn, use_case, version, digest, actor, WHOLE_AGAIN)
    conn.commit()


def take_as_found(conn: psycopg.Connection[Any], use_case: str, version: int, digest: str, actor: str) -> str:
    """Write down what a version is known by, unless the ledger knows it; returns what it is known by."""
    with conn.transaction():
        ledger.lock(conn, use_case)
        registered = registered_digest(conn, use_case, version)
        if registered is None:
            _record(conn, use_case, version, digest, actor, AS_FOUND)
    conn.commit()
    return registered or digest


def _record(
    conn: psycopg.Connection[Any], use_case: str, version: int, digest: str, actor: str, reason: str
) -> None:
    ledger.record(
        conn,
        use_case,
        "registered",
        actor=actor,
        reason=reason,
        to_version=version,
        evidence={"digest": digest},
    )


def _take_as_found(
    conn: psycopg.Connection[Any], use_case: str, version: int, directory: Path, actor: str
) -> None:
    """Raises `ArtifactError` where another process has found something else in the meantime."""
    digest = artifact_digest(directory)
    if take_as_found(conn, use_case, version, digest, actor) != digest:
        raise ArtifactError(directory, "its manifest is not the one that was registered")
