"""The fences of production, as the ledger has them of the version that serves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import psycopg

from configs.schema import UseCase
from features.errors import RefusedRow
from features.records.contract import RecordContract
from features.records.fences import NO_FENCES, Fences
from store.feedback.insertion import FeedbackBatch
from store.feedback.items import CheckedItems

OF_PRODUCTION = """
    SELECT evidence->%(what)s, evidence->'fence_dates' FROM ledger
    WHERE use_case = %(use_case)s AND event = 'registered' AND evidence ? %(what)s AND to_version = (
        SELECT to_version FROM ledger
        WHERE use_case = %(use_case)s AND event IN ('promoted', 'rolled_back', 'external')
            AND to_version IS NOT NULL
        ORDER BY id DESC LIMIT 1)
    ORDER BY id DESC LIMIT 1"""


def production_fences(conn: psycopg.Connection[Any], use_case: UseCase) -> Fences:
    """What is plausible by production's training rows; no fences where none is known, or they are off.

    A field that was of another type when production learned has none: its fence speaks of other values.
    """
    fence = use_case.features.tabular.fence
    if fence == "off" or use_case.kind not in ("tabular", "mixed"):
        return NO_FENCES
    bounds, dates = _of_production(conn, use_case.name, "fences")
    fenced = {
        one.name: (bounds[one.name][0], bounds[one.name][1])
        for one in use_case.record.fields
        if one.name in bounds and _is_of(one.type, dates, one.name)
    }
    return Fences(fenced, fence == "quarantine")


def _is_of(kind: str, dates: Collection[str] | None, name: str) -> bool:
    """Whether a fence may be of such a field.

    Args:
        dates: fields whose fences are of dates; None: it was not written down which.
    """
    if kind == "datetime":
        return dates is None or name in dates
    return kind in ("number", "integer") and (dates is None or name not in dates)


def tally_of_production_fit(conn: psycopg.Connection[Any], use_case: str) -> dict[str, int]:
    """Training rows of production that were `left_out` of its fit as absurd, and values that were `cut`.

    Empty of versions that were registered before this was written down.
    """
    return _of_production(conn, use_case, "beyond_fence")[0]


def _of_production(
    conn: psycopg.Connection[Any], use_case: str, what: str
) -> tuple[dict[str, Any], list[str] | None]:
    """What was written down when production was registered, empty where it was not; which fences are of
    dates."""
    row = conn.execute(OF_PRODUCTION, {"use_case": use_case, "what": what}).fetchone()
    return ({}, None) if row is None else (row[0], row[1])


def refused_beyond(fences: Fences, contract: RecordContract, documents: Sequence[str]) -> dict[int, str]:
    """By position, why records are refused that are beyond; none where they are kept."""
    reasons: dict[int, list[str]] = {}
    for one in fences.beyond_documents(contract, documents) if fences.refuses else ():
        reasons.setdefault(one.row, []).append(one.reason)
    return {row: "; ".join(parts) for row, parts in reasons.items()}


def hold_labels_to_fences(
    fences: Fences, contract: RecordContract, batch: FeedbackBatch
) -> tuple[FeedbackBatch, list[RefusedRow]]:
    """The labels of predictions that are kept, and those that go to quarantine for their records."""
    reasons = refused_beyond(fences, contract, batch.record_json)
    ids = batch.prediction_id or [None] * len(batch)
    refused_rows = [
        RefusedRow(None, reason, {"prediction_id": ids[row], "label": batch.label[row]}, "item")
        for row, reason in reasons.items()
    ]
    return batch.take([row for row in range(len(batch)) if row not in reasons]), refused_rows


def hold_to_fences(
    fences: Fences, contract: RecordContract, items: CheckedItems, documents: Mapping[int, str]
) -> dict[int, str]:
    """Reject items whose record is beyond, where that is configured; else a note of each, by index.

    Args:
        documents: records of the items that have a valid one, by index.
    """
    indices = list(documents)
    messages: dict[int, list[str]] = {}
    for one in fences.beyond_documents(contract, list(documents.values())):
        sentence = one.reason if fences.refuses else one.note
        messages.setdefault(indices[one.row], []).append(sentence)
    told = {index: "; ".join(messages[index]) for index in sorted(messages)}
    if not fences.refuses:
        return told
    items.rejected.update(told)
    items.valid = [item for item in items.valid if item.index not in told]
    return {}
