"""Labelled records that were set aside, under the rules of today; retyped values as in files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from configs.schema import RecordConfig, UseCase
from features.files.batches import objects_table
from features.records.contract import LabelContract, RecordContract
from features.records.image_field import ImageField
from features.records.stored_records import check_levels, check_stored
from store.feedback.identity import digest
from store.feedback.insertion import FeedbackBatch
from store.ingest.item_retry import Checked, Page


def prepare_records(
    _conn: psycopg.Connection[Any], use_case: UseCase, source: str, said_by: str, page: Page
) -> Checked:
    """Check records as they were stored, and where that fails as a file would give their values."""
    contents = [content for _, content in page]
    labels, wrong = LabelContract(use_case.target, use_case.record.missing).check(
        [content["label"] for content in contents]
    )
    reasons = {row: [reason] for row, reason in enumerate(wrong) if reason is not None}
    documents, problems = _convert(use_case.record, [content["record"] for content in contents])
    for row, messages in problems.items():
        reasons.setdefault(row, []).extend(messages)
    valid = [row for row in range(len(page)) if row not in reasons]
    feedback = FeedbackBatch(
        [_identity(contents[row], documents[row]) for row in valid],
        [documents[row] for row in valid],
        [labels[row] or "" for row in valid],
        source,
        [contents[row]["event_time"] for row in valid],
        [contents[row]["prediction_id"] for row in valid],
        [contents[row].get("record_id") for row in valid],
        [contents[row].get("record_group") for row in valid],
        said_by,
    )
    refused = {page[row][0]: "; ".join(messages) for row, messages in reasons.items()}
    return feedback, [page[row][0] for row in valid], refused


def _convert(
    record: RecordConfig, records: Sequence[dict[str, Any]]
) -> tuple[dict[int, str], dict[int, list[str]]]:
    """Canonical JSON of the records that fit, and messages for the others, by position."""
    contract = RecordContract(record)
    strict = check_stored(contract, records)
    documents = dict(zip(strict.rows.tolist(), contract.to_json(strict.columns), strict=True))
    others = [row for row in range(len(records)) if row not in documents]
    problems: dict[int, list[str]] = {}
    for row in others:  # one by one: of values of one type in a file, each means the same
        columns, messages = _read_as_file(contract, records[row])
        if messages:
            problems[row] = messages
        else:
            documents[row] = contract.to_json(columns)[0]
    return documents, problems


def _read_as_file(contract: RecordContract, record: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    scalars = [field.config for field in contract.fields.values() if not isinstance(field, ImageField)]
    columns, messages = {}, []
    if scalars:
        rules = RecordContract(contract.record.model_copy(update={"fields": tuple(scalars)}))
        values = {field.source_column: record.get(field.name) for field in scalars}
        checked = rules.check_table(*objects_table([values]))
        columns, messages = dict(checked.columns), [problem.message for problem in checked.problems]
    for name, field in contract.fields.items():
        if isinstance(field, ImageField):
            columns[name], bad = check_levels(field, [record.get(name)])
            messages += bad.values()
    return {name: columns[name] for name in contract.names if name in columns}, messages


def _identity(content: dict[str, Any], document: str) -> str:
    """What a row is known by; one known by its content is known by what that is now."""
    identity: str = content["identity"]
    if not identity.startswith("h:"):
        return identity
    time = content["event_time"]
    text = document if time is None else f"{document}@{time}"
    return f"h:{digest([text]).hex()}#{identity.rpartition('#')[2]}"
