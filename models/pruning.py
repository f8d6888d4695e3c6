"""Which versions are old enough to be deleted."""

from __future__ import annotations

from collections.abc import Iterable

from models.registry import Version


def prunable(versions: Iterable[Version], keep: int) -> list[Version]:
    """All but the newest `keep` and those that an alias names; the oldest first."""
    newest_first = sorted(versions, key=lambda one: one.version, reverse=True)
    return [one for one in reversed(newest_first[keep:]) if not one.aliases]
