"""Items of feedback requests that were refused, under the rules of today."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from configs.schema import UseCase
from features.records.contract import LabelContract, RecordContract
from store.feedback.fences import hold_to_fences, production_fences
from store.feedback.insertion import FeedbackBatch
from store.feedback.item_batch import make_batch, records_of_items, records_of_predictions, reject_future
from store.feedback.items import check_items
from store.moved.asking import find_or_bring_back

Page = Sequence[tuple[int, dict[str, Any]]]
"""Rows of quarantine: number and content."""
Checked = tuple[FeedbackBatch, list[int], dict[int, str]]
"""What is valid, the number of each, and by number why the others are not."""


def prepare_items(
    conn: psycopg.Connection[Any], use_case: UseCase, source: str, said_by: str, page: Page
) -> Checked:
    """Check items as a request is checked. Ends the caller's transaction.

    Raises:
        PredictionsAway: one is of a prediction that was moved, and that no worker brings back.
    """
    labels = LabelContract(use_case.target, use_case.record.missing)
    items = check_items([content for _, content in page], labels, use_case.record)
    reject_future(items)
    contract = RecordContract(use_case.record)
    named = {item.prediction_id for item in items.valid if item.prediction_id is not None}
    predictions = find_or_bring_back(conn, use_case.name, sorted(named)) if named else {}
    predicted = records_of_predictions(contract, items, predictions)
    sent = records_of_items(contract, items, strict=use_case.serving.unknown_fields == "refuse")
    documents = {**sent, **{index: one.document for index, one in predicted.items()}}
    hold_to_fences(production_fences(conn, use_case), contract, items, documents)
    feedback, indices = make_batch(items, sent, predicted, source, said_by)
    refused = {page[index][0]: reason for index, reason in items.rejected.items()}
    return feedback, [page[index][0] for index in indices], refused
