"""Batches of a labelled file as rows to store and rows refused, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from features.errors import RefusedRow, RowKind
from features.files.batches import Batch, Lines, Source
from features.files.labelled_rows import LabelledRows, RowReader
from features.records.contract import take
from features.records.fences import FenceTally
from store.feedback.event_times import future_problem, latest_allowed
from store.feedback.identity import FirstContents, KeyCounts, digest, identities, keys_of
from store.feedback.insertion import FeedbackBatch
from store.feedback.sources import FILE, own_name


@dataclass(frozen=True)
class Prepared:
    """A batch that is checked: rows to store, where each stands, and those refused."""

    feedback: FeedbackBatch
    lines: Lines
    refused: tuple[RefusedRow, ...]
    was_refused: tuple[RefusedRow, ...] = ()
    """Valid rows on lines of which something is in quarantine, as they arrived."""


def prepare(
    reader: RowReader,
    source: Source,
    in_quarantine: Lines | None = None,
    *,
    door: str = FILE,
    fences: FenceTally | None = None,
) -> Iterator[tuple[Prepared, float]]:
    """Check the rows of a source, a batch at a time, and say how far it has been read (0 to 1).

    Args:
        in_quarantine: lines of which something is in quarantine; valid rows there are told as they arrived.
        door: the source of labels of which the file names none.
        fences: is told of values beyond; None: there are no fences.
    """
    fences = fences or FenceTally()
    key_counts, first_contents = KeyCounts(), FirstContents()
    for batch in source.batches:
        rows = reader.read(batch)
        documents = reader.contract.to_json(rows.columns)
        unfit = _still_to_come(reader, rows)
        unfit = _beyond(fences, rows) | unfit
        unfit = _contradicting(rows, documents, first_contents, unfit) | unfit
        if unfit:
            rows, documents = _refuse_rows(batch, rows, documents, unfit)
        times = _time_texts(rows)
        names = identities(
            documents,
            ids=rows.ids,
            times=times,
            sources=None if rows.sources is None else [name or "" for name in rows.sources],
            key_counts=key_counts,
        )
        said_by = door if rows.sources is None else [own_name(door, name) for name in rows.sources]
        feedback = FeedbackBatch(
            names,
            documents,
            rows.labels,
            source.name,
            times,
            record_group=rows.groups,
            said_by=said_by,
            told_now=False,
        )
        was_refused = _was_refused(batch, rows, in_quarantine)
        yield Prepared(feedback, rows.lines, rows.refused, was_refused), rows.fraction


class Unfit(NamedTuple):
    """Why a row whose cells are valid is refused, and how it is tried again."""

    reason: str
    kind: RowKind


def _still_to_come(reader: RowReader, rows: LabelledRows) -> dict[int, Unfit]:
    """By position, rows whose time is in the future: one of 9999 would be the newest for ever."""
    future = np.flatnonzero(rows.times > np.datetime64(latest_allowed(), "us"))
    return {
        row: Unfit(future_problem(f"column '{reader.record.time_column}'", f"{rows.times[row]}Z"), "row")
        for row in future.tolist()
    }


def _beyond(fences: FenceTally, rows: LabelledRows) -> dict[int, Unfit]:
    """By position, rows beyond production's fences, where those are refused."""
    reasons: dict[int, list[str]] = {}
    for one in fences.check(rows.columns, rows.lines.tolist()):
        reasons.setdefault(one.row, []).append(one.reason)
    refused = reasons if fences.fences.refuses else {}
    return {row: Unfit("; ".join(parts), "row") for row, parts in refused.items()}


def _contradicting(
    rows: LabelledRows, documents: list[str], first: FirstContents, unfit: Collection[int]
) -> dict[int, Unfit]:
    """By position, rows whose id stood earlier in the file, at the same time or without one and of the
    same source, with another record or label: which of the two is right cannot be known.
    """
    with_id = [row for row, row_id in enumerate(rows.ids) if row_id is not None and row not in unfit]
    if not with_id:
        return {}
    sources = rows.sources or [None] * len(rows.ids)
    ids = keys_of(digest([f"{rows.ids[row]}@{rows.times[row]} {sources[row] or ''}" for row in with_id]))
    contents = keys_of(digest([f"{documents[row]}@{rows.labels[row]}" for row in with_id]))
    places = [with_id[row] for row in np.flatnonzero(first.contradict(ids, contents)).tolist()]
    return {
        row: Unfit(f"id '{rows.ids[row]}' stands earlier in the file with another record or label", "second")
        for row in places
    }


def _refuse_rows(
    batch: Batch, rows: LabelledRows, documents: list[str], reasons: Mapping[int, Unfit]
) -> tuple[LabelledRows, list[str]]:
    """Refuse rows by position."""
    places = sorted(reasons)
    refused = tuple(
        RefusedRow(line, reasons[row].reason, content, reasons[row].kind)
        for row, (line, content) in zip(places, _as_arrived(batch, rows.lines[places]), strict=True)
    )
    keep = [row for row in range(len(documents)) if row not in reasons]
    remaining = LabelledRows(
        take(rows.columns, keep),
        [rows.labels[row] for row in keep],
        [rows.ids[row] for row in keep],
        rows.times[keep],
        rows.lines[keep],
        rows.refused + refused,
        rows.fraction,
        None if rows.groups is None else [rows.groups[row] for row in keep],
        None if rows.sources is None else [rows.sources[row] for row in keep],
    )
    return remaining, [documents[row] for row in keep]


def _was_refused(batch: Batch, rows: LabelledRows, in_quarantine: Lines | None) -> tuple[RefusedRow, ...]:
    if in_quarantine is None or not len(in_quarantine):
        return ()
    lines = rows.lines[np.isin(rows.lines, in_quarantine)]
    return tuple(RefusedRow(line, "", content) for line, content in _as_arrived(batch, lines))


def _as_arrived(batch: Batch, lines: Lines) -> list[tuple[int, dict[str, Any]]]:
    """The cells of some rows of a batch, in order, each with its line."""
    held = batch.contents(np.flatnonzero(np.isin(batch.lines, lines)).tolist())
    return list(zip(lines.tolist(), held, strict=True))


def _time_texts(rows: LabelledRows) -> list[str | None] | None:
    absent = np.isnat(rows.times)
    if absent.all():
        return None
    texts = np.char.add(np.datetime_as_string(rows.times, unit="us"), "Z").tolist()
    return [None if is_absent else text for text, is_absent in zip(texts, absent.tolist(), strict=True)]
