"""Which version is production: the one with the alias or, where that is gone, the one that the ledger knows.

An alias that somebody deletes in MLflow, or that goes with its version, does not make production a thing
that never was: servers still answer with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from models.errors import UnknownVersion
from models.production import ledger
from models.production.contract import AliasReader, VersionReader


@dataclass(frozen=True)
class Incumbent:
    """The version that is production."""

    use_case: str
    version: int
    has_alias: bool


def find_incumbent(conn: psycopg.Connection[Any], registry: AliasReader, use_case: str) -> Incumbent | None:
    """Production; None where there has never been one."""
    named = registry.alias_version(use_case, "production")
    if named is not None:
        return Incumbent(use_case, named, has_alias=True)
    last = last_production(conn, use_case)
    return None if last is None else Incumbent(use_case, last, has_alias=False)


def last_production(conn: psycopg.Connection[Any], use_case: str) -> int | None:
    """The version that production moved to last, as the ledger knows it."""
    move = ledger.last_move(conn, use_case)
    return None if move is None else move.to_version


def problem_without_alias(registry: VersionReader, use_case: str, version: int) -> str:
    """What is wrong with production that no alias names, and what to do: it was deleted, or the alias was."""
    try:
        registry.version(use_case, version)
    except UnknownVersion:
        return version_deleted(use_case, version)
    return alias_gone(use_case, version)


def version_deleted(use_case: str, version: int) -> str:
    """What to say of production that the registry has no more."""
    return (
        f"version {version} of '{use_case}' is production by the ledger, but was deleted in MLflow; "
        f"`ratchet rollback {use_case} --to V` makes another version production"
    )


def alias_gone(use_case: str, version: int) -> str:
    """What to say of production that has lost its alias."""
    return (
        f"the alias production of '{use_case}' is gone in MLflow; the ledger knows version {version} as "
        f"production; `ratchet rollback {use_case} --to V` makes it, or another version, production again"
    )


@dataclass(frozen=True)
class Standing:
    """Since when a version is production, and what a rollback would go back to."""

    since: datetime
    before: int | None


def standing_of(conn: psycopg.Connection[Any], use_case: str, version: int) -> Standing | None:
    """As the ledger has it; None where the last move of production led to another version, or to none."""
    last = ledger.newest(conn, use_case, ledger.MOVES)
    if last is None or last.to_version != version:
        return None
    return Standing(last.at, ledger.before(conn, use_case, version))
