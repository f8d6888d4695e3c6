"""POST /v1/{use_case}/feedback: labels are checked, joined to their predictions, and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson
import psycopg

from configs.schema import UseCase
from features.errors import RefusedRow
from features.records.contract import LabelContract, RecordContract
from service.answers.bodies import ensure_no_key_twice, listed
from service.answers.requests import PredictRequest, decodes_long
from service.answers.responses import CLOCKS_SECONDS, answered_at
from service.errors import Elsewhere
from service.metrics import Metrics
from service.storage.database import Database
from service.storage.idempotency import IdempotencyKey, answer_once
from service.storage.journal_mover import INTERVAL
from service.storage.moved import bring_back
from service.storage.waiting import Look, NotStoredYet
from store.feedback.corrections import FeedbackCounts
from store.feedback.fences import hold_labels_to_fences, hold_to_fences, production_fences
from store.feedback.insertion import (
    HTTP_SOURCE,
    FeedbackBatch,
    add_feedback,
    find_predictions,
    label_predictions,
)
from store.feedback.item_batch import (
    PredictedRecord,
    make_batch,
    records_of_items,
    records_of_predictions,
    reject_future,
)
from store.feedback.items import CheckedItems, check_items
from store.feedback.sources import OPEN
from store.quarantine.rows import quarantine
from store.service_replicas import BEAT_SECONDS, not_heard_since

SOURCE = HTTP_SOURCE
MAX_ITEMS = 10_000
"""Items of one request."""


@dataclass(frozen=True)
class ReadItems:
    """The items of a request, checked as far as they can be without the database."""

    body: bytes
    raw: list[Any]
    checked: CheckedItems
    sent: Mapping[int, str]
    """Records that came with them, as canonical JSON by index of the item."""


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
        self.has_images = any(field.type == "image" for field in use_case.record.fields)
        self.decodes_pictures = any(map(decodes_long, use_case.record.fields))
        self._database = database
        self._flush = flush
        self._counters = {
            outcome: metrics.intake.feedback.labels(use_case.name, outcome)
            for outcome in ("new", "corrected", "duplicate", "stale", "outvoted", "rejected")
        }

    def read(self, body: bytes) -> ReadItems:
        """Decode and check the items of a request, pictures and all; some of them may be rejected.

        Args:
            body: JSON with `items`, a list of 1 to `MAX_ITEMS`.

        Raises:
            Invalid, NotJson, RepeatedKey: the request as a whole cannot be read.
        """
        raw_items = listed(ensure_no_key_twice(body), "items", MAX_ITEMS)
        items = check_items(raw_items, self.labels, self.use_case.record)
        reject_future(items)
        return ReadItems(body, raw_items, items, self._check_records(items))

    def take(
        self,
        body: bytes | ReadItems,
        key: str | None,
        after_insert: AfterInsert = _nothing_more,
        purpose: str = "",
        *,
        said_by: str = OPEN,
        look: Look = Look.LAST,
    ) -> bytes:
        """Store the items of a request; returns the JSON that says what became of them.

        Args:
            body: as `read` takes it, or has read it.
            key: value of the header Idempotency-Key; None without one.
            after_insert: called in the transaction that stores the items.
            purpose: what the items are sent for; a key does not serve for two purposes.
            said_by: the caller, whose labels they are.
            look: for the predictions that items name.

        Raises:
            NotStoredYet: one of them may be stored soon; never at the last look.
            Invalid, NotJson, RepeatedKey: the request as a whole cannot be read.
            Conflict: the key came before with another body, or for another call.
            DatabaseAway: nothing was stored.
        """
        read = self.read(body) if isinstance(body, bytes) else body
        raw_items, items, sent = read.raw, read.checked, read.sent
        idempotency_key = IdempotencyKey.from_header(self.use_case.name, key, purpose.encode() + read.body)
        predicted = self._find_records(items, look)
        beyond = self._hold_to_fences(items, sent, predicted)
        notes = {
            index: "; ".join(told[index] for told in (items.notes, beyond) if index in told)
            for index in sorted(items.notes.keys() | beyond)
        }
        batch, _ = make_batch(items, sent, predicted, SOURCE, said_by)
        refused_rows = [_refused_row(raw_items[index], reason) for index, reason in items.rejected.items()]

        def insert(conn: psycopg.Connection[Any]) -> tuple[bytes, FeedbackCounts]:
            counts = self._insert(conn, batch, refused_rows, said_by)
            more = after_insert(conn, counts.new + counts.corrected)
            return _response(counts, items.rejected, notes, more), counts

        response, counts = self._database.run(
            lambda conn: answer_once(conn, idempotency_key, partial(insert, conn), says="accepted")
        )
        if counts is not None:
            self._count(counts, len(items.rejected))
        return response

    def add_labels(
        self, request: PredictRequest, ids: Sequence[str], documents: Sequence[str], said_by: str = OPEN
    ) -> None:
        """Store labels that came beside records, for the predictions just made.

        Those of records beyond production's fence are quarantined where that is configured.

        Args:
            ids: of the predictions; `documents` is as long.
            documents: canonical JSON of their records.
            said_by: the caller, whose labels they are.

        Raises:
            DatabaseAway: they were not stored.
        """
        batch = label_predictions(
            ids, request.own_ids(), documents, request.labels or (), SOURCE, request.groups, said_by
        )

        def insert(conn: psycopg.Connection[Any]) -> tuple[FeedbackCounts, int]:
            fences = production_fences(conn, self.use_case)
            kept, refused_rows = hold_labels_to_fences(fences, self.contract, batch)
            return self._insert(conn, kept, refused_rows, said_by), len(refused_rows)

        counts, rejected = self._database.run(insert)
        self._count(counts, rejected)

    def _check_records(self, items: CheckedItems) -> dict[int, str]:
        """Records sent, as canonical JSON by index of the item; items with a bad record are rejected."""
        strict = self.use_case.serving.unknown_fields == "refuse"
        return records_of_items(self.contract, items, strict=strict)

    def _find_records(self, items: CheckedItems, look: Look) -> dict[int, PredictedRecord]:
        """Records of the predictions named, by index; the other items are rejected."""
        named = {item.prediction_id for item in items.valid if item.prediction_id is not None}
        predictions = self._find_predictions(named, look) if named else {}
        return records_of_predictions(self.contract, items, predictions)

    def _find_predictions(self, prediction_ids: set[str], look: Look) -> Mapping[str, Mapping[str, Any]]:
        """The known predictions, by id; those in a journal are waited for, and those moved brought back.

        Raises:
            NotStoredYet: one may be in a journal.
            Moved: no worker has brought one back.
            Elsewhere: one may be in the journal of a server that the database does not hear.
        """
        found = self._read_predictions(prediction_ids)
        if look is Look.FIRST and len(found) < len(prediction_ids):
            bring_back(self._database, prediction_ids - found.keys(), self.use_case.name)
            self._flush()
            found = self._read_predictions(prediction_ids)
        missing = [(_stored_by(at), one) for one in prediction_ids - found.keys() if (at := answered_at(one))]
        if not missing:
            return found
        if look is not Look.LAST:
            raise NotStoredYet
        stored_by, newest = max(missing)
        last = self._database.read(lambda conn: not_heard_since(conn, stored_by))
        if last is not None:
            raise Elsewhere(newest, f"{last:%Y-%m-%dT%H:%M:%SZ}")
        return found

    def _read_predictions(self, prediction_ids: set[str]) -> Mapping[str, Mapping[str, Any]]:
        return self._database.run(
            lambda conn: find_predictions(conn, self.use_case.name, sorted(prediction_ids))
        )

    def _hold_to_fences(
        self, items: CheckedItems, sent: Mapping[int, str], predicted: Mapping[int, PredictedRecord]
    ) -> dict[int, str]:
        """What is said of records beyond production's fences, by index of the item; or they are rejected."""
        fences = self._database.run(lambda conn: production_fences(conn, self.use_case))
        documents = {**sent, **{index: one.document for index, one in predicted.items()}}
        return hold_to_fences(fences, self.contract, items, documents)

    def _insert(
        self,
        conn: psycopg.Connection[Any],
        batch: FeedbackBatch,
        refused_rows: Sequence[RefusedRow],
        said_by: str,
    ) -> FeedbackCounts:
        counts = add_feedback(conn, self.use_case.name, batch)
        if refused_rows:
            quarantine(conn, self.use_case.name, SOURCE, refused_rows, said_by=said_by)
        return counts

    def _count(self, counts: FeedbackCounts, rejected: int) -> None:
        self._counters["new"].inc(counts.new)
        self._counters["corrected"].inc(counts.corrected)
        self._counters["duplicate"].inc(counts.duplicates)
        self._counters["stale"].inc(counts.stale)
        self._counters["outvoted"].inc(counts.outvoted)
        self._counters["rejected"].inc(rejected)


def _response(
    counts: FeedbackCounts, rejected: Mapping[int, str], notes: Mapping[int, str], more: Mapping[str, Any]
) -> bytes:
    told = [{"index": index, "note": note} for index, note in notes.items() if index not in rejected]
    return orjson.dumps(
        {
            "accepted": counts.new + counts.corrected,
            "corrected": counts.corrected,
            "duplicates": counts.duplicates,
            "stale": counts.stale,
            "outvoted": counts.outvoted,
            "rejected": [{"index": index, "reason": rejected[index]} for index in sorted(rejected)],
            **({"notes": told} if told else {}),
            **more,
        }
    )


def _stored_by(at: datetime) -> datetime:
    """Who is heard after this moment has stored what was answered at a time.

    Of one that lies ahead, as the clock was set back since, no more is known than that it is over.
    """
    now = datetime.now(UTC)
    if at > now + timedelta(seconds=CLOCKS_SECONDS):
        return now - timedelta(seconds=2 * BEAT_SECONDS)
    return at + timedelta(seconds=INTERVAL)


def _refused_row(raw_item: Any, reason: str) -> RefusedRow:
    return RefusedRow(None, reason, raw_item if isinstance(raw_item, dict) else {"item": raw_item}, "item")
