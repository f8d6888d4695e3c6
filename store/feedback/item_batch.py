"""Checked items of a request as rows to store: the same when they arrive and when they are tried again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from features.records.contract import RecordContract
from features.records.stored_records import check_stored
from store.feedback.event_times import future_problem, latest_allowed
from store.feedback.identity import identities
from store.feedback.insertion import FeedbackBatch
from store.feedback.items import CheckedItems, Item
from store.feedback.sources import OPEN, own_name


class PredictedRecord(NamedTuple):
    """What was predicted on: canonical JSON, and its own id and group where it had any."""

    document: str
    own_id: str | None
    group: str | None


NOT_PREDICTED = PredictedRecord("", None, None)
"""Of an item that brought its record along."""


def reject_future(items: CheckedItems) -> None:
    """Reject items whose event is still to come: one of the year 9999 would be the newest for ever."""
    latest = latest_allowed().isoformat(timespec="microseconds") + "Z"
    for item in items.valid:
        if item.time is not None and item.time > latest:
            items.rejected[item.index] = future_problem("event_time", item.time)
    items.valid = [item for item in items.valid if item.index not in items.rejected]


def records_of_items(contract: RecordContract, items: CheckedItems, *, strict: bool) -> dict[int, str]:
    """Records that items brought along, as canonical JSON by index; items with a bad one are rejected.

    Args:
        strict: whether a field that the use case does not have makes one bad.
    """
    sent = [item for item in items.valid if item.prediction_id is None]
    records = [item.record for item in sent]
    checked = contract.check_records(records)
    unknown = contract.find_unknown(records, checked.problems) if strict else []
    reasons: dict[int, list[str]] = {}
    for problem in (*checked.problems, *unknown):
        reasons.setdefault(sent[problem.row].index, []).append(problem.message)
    items.rejected.update({index: "; ".join(messages) for index, messages in reasons.items()})
    documents = zip(checked.rows.tolist(), contract.to_json(checked.columns), strict=True)
    return {sent[row].index: text for row, text in documents if sent[row].index not in reasons}


def records_of_predictions(
    contract: RecordContract, items: CheckedItems, predictions: Mapping[str, Mapping[str, Any]]
) -> dict[int, PredictedRecord]:
    """Records of the predictions that items name, by index of the item.

    An item is rejected whose prediction is not known, or was made of a record that the configuration of
    today refuses.

    Args:
        predictions: by id, as `store.feedback.insertion.find_predictions` gives them.
    """
    ids = list(predictions)
    checked = check_stored(contract, [predictions[one]["record"] for one in ids])
    # As it would be stored with the record: equal records are equal texts.
    texts = zip(checked.rows.tolist(), contract.to_json(checked.columns), strict=True)
    stored = [(predictions[one]["record_id"], predictions[one]["record_group"]) for one in ids]
    records = {ids[row]: PredictedRecord(text, *stored[row]) for row, text in texts}
    misfits = {ids[problem.row]: problem.message for problem in reversed(checked.problems)}
    for item in items.valid:
        if (one := item.prediction_id) is None or one in records:
            continue
        unknown = f"prediction_id: no prediction '{one[:80]}' is known"
        earlier = f"the record of prediction '{one[:80]}' is one of an earlier configuration: "
        items.rejected[item.index] = earlier + misfits[one] if one in misfits else unknown
    named = [(item.index, item.prediction_id) for item in items.valid]
    return {index: records[one] for index, one in named if one is not None and one in records}


def make_batch(
    items: CheckedItems,
    sent: Mapping[int, str],
    predicted: Mapping[int, PredictedRecord],
    source: str,
    said_by: str = OPEN,
) -> tuple[FeedbackBatch, list[int]]:
    """The items that have a record; of two of one source that contradict each other, the later is rejected.

    Of different times they do not: the newer one stands.

    Args:
        sent: canonical JSON of records that came with their label, by index of the item.
        predicted: records of predictions, by index of the item.
        said_by: whose request it was, or of items that name no source.

    Returns:
        The rows, and the index of the item that each is.
    """
    records = {**sent, **{index: one.document for index, one in predicted.items()}}
    with_record = [item for item in items.valid if item.index in records]
    names = identities(
        [records[item.index] for item in with_record],
        prediction_ids=[item.prediction_id for item in with_record],
        ids=[item.own_id for item in with_record],
        times=[item.time for item in with_record],
        sources=[item.source or "" for item in with_record],
    )
    named = list(zip(names, with_record, strict=True))
    contradictions = _contradictions(named, records)
    items.rejected |= contradictions
    accepted = [(name, item) for name, item in named if item.index not in contradictions]

    logged = [predicted.get(item.index, NOT_PREDICTED) for _, item in accepted]
    batch = FeedbackBatch(
        identity=[name for name, _ in accepted],
        record_json=[records[item.index] for _, item in accepted],
        label=[item.label for _, item in accepted],
        source=source,
        event_time=[item.time for _, item in accepted],
        prediction_id=[item.prediction_id for _, item in accepted],
        record_id=[one.own_id for one in logged],
        record_group=[
            one.group if item.group is None else item.group
            for one, (_, item) in zip(logged, accepted, strict=True)
        ],
        said_by=[own_name(said_by, item.source) for _, item in accepted],
    )
    return batch, [item.index for _, item in accepted]


def _contradictions(named: Sequence[tuple[str, Item]], records: Mapping[int, str]) -> dict[int, str]:
    """By index, items that say of a row, time and source something else than the first that names them.

    Args:
        named: the identity of the row of each item, in the order of the request.
        records: canonical JSON, by index of the item.
    """
    first_of_time: dict[tuple[str, str | None, str | None], Item] = {}
    reasons: dict[int, str] = {}
    for name, item in named:
        first = first_of_time.setdefault((name, item.time, item.source), item)
        if (first.label, records[first.index]) != (item.label, records[item.index]):
            reasons[item.index] = f"contradicts item {first.index} of the same request"
    return reasons
