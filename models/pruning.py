"""Which versions are old enough to be deleted."""

from __future__ import annotations

from collections.abc import Iterable

from models.registry import Version


def prunable(versions: Iterable[Version], keep: int, production: int | None = None) -> list[Version]:
    """All but the newest `keep`, those that an alias names, and production; the oldest first.

    Args:
        production: as the ledger knows it, which may have lost its alias.
    """
    newest_first = sorted(versions, key=lambda one: one.version, reverse=True)
    return [one for one in reversed(newest_first[keep:]) if not one.aliases and one.version != production]
