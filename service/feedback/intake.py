"""POST /v1/{use_case}/feedback: labels are checked, joined to their predictions, and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import orjson
import psycopg

from configs.schema import UseCase
from features.errors import Problem, RefusedRow
from features.records.contract import LabelContract, RecordContract
from service.answers.requests import PredictRequest, listed, parse_object
from service.metrics import Metrics
from service.storage.database import Database
from service.storage.idempotency import IdempotencyKey, answer_once
from service.storage.journal_mover import poll_until_stored
from store.feedback.corrections import FeedbackCounts
from store.feedback.event_times import future_problem, latest_allowed
from store.feedback.identity import identities
from store.feedback.insertion import FeedbackBatch, add_feedback, find_predictions, label_predictions
from store.feedback.items import CheckedItems, Item, check_items
from store.quarantine.rows import quarantine

SOURCE = "http"
MAX_ITEMS = 10_000
"""Items of one request."""

AfterInsert = Callable[[psycopg.Connection[Any], int], Mapping[str, Any]]
"""Takes the connection and the number of items accepted; returns further keys of the response."""


def _nothing_more(_conn: psycopg.Connection[Any], _accepted: int) -> Mapping[str, Any]:
    return {}


class FeedbackIntake:
    """Takes feedback for one use case; its methods block, and run in a thread.

    Args:
        flush: asks the journals of all workers to be stored, and waits for this one's.
    """

    def __init__(
        self, use_case: UseCase, database: Database, flush: Callable[[], None], metrics: Metrics
    ) -> None:
        self.use_case = use_case
        self.contract = RecordContract(use_case.record)
        self.labels = LabelContract(use_case.target, use_case.record.missing)
        self._database = database
        self._flush = flush
        self._counters = {
            outcome: metrics.intake.feedback.labels(use_case.name, outcome)
            for outcome in ("new", "corrected", "duplicate", "stale", "rejected")
        }

    def take(
        self, body: bytes, key: str | None, after_insert: AfterInsert = _nothing_more, purpose: str = ""
    ) -> bytes:
        """Store the items of a request; returns the JSON that says what became of them.

        Args:
            body: JSON with `items`, a list of 1 to `MAX_ITEMS`.
            key: value of the header Idempotency-Key; None without one.
            after_insert: called in the transaction that stores the items.
            purpose: what the items are sent for; a key does not serve for two purposes.

        Raises:
            Invalid, NotJson: the request as a whole cannot be read.
            Conflict: the key came before with another body.
            DatabaseAway: nothing was stored.
        """
        idempotency_key = IdempotencyKey.from_header(self.use_case.name, key, purpose.encode() + body)
        raw_items = listed(parse_object(body), "items", MAX_ITEMS)
        items = check_items(raw_items, self.labels, self.use_case.record)
        _reject_future(items)
        predicted = self._find_records(items)
        records = self._check_records(items) | {index: one[0] for index, one in predicted.items()}
        batch = _make_batch(items, records, {index: one[1] for index, one in predicted.items()})
        refused_rows = [_refused_row(raw_items[index], reason) for index, reason in items.rejected.items()]

        def insert(conn: psycopg.Connection[Any]) -> tuple[bytes, FeedbackCounts]:
            counts = self._insert(conn, batch, refused_rows)
            return _response(
                counts, items.rejected, after_insert(conn, counts.new + counts.corrected)
            ), counts

        response, counts = self._database.run(
            lambda conn: answer_once(conn, idempotency_key, partial(insert, conn))
        )
        if counts is not None:
            self._count(counts, len(items.rejected))
        return response

    def add_labels(self, request: PredictRequest, ids: Sequence[str], documents: Sequence[str]) -> None:
        """Store labels that came beside records, for the predictions just made.

        Args:
            ids: of the predictions; `documents` is as long.
            documents: canonical JSON of their records.

        Raises:
            DatabaseAway: they were not stored.
        """
        batch = label_predictions(ids, request.own_ids(), documents, request.labels or (), SOURCE)
        counts = self._database.run(lambda conn: add_feedback(conn, self.use_case.name, batch))
        self._count(counts, rejected=0)

    def _check_records(self, items: CheckedItems) -> dict[int, str]:
        """Records sent, as canonical JSON by index of the item; items with a bad record are rejected."""
        sent = [item for item in items.valid if item.prediction_id is None]
        checked = self.contract.check_records([item.record for item in sent])
        for row, reason in _reasons_by_row(checked.problems).items():
            items.rejected[sent[row].index] = reason
        documents = self.contract.to_json(checked.columns)
        return {
            sent[row].index: document for row, document in zip(checked.rows.tolist(), documents, strict=True)
        }

    def _find_records(self, items: CheckedItems) -> dict[int, tuple[str, str | None]]:
        """Records and their own ids of the predictions named, by index; unknown predictions are rejected."""
        prediction_ids = {
            item.index: item.prediction_id for item in items.valid if item.prediction_id is not None
        }
        predictions = self._find_predictions(set(prediction_ids.values())) if prediction_ids else {}
        for index, prediction_id in prediction_ids.items():
            if prediction_id not in predictions:
                items.rejected[index] = f"prediction_id: no prediction '{prediction_id[:80]}' is known"
        return {
            index: predictions[prediction_id]
            for index, prediction_id in prediction_ids.items()
            if prediction_id in predictions
        }

    def _find_predictions(self, prediction_ids: set[str]) -> Mapping[str, tuple[str, str | None]]:
        """Id to record and its own id of the known predictions; those in a journal are waited for."""
        rows = poll_until_stored(
            lambda: self._database.run(
                lambda conn: find_predictions(conn, self.use_case.name, sorted(prediction_ids))
            ),
            lambda rows: len(rows) == len(prediction_ids),
            self._flush,
        )
        # As it would be stored with the record: equal records are equal texts.
        documents = self.contract.to_json(self.contract.from_json([row["record"] for row in rows.values()]))
        return {
            prediction_id: (document, row["record_id"])
            for (prediction_id, row), document in zip(rows.items(), documents, strict=True)
        }

    def _insert(
        self, conn: psycopg.Connection[Any], batch: FeedbackBatch, refused_rows: Sequence[RefusedRow]
    ) -> FeedbackCounts:
        counts = add_feedback(conn, self.use_case.name, batch)
        if refused_rows:
            quarantine(conn, self.use_case.name, SOURCE, refused_rows)
        return counts

    def _count(self, counts: FeedbackCounts, rejected: int) -> None:
        self._counters["new"].inc(counts.new)
        self._counters["corrected"].inc(counts.corrected)
        self._counters["duplicate"].inc(counts.duplicates)
        self._counters["stale"].inc(counts.stale)
        self._counters["rejected"].inc(rejected)


def _reject_future(items: CheckedItems) -> None:
    """Reject items whose event is still to come: one of the year 9999 would be the newest for ever."""
    latest = latest_allowed().isoformat(timespec="microseconds") + "Z"
    for item in items.valid:
        if item.time is not None and item.time > latest:
            items.rejected[item.index] = future_problem("event_time", item.time)
    items.valid = [item for item in items.valid if item.index not in items.rejected]


def _make_batch(
    items: CheckedItems, records: Mapping[int, str], record_ids: Mapping[int, str | None]
) -> FeedbackBatch:
    """The items that have a record; of two that contradict each other, the later one is rejected.

    Of different times they do not: the newer one stands.
    """
    with_record = [item for item in items.valid if item.index in records]
    names = identities(
        [records[item.index] for item in with_record],
        prediction_ids=[item.prediction_id for item in with_record],
        ids=[item.own_id for item in with_record],
        times=[item.time for item in with_record],
    )
    first_of_time: dict[tuple[str, str | None], Item] = {}
    accepted: list[tuple[str, Item]] = []
    for name, item in zip(names, with_record, strict=True):
        first = first_of_time.setdefault((name, item.time), item)
        if (first.label, records[first.index]) == (item.label, records[item.index]):
            accepted.append((name, item))
        else:
            items.rejected[item.index] = f"contradicts item {first.index} of the same request"
    return FeedbackBatch(
        identity=[name for name, _ in accepted],
        record_json=[records[item.index] for _, item in accepted],
        label=[item.label for _, item in accepted],
        source=SOURCE,
        event_time=[item.time for _, item in accepted],
        prediction_id=[item.prediction_id for _, item in accepted],
        record_id=[record_ids.get(item.index) for _, item in accepted],
    )


def _response(counts: FeedbackCounts, rejected: Mapping[int, str], more: Mapping[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "accepted": counts.new + counts.corrected,
            "corrected": counts.corrected,
            "duplicates": counts.duplicates,
            "stale": counts.stale,
            "rejected": [{"index": index, "reason": rejected[index]} for index in sorted(rejected)],
            **more,
        }
    )


def _refused_row(raw_item: Any, reason: str) -> RefusedRow:
    return RefusedRow(None, reason, raw_item if isinstance(raw_item, dict) else {"item": raw_item}, "item")


def _reasons_by_row(problems: Sequence[Problem]) -> dict[int, str]:
    reasons: dict[int, list[str]] = {}
    for problem in problems:
        reasons.setdefault(problem.row, []).append(problem.message)
    return {row: "; ".join(messages) for row, messages in reasons.items()}
