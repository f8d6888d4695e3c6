"""Going back as a person means it: to the version before, or, where there is none, from what is tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from models.canary.moves import end_canary
from models.canary.standing import find_canary
from models.errors import NothingBefore
from models.production.contract import RollbackRegistry
from models.production.rollback import Rollback, roll_back


def go_back(
    conn: psycopg.Connection[Any],
    registry: RollbackRegistry,
    use_case: str,
    *,
    to: int | None,
    actor: str,
    reason: str,
    cache_dir: Path,
) -> Rollback:
    """As `roll_back`; where production is what to go back to, what is tried beside it ends.

    Returns:
        The move; from the canary to production where only that has ended.

    Raises:
        NothingBefore: there is nothing to go back to, and nothing is tried; else as `roll_back` does.
    """
    try:
        return roll_back(conn, registry, use_case, to=to, actor=actor, reason=reason, cache_dir=cache_dir)
    except NothingBefore:
        if (tried := find_canary(conn, use_case)) is None:
            raise
        end_canary(conn, registry, use_case, actor=actor, reason=reason, only=tried.move)
    return Rollback(tried.version, tried.against, actor, reason)
