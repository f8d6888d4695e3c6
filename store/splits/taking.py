"""Take a snapshot: bring the history table up to date, and say which of its rows are learned from.

What that costs follows what has come since production learned: rows that it has learned from, as they stand,
are learned from again, and only the others are looked at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from configs.schema import UseCase
from features.errors import RefusedRow
from features.records.contract import LabelContract
from store.errors import HistoryDamaged
from store.feedback.rows import NO_KEY, FeedbackRows
from store.feedback.sources import held_sources
from store.history.batches import Mark, add_batches, read_mark
from store.history.draws import Shares
from store.history.kinds import IS_ROW, ROW, as_of
from store.history.places import table_of
from store.history.reading import HistoryReader
from store.history.table import HistoryTable
from store.predictions.audits import audited_rows
from store.quarantine.reasons import ReasonTally
from store.snapshots.index import Snapshot, find_snapshot, newest_by_rule
from store.snapshots.learned import AnyLearned, LearnedRows
from store.snapshots.reach import Reach
from store.snapshots.restoring import make_again
from store.snapshots.rules import Rule, Totals, totals_of
from store.snapshots.taken_back import count_taken_back
from store.snapshots.uses import HOLDOUT, TRAIN, UNUSED, Split
from store.sources.holding import settle_sources
from store.splits.kept_lines import note_lines, packed_lines, read_lines
from store.splits.recent import Recent, recent_lines
from store.splits.record_counts import RecordCounts, contents_of, count_records
from store.splits.records import SameRecords, same_records, told_by
from store.splits.row_keys import read_row_keys
from store.splits.sizes import holdout_now
from store.splits.splits import split_rows
from store.splits.summed import Different, Summed, contents_after, summed_up


@dataclass(frozen=True)
class LookedAt:
    """Rows of which a split says one by one how they are used."""

    rows: FeedbackRows
    """Without their fields."""
    shares: Shares
    records: SameRecords
    others: int
    """Rows that production has learned from, and that are learned from again."""


def take_snapshot(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    home: Path,
    *,
    since: Reach | None,
    learned: AnyLearned,
) -> Snapshot:
    """Freeze all feedback of the use case that fits its configuration; the same rows give the same snapshot.

    A table that is damaged is made again from the database.

    Args:
        home: where the history table is, in `history/`.
        since: up to where production's snapshot had read; None: there was none.
        learned: what production has learned from.

    Raises:
        HistoryError: the table cannot be read or written.
    """
    sources = settle_sources(conn, use_case)
    batch = add_batches(conn, use_case.name, use_case.record)
    table = table_of(home, use_case.name, use_case.record)
    table.fill(conn, batch)
    taking = _Taking(conn, use_case, table, batch, home / "work", since, learned)
    try:
        taken = taking.take()
    except HistoryDamaged as damage:
        make_again(conn, table, damage)
        taken = taking.take()
    return replace(
        taken,
        group=use_case.record.group,
        held_back=tuple(one for one in sources if one.held_since),
        taken_back=count_taken_back(conn, taken.digest).since_previous or 0,
    )


@dataclass(frozen=True)
class _Taking:
    """All that a snapshot is taken of."""

    conn: psycopg.Connection[Any]
    use_case: UseCase
    table: HistoryTable
    batch: int
    scratch: Path
    since: Reach | None
    learned: AnyLearned

    def take(self) -> Snapshot:
        """
        Raises:
            HistoryDamaged: the table is not what it was.
        """
        conn, use_case = self.conn, self.use_case
        held = tuple(held_sources(conn, use_case.name))
        before = newest_by_rule(conn, use_case.name)
        with HistoryReader(self.table, folder=self.scratch) as reader:
            files = self.table.identities(reader.files)
            earlier = _summed(before, reader)
            is_as_it_was = earlier is not None and earlier.is_of(reader.uri, files)
            if not is_as_it_was:
                ensure_held(reader, before)
            kept = read_lines(conn, before.digest) if before is not None and is_as_it_was else None
            past = _past(reader, use_case, before, earlier, kept, learned=self.learned, held=held)
            labels = _labels(reader, past)
            left_out, wrong = _left_out(reader, use_case, labels, held, self.batch)
            rule = Rule(self.table.layout.name, self.batch, held, wrong)
            past = past if past is not None and past.recent.goes_with(wrong) else None
            contents = _contents(reader, rule, past)
            looked_at = _looked_at(reader, use_case, rule, self.learned, contents, past)
            rule = _with_split(conn, use_case, rule, looked_at, since=self.since)
            totals = _totals(reader, rule, past)
            recent = None if past is None else past.recent
            packed = _packed(reader, rule, recent)
            counts = count_records(reader, rule, use_case, before, contents=contents, recent=recent)
        summed = Summed(self.table.uri, files, totals, labels, contents)
        _note(conn, self.table, rule, summed, counts, read_mark(conn, use_case.name, self.batch))
        digest = totals.digest_of(use_case.name)
        note_lines(conn, use_case.name, digest, packed)
        conn.commit()
        snapshot = find_snapshot(conn, digest)
        return replace(snapshot, left_out=left_out.reasons, left_out_rows=left_out.rows)


def ensure_held(reader: HistoryReader, before: Snapshot | None) -> None:
    """
    Raises:
        HistoryDamaged: the table does not hold any more what the newest snapshot held.
    """
    if before is None or before.rule is None or before.rule.table != reader.layout.name:
        return
    if not totals_of(reader, before.rule).are_of(before.use_case, before.digest):
        raise HistoryDamaged(
            f"the table of labelled rows at {reader.uri} does not hold what snapshot {before.digest[:12]} did"
        )


@dataclass(frozen=True)
class _Past:
    """An earlier snapshot, and all lines that may be another thing to the new one."""

    summed: Summed
    recent: Recent


def _summed(before: Snapshot | None, reader: HistoryReader) -> Summed | None:
    """What an earlier snapshot of the same table was summed up to; None: nobody knows."""
    if before is None or before.rule is None or before.summed is None:
        return None
    if before.rule.table != reader.layout.name:
        return None
    summed = Summed.read(before.summed)
    return summed if summed.totals.are_of(before.use_case, before.digest) else None


def _past(
    reader: HistoryReader,
    use_case: UseCase,
    before: Snapshot | None,
    summed: Summed | None,
    kept: pa.Table | None,
    *,
    learned: AnyLearned,
    held: tuple[str, ...],
) -> _Past | None:
    """What there is to go on from; None: all rows are looked at."""
    if before is None or before.rule is None or summed is None or use_case.training.holdout.by == "hash":
        return None
    recent = recent_lines(reader, before.rule, kept, learned, held)
    return None if recent is None else _Past(summed, recent)


def _packed(reader: HistoryReader, rule: Rule, recent: Recent | None) -> bytes | None:
    """Rows that the next snapshot looks at again, whether production is this one or stays as it is."""
    if rule.unused_below is not None:
        return None  # it looks at all
    rules, lines = ((rule,), "lines") if recent is None else ((rule, recent.production), recent.lines)
    return packed_lines(
        reader, lines, reduce(np.union1d, [rows for one in rules for rows in (one.held_out, one.unused)])
    )


def _labels(reader: HistoryReader, past: _Past | None) -> tuple[str, ...]:
    """All labels that rows have, or had."""
    known = None if past is None else past.summed.labels
    lines = "lines" if past is None or known is None else past.recent.lines
    found = {row[0] for row in reader.rows(f"SELECT DISTINCT label FROM {lines} WHERE {IS_ROW}")}
    return tuple(sorted(found | set(known or ())))


def _contents(reader: HistoryReader, rule: Rule, past: _Past | None) -> Different:
    """What all rows hold: counted anew where what they held leaves open what follows."""
    if past is not None:
        contents = contents_after(reader, past.summed, past.recent, rule)
        if contents.is_clear:
            return contents
    return contents_of(reader, rule)


def _totals(reader: HistoryReader, rule: Rule, past: _Past | None) -> Totals:
    summed = None if past is None else summed_up(reader, past.summed, past.recent, rule)
    return totals_of(reader, rule) if summed is None else summed


def _left_out(
    reader: HistoryReader,
    use_case: UseCase,
    labels: tuple[str, ...],
    held: tuple[str, ...],
    batch: int,
) -> tuple[ReasonTally, tuple[str, ...]]:
    """Rows that do not fit the configuration, by reason, and the labels that it does not allow."""
    checked = LabelContract(use_case.target, use_case.record.missing).check(list(labels))[1]
    why = {label: reason for label, reason in zip(labels, checked, strict=True) if reason}
    stands = f"kind = '{ROW}' AND {as_of(batch)} AND {Rule('', batch, held).counts(reader)}"
    wrong = f"label IN (SELECT label FROM {reader.given({'label': np.array([*why, ''], dtype=object)})})"
    told = "count(*), arg_min(identity, seq), min(seq)"
    asked = f"SELECT misfit, CASE WHEN {wrong} THEN label END, {told} FROM lines"
    # By itself, as files say whether they have any; with others, each row would be looked at.
    found = reader.rows(f"{asked} WHERE misfit IS NOT NULL AND {stands} GROUP BY ALL")
    if why:
        found += reader.rows(f"{asked} WHERE misfit IS NULL AND {wrong} AND {stands} GROUP BY ALL")
    tally = ReasonTally()
    for misfit, label, rows, identity, _ in sorted(found, key=lambda one: int(one[4])):
        reason = "; ".join(one for one in (misfit, why.get(label)) if one is not None)
        tally.add(f"the stored row {identity}", [RefusedRow(None, reason, {}, "record")], times=rows)
    return tally, tuple(sorted(why))


def _with_split(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    rule: Rule,
    looked_at: LookedAt,
    *,
    since: Reach | None,
) -> Rule:
    """The rule with the rows that are held out, and those that are not used."""
    config = holdout_now(use_case, has_production=since is not None)
    rows = looked_at.rows
    split = split_rows(
        config,
        looked_at.records,
        seq=rows.seq,
        shares=looked_at.shares,
        audited=np.isin(rows.seq, audited_rows(conn, use_case.name)),
        is_new=np.ones(len(rows), dtype=np.bool_) if since is None else since.is_beyond(rows.seq),
        others=looked_at.others,
    )
    below = config.fraction if config.by == "hash" else None
    return _with_uses(rule, rows.seq, split, looked_at.shares, below)


def _with_uses(rule: Rule, seq: NDArray[np.int64], split: Split, shares: Shares, below: float | None) -> Rule:
    """The rule with what a split says of rows, told as exceptions of what their own shares say."""
    is_below = np.zeros(len(seq), dtype=np.bool_) if below is None else shares < below
    return replace(
        rule,
        unused_below=below,
        held_out=np.sort(seq[split == HOLDOUT]),
        unused=np.sort(seq[(split == UNUSED) & ~is_below]),
        used=np.sort(seq[is_below & (split == TRAIN)]),
    )


def _looked_at(
    reader: HistoryReader,
    use_case: UseCase,
    rule: Rule,
    learned: AnyLearned,
    contents: Different,
    past: _Past | None,
) -> LookedAt:
    """The rows that a split has to look at: those that production has not learned from as they are.

    By a share of all records (`holdout: {by: hash}`) all others too: what becomes of a record hangs on the
    first of its rows.
    """
    members, whole = rule.members(reader), use_case.training.holdout.by == "hash"
    every = contents.rows
    types = {field.type for field in use_case.record.fields}
    lines, sharing = ("lines", "lines") if past is None else (past.recent.lines, past.recent.sharing)
    if not isinstance(learned, LearnedRows):
        # Identities are the most of a long history in memory, and nobody asks where nothing was learned.
        rows, shares, _ = read_row_keys(
            reader, lines, members, known="false" if learned.identities else "true"
        )
        return LookedAt(rows, shares, same_records(rows, types, learned), every - len(rows))
    condition = f"({learned.condition(reader)})"
    which = members if whole else f"{members} AND NOT {condition}"
    rows, shares, known = read_row_keys(reader, lines, which, known=condition)
    near = learned.near_in(reader, rows.take(~known), unlearned=True, among=sharing)
    records = same_records(rows, types, near, of=contents, known=known)
    if not whole:
        # A record hangs together also by rows that are not looked at: all of those were learned from.
        ids, alone = learned.ids_in(reader, rows.ids, rows.contents, rule.batch, among=sharing)
        linked = np.isin(rows.ids, ids)
        if told_by(contents, types) == "content_without_id":
            linked |= np.isin(rows.contents, alone) & (rows.ids == NO_KEY)
        records = replace(records, is_learned=records.is_learned | linked)
    return LookedAt(rows, shares, records, every - len(rows))


def _note(
    conn: psycopg.Connection[Any],
    table: HistoryTable,
    rule: Rule,
    summed: Summed,
    counts: RecordCounts,
    mark: Mark,
) -> None:
    """Write down what the snapshot is, and up to where was read. The caller commits."""
    totals = summed.totals
    conn.execute(
        "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq,"
        " records, contradicted, settled_at, summed, history, held_out, unused, used)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (digest) DO UPDATE SET path = excluded.path, records = excluded.records,"
        " contradicted = excluded.contradicted, last_seq = excluded.last_seq,"
        " settled_at = CASE WHEN excluded.last_seq > snapshot.last_seq THEN excluded.settled_at"
        " ELSE snapshot.settled_at END, history = excluded.history, held_out = excluded.held_out,"
        " unused = excluded.unused, used = excluded.used, summed = excluded.summed",
        (
            totals.digest_of(table.use_case),
            table.use_case,
            table.uri,
            sum(totals.rows.values()),
            totals.rows.get(TRAIN, 0),
            totals.rows.get(HOLDOUT, 0),
            totals.first_seq,
            mark.last_seq,
            counts.records,
            counts.contradicted,
            mark.settled_at,
            Jsonb(summed.as_dict()),
            Jsonb({**rule.as_dict(), "counted_by": counts.by}),
            *rule.packed_rows(),
        ),
    )
