"""Items of feedback requests that were refused, under the rules of today."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from configs.schema import UseCase
from features.records.contract import LabelContract, RecordContract
from store.feedback.identity import identities
from store.feedback.insertion import FeedbackBatch, find_predictions
from store.feedback.items import CheckedItems, check_items

Page = Sequence[tuple[int, dict[str, Any]]]
"""Rows of quarantine: number and content."""
Checked = tuple[FeedbackBatch, list[int], dict[int, str]]
"""What is valid, the number of each, and by number why the others are not."""


def prepare_items(conn: psycopg.Connection[Any], use_case: UseCase, source: str, page: Page) -> Checked:
    """Check items as a request is checked."""
    items = check_items(
        [content for _, content in page],
        LabelContract(use_case.target, use_case.record.missing),
        use_case.record,
    )
    documents = _check_records(RecordContract(use_case.record), items)
    documents |= _find_records(conn, use_case.name, items)
    valid = [item for item in items.valid if item.index in documents]
    texts, times = [documents[item.index] for item in valid], [item.time for item in valid]
    predictions = [item.prediction_id for item in valid]
    names = identities(texts, prediction_ids=predictions, ids=[item.own_id for item in valid], times=times)
    feedback = FeedbackBatch(names, texts, [item.label for item in valid], source, times, predictions)
    refused = {page[index][0]: reason for index, reason in items.rejected.items()}
    return feedback, [page[item.index][0] for item in valid], refused


def _check_records(contract: RecordContract, items: CheckedItems) -> dict[int, str]:
    """Canonical JSON by index of the item; items with a bad record are rejected."""
    sent = [item for item in items.valid if item.prediction_id is None]
    checked = contract.check_records([item.record for item in sent])
    for problem in checked.problems:
        index = sent[problem.row].index
        before = items.rejected.get(index)
        items.rejected[index] = problem.message if before is None else f"{before}; {problem.message}"
    texts = contract.to_json(checked.columns)
    return {sent[row].index: text for row, text in zip(checked.rows.tolist(), texts, strict=True)}


def _find_records(conn: psycopg.Connection[Any], use_case: str, items: CheckedItems) -> dict[int, str]:
    """Records of the predictions named, by index of the item; unknown predictions are rejected."""
    named = {item.index: item.prediction_id for item in items.valid if item.prediction_id is not None}
    predictions = find_predictions(conn, use_case, sorted(set(named.values()))) if named else {}
    for index, one in named.items():
        if one not in predictions:
            items.rejected[index] = f"prediction_id: no prediction '{one[:80]}' is known"
    return {index: predictions[one]["record"] for index, one in named.items() if one in predictions}
