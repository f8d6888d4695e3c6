"""Labels that arrive: checked, joined to their predictions, and durable before they are acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

from configs.schema import UseCase
from features.errors import Problem
from features.files.labelled_rows import RefusedRow
from features.records.contract import LabelContract, RecordContract
from service.answers.requests import listed, parse_object
from service.feedback.items import Item, Sorted, sort_items
from service.metrics import Metrics
from service.storage.database import Database
from service.storage.idempotency import Key
from service.storage.mover import look_until_stored
from store.feedback.identity import identities
from store.feedback.insertion import FeedbackBatch, FeedbackCounts, add_feedback, find_predictions
from store.feedback.quarantine import quarantine

SOURCE = "http"
MAX_ITEMS = 10_000


Then = Callable[[psycopg.Connection[Any], int], Mapping[str, Any]]


@dataclass(frozen=True)
class Stored:
    """What is ready for the feedback table."""

    identity: list[str]
    documents: list[str]
    labels: list[str]
    times: list[str | None]
    prediction_ids: list[str | None]


class FeedbackDesk:
    """Takes feedback for one use case; its methods block, and run in a thread.

    Args:
        flush: asks the journals of all workers to be stored, and waits for this one's.
    """

    def __init__(
        self, use_case: UseCase, database: Database, flush: Callable[[], None], metrics: Metrics
    ) -> None:
        self.use_case = use_case
        self.contract = RecordContract(use_case.record)
        self.labels = LabelContract(use_case.target)
        self._database = database
        self._flush = flush
        self._items = {
            outcome: metrics.intake.feedback.labels(use_case.name, outcome)
            for outcome in ("new", "corrected", "duplicate", "rejected")
        }

    def take(
        self, body: bytes, key: str | None, then: Then = lambda _conn, _accepted: {}, purpose: str = ""
    ) -> bytes:
        """Store the items of a request and answer what became of them.

        Args:
            then: done in the same transaction, with the number accepted; gives what else to answer.
            purpose: what the items are sent for; a key does not serve for two purposes.

        Raises:
            Invalid, NotJson: the request as a whole cannot be read.
            Conflict: the key came before with another body.
            DatabaseAway: nothing was stored.
        """
        idempotency = Key.of(self.use_case.name, key, purpose.encode() + body)
        raw = listed(parse_object(body), "items", MAX_ITEMS)
        sorted_items = sort_items(raw, self.labels)
        records = self._find_records(sorted_items)
        stored = self._prepare(sorted_items, records)
        return self._database.run(
            lambda conn: self._store(conn, stored, raw, sorted_items.rejected, idempotency, then)
        )

    def _find_records(self, found: Sorted) -> dict[int, str]:
        """Canonical JSON of each item's record, by its place; items without one are rejected."""
        documents: dict[int, str] = {}
        sent = [item for item in found.items if item.prediction_id is None]
        checked = self.contract.check_records([item.record for item in sent])
        for row, document in zip(checked.rows.tolist(), self.contract.to_json(checked.columns), strict=True):
            documents[sent[row].index] = document
        for row, reason in _by_row(checked.problems).items():
            found.rejected[sent[row].index] = reason
        wanted = {item.prediction_id for item in found.items if item.prediction_id is not None}
        known = self._predictions(wanted) if wanted else {}
        for item in found.items:
            if item.prediction_id is None:
                continue
            if item.prediction_id in known:
                documents[item.index] = known[item.prediction_id]
            else:
                found.rejected[item.index] = (
                    f"prediction_id: no prediction '{item.prediction_id[:80]}' is known"
                )
        return documents

    def _predictions(self, wanted: set[str]) -> Mapping[str, str]:
        """Records of predictions; one that is still in a journal is waited for."""
        rows = look_until_stored(
            lambda: self._database.run(
                lambda conn: find_predictions(conn, self.use_case.name, sorted(wanted))
            ),
            lambda rows: len(rows) == len(wanted),
            self._flush,
        )
        return {name: row["record"] for name, row in rows.items()}

    def _prepare(self, found: Sorted, documents: Mapping[int, str]) -> Stored:
        items = [item for item in found.items if item.index in documents]
        texts = [documents[item.index] for item in items]
        names = identities(
            texts,
            prediction_ids=[item.prediction_id for item in items],
            ids=[item.own_id for item in items],
            times=[item.time for item in items],
        )
        kept = Stored([], [], [], [], [])
        first: dict[str, tuple[Item, str]] = {}
        for item, name, text in zip(items, names, texts, strict=True):
            before, said = first.setdefault(name, (item, text))
            if (before.label, said) != (item.label, text):
                found.rejected[item.index] = f"contradicts item {before.index} of the same request"
                continue
            kept.identity.append(name)
            kept.documents.append(text)
            kept.labels.append(item.label)
            kept.times.append(item.time)
            kept.prediction_ids.append(item.prediction_id)
        return kept

    def _store(
        self,
        conn: psycopg.Connection[Any],
        stored: Stored,
        raw: Sequence[Any],
        rejected: Mapping[int, str],
        key: Key | None,
        then: Then,
    ) -> bytes:
        name = self.use_case.name
        with conn.transaction():
            if key is not None and (before := key.first_answer(conn)) is not None:
                return before
            counts = add_feedback(conn, name, _batch(stored))
            if rejected:
                quarantine(conn, name, SOURCE, [_refused(raw[at], reason) for at, reason in rejected.items()])
            answer = _answer(counts, rejected, then(conn, counts.new + counts.corrected))
            if key is not None:
                key.keep(conn, answer)
        self._count(counts, len(rejected))
        return answer

    def add_labels(self, ids: Sequence[str], documents: Sequence[str], labels: Sequence[str]) -> None:
        """Store labels that came beside records, for the predictions just made.

        Raises:
            DatabaseAway: they were not stored.
        """
        names = identities(documents, prediction_ids=ids)
        batch = FeedbackBatch(names, documents, labels, SOURCE, prediction_id=ids)
        self._count(self._database.run(lambda conn: add_feedback(conn, self.use_case.name, batch)), 0)

    def _count(self, counts: FeedbackCounts, rejected: int) -> None:
        self._items["new"].inc(counts.new)
        self._items["corrected"].inc(counts.corrected)
        self._items["duplicate"].inc(counts.duplicates)
        self._items["rejected"].inc(rejected)


def _answer(counts: FeedbackCounts, rejected: Mapping[int, str], more: Mapping[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "accepted": counts.new + counts.corrected,
            "corrected": counts.corrected,
            "duplicates": counts.duplicates,
            "rejected": [{"index": at, "reason": rejected[at]} for at in sorted(rejected)],
            **more,
        }
    )


def _batch(stored: Stored) -> FeedbackBatch:
    return FeedbackBatch(
        stored.identity, stored.documents, stored.labels, SOURCE, stored.times, stored.prediction_ids
    )


def _refused(item: Any, reason: str) -> RefusedRow:
    return RefusedRow(None, reason, item if isinstance(item, dict) else {"item": item})


def _by_row(problems: Sequence[Problem]) -> dict[int, str]:
    reasons: dict[int, list[str]] = {}
    for problem in problems:
        reasons.setdefault(problem.row, []).append(problem.message)
    return {row: "; ".join(messages) for row, messages in reasons.items()}
