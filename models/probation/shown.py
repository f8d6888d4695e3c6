"""How production stands after its promotion, for status, page and HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from configs.schema import UseCase
from models.probation.evidence import Probation
from models.production import ledger
from store.probation import find_probation


def probation_facts(conn: psycopg.Connection[Any], use_case: UseCase) -> dict[str, Any] | None:
    """The evidence at the last look; None: production is not, and was not just now, on probation.

    After it was taken back that is told until production moves again.
    """
    move = ledger.last_move(conn, use_case.name)
    if move is None:
        return None
    if move.event == "rolled_back":
        told = move.evidence.get("probation")
        return None if told is None else {**_as_told_now(told), "at": move.at.isoformat()}
    if move.event != "promoted" or move.from_version in (None, move.to_version):
        return None
    stored = find_probation(conn, move.id)
    if stored is not None:
        return {**_as_told_now(stored.evidence), "at": stored.looked_at.isoformat()}
    config = use_case.probation
    if config.labels == 0 or move.to_version is None or move.from_version is None:
        return None
    begun = Probation(
        move.to_version, move.from_version, most_labels=config.labels, line=1 / config.false_alarms
    )
    return {**begun.as_dict(), "at": move.at.isoformat()}


def _as_told_now(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Stored evidence with the sentence that it has today."""
    return {**evidence, **Probation.from_dict(evidence).as_dict()}
