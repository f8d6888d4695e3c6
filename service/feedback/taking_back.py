"""DELETE /v1/{use_case}/feedback/{id}: a label that should not have been given counts no more."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson

from service.errors import UnknownLabel
from service.storage.database import Database
from store.errors import UnknownLabels
from store.feedback.revisions.taking_back import LabelSelection, TakeBackReport, take_back

MOST_REASON = 1000
"""Characters."""


def take_back_label(
    database: Database, use_case: str, name: str, *, actor: str, reason: str, own: str | None
) -> bytes:
    """Take the labels of one row back; returns the JSON that says what, durable when this returns.

    Args:
        name: id of a prediction or a record, or what a row is known by.
        own: the source that may take back only what it said itself; None: whoever said it.

    Raises:
        UnknownLabel: nothing that the caller may take back has this id, or had.
        DatabaseAway: nothing was taken back.
    """
    if "\0" in name:  # which the database cannot even look for
        raise UnknownLabel(use_case, name, own)
    selection = LabelSelection((name,), own)
    try:
        report = database.run(lambda conn: take_back(conn, use_case, selection, actor=actor, reason=reason))
    except UnknownLabels as error:
        raise UnknownLabel(use_case, name, own) from error
    return orjson.dumps(_described(name, report))


def _described(name: str, report: TakeBackReport) -> dict[str, Any]:
    return {
        "use_case": report.use_case,
        "id": name,
        "taken_back": report.taken_back,
        "left": report.left,
        "labels": [asdict(one) for one in report.labels],
        "earlier": [asdict(one) for one in report.earlier],
    }
