"""Take a snapshot: bring the history table up to date, and say which of its rows are learned from.

What that costs follows what has come since production learned: rows that it has learned from, as they stand,
are learned from again, and only the others are looked at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from configs.schema import UseCase
from features.errors import RefusedRow
from features.records.contract import LabelContract
from store.feedback.rows import NO_KEY, FeedbackRows
from store.feedback.sources import held_sources
from store.history.batches import Mark, add_batches, read_mark
from store.history.draws import Shares
from store.history.kinds import IS_ROW, as_of
from store.history.layout import objects
from store.history.places import table_of
from store.history.reading import HistoryReader
from store.history.table import HistoryTable
from store.predictions.audits import audited_rows
from store.quarantine.reasons import ReasonTally
from store.snapshots.index import Snapshot, find_snapshot, newest_by_rule
from store.snapshots.learned import AnyLearned, LearnedRows
from store.snapshots.reach import Reach
from store.snapshots.records import Contents, SameRecords, same_records, tells_records
from store.snapshots.rules import Rule, Totals, totals_of
from store.snapshots.sizes import holdout_now
from store.snapshots.splits import split_rows
from store.snapshots.taken_back import count_taken_back
from store.snapshots.uses import HOLDOUT, TRAIN, UNUSED, Split
from store.sources.holding import settle_sources

_NEARLY = 0.25
"""A count of different contents by a sketch is told anew where it is so near to what decides."""


@dataclass(frozen=True)
class Candidates:
    """Rows that production has not learned from as they are, and which of their records it has."""

    rows: FeedbackRows
    """Without their fields."""
    shares: Shares
    others: int
    """Rows that it has learned from, and that are learned from again."""


def take_snapshot(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    home: Path,
    *,
    since: Reach | None,
    learned: AnyLearned,
) -> Snapshot:
    """Freeze all feedback of the use case that fits its configuration; the same rows give the same snapshot.

    Args:
        home: its history table is in `<home>/history`, unless `RATCHET_STORAGE` names another place.
        since: up to where production's snapshot had read; None: there was none.
        learned: what production has learned from.

    Raises:
        HistoryError: the table cannot be read or written.
    """
    sources = settle_sources(conn, use_case)
    batch = add_batches(conn, use_case.name)
    table = table_of(home, use_case.name, use_case.record)
    table.fill(conn, batch)
    mark = read_mark(conn, use_case.name)
    with HistoryReader(table, folder=home / "tmp") as reader:
        left_out, wrong = _left_out(reader, use_case, held := held_sources(conn, use_case.name), batch)
        rule = Rule(table.layout.name, batch, tuple(held), wrong)
        rule = _with_split(conn, reader, use_case, rule, since=since, learned=learned)
        totals = totals_of(reader, rule)
        counts = _count_records(conn, reader, use_case, rule)
    _note(conn, table, rule, totals, counts, mark)
    conn.commit()
    snapshot = find_snapshot(conn, totals.digest)
    return replace(
        snapshot,
        left_out=left_out.reasons,
        group=use_case.record.group,
        left_out_rows=left_out.rows,
        held_back=tuple(one for one in sources if one.held_since),
        taken_back=count_taken_back(conn, totals.digest).since_previous or 0,
    )


def _left_out(
    reader: HistoryReader, use_case: UseCase, held: list[str], batch: int
) -> tuple[ReasonTally, tuple[str, ...]]:
    """Rows that do not fit the configuration, by reason, and the labels that it does not allow."""
    labels = [row[0] for row in reader.rows(f"SELECT DISTINCT label FROM lines WHERE {IS_ROW}")]
    checked = LabelContract(use_case.target, use_case.record.missing).check(labels)[1]
    why = {label: reason for label, reason in zip(labels, checked, strict=True) if reason}
    counts = Rule("", batch, tuple(held)).counts(reader)
    wrong = reader.given({"label": np.array([*why, ""], dtype=object)})
    found = reader.rows(
        "SELECT misfit, CASE WHEN label IN (SELECT label FROM "
        + wrong
        + ") THEN label END AS wrong, count(*),"
        f" arg_min(identity, seq) FROM lines WHERE kind = 'row' AND {as_of(batch)} AND {counts}"
        f" AND (misfit IS NOT NULL OR label IN (SELECT label FROM {wrong})) GROUP BY ALL ORDER BY min(seq)"
    )
    tally = ReasonTally()
    for misfit, label, rows, identity in found:
        reason = "; ".join(one for one in (misfit, why.get(label)) if one is not None)
        tally.add(f"the stored row {identity}", [RefusedRow(None, reason, {}, "record")], times=rows)
    return tally, tuple(sorted(why))


def _with_split(
    conn: psycopg.Connection[Any],
    reader: HistoryReader,
    use_case: UseCase,
    rule: Rule,
    *,
    since: Reach | None,
    learned: AnyLearned,
) -> Rule:
    """The rule with the rows that are held out, and those that are not used."""
    found = _candidates(reader, rule, learned)
    rows = found.rows
    records = _records(reader, use_case, rule, rows, learned)
    config = holdout_now(use_case, has_production=since is not None)
    split = split_rows(
        config,
        records,
        seq=rows.seq,
        shares=found.shares,
        audited=np.isin(rows.seq, audited_rows(conn, use_case.name)),
        is_new=np.ones(len(rows), dtype=np.bool_) if since is None else since.is_beyond(rows.seq),
        others=found.others,
    )
    below = config.fraction if config.by == "hash" else None
    return _with_uses(rule, rows.seq, split, found.shares, below, learned)


def _with_uses(
    rule: Rule,
    seq: NDArray[np.int64],
    split: Split,
    shares: Shares,
    below: float | None,
    learned: AnyLearned,
) -> Rule:
    """The rule with what a split says of the candidates, told as exceptions of what shares say."""
    is_below = np.zeros(len(seq), dtype=np.bool_) if below is None else shares < below
    used = seq[is_below & (split == TRAIN)]
    if below is not None and isinstance(learned, LearnedRows):
        # What production learned from stays so, by whatever share its record had.
        earlier = [one.used for one in learned.parts if isinstance(one, Rule) and one.unused_below == below]
        used = np.unique(np.concatenate([used, *(np.setdiff1d(one, seq) for one in earlier)]))
    return replace(
        rule,
        unused_below=below,
        held_out=np.sort(seq[split == HOLDOUT]),
        unused=np.sort(seq[(split == UNUSED) & ~is_below]),
        used=np.sort(used),
    )


def _candidates(reader: HistoryReader, rule: Rule, learned: AnyLearned) -> Candidates:
    members = rule.members(reader)
    every = reader.one(f"SELECT count(*) FROM lines WHERE {members}")
    not_learned = ""
    if isinstance(learned, LearnedRows):
        not_learned = f" AND NOT ({learned.condition(reader)})"
    found = reader.arrow(
        "SELECT seq, identity, ids, contents, groups, share, label, time FROM lines"
        f" WHERE {members}{not_learned} ORDER BY time, seq"
    )
    rows = FeedbackRows(
        {},
        objects(found["label"]),
        objects(found["identity"]),
        found["seq"].to_numpy(),
        found["time"].to_numpy(),
        *(found[key].to_numpy() for key in ("ids", "contents", "groups")),
    )
    return Candidates(rows, found["share"].to_numpy(), every - len(rows))


def _records(
    reader: HistoryReader, use_case: UseCase, rule: Rule, rows: FeedbackRows, learned: AnyLearned
) -> SameRecords:
    """Which candidates are of one record, and of which production has learned."""
    types = {field.type for field in use_case.record.fields}
    if not isinstance(learned, LearnedRows):
        return same_records(rows, types, learned)
    contents = _contents(reader, rule)
    near = learned.near_in(reader, rows, unlearned=True)
    records = same_records(rows, types, near, of=contents)
    # A record hangs together also by rows that are no candidates: all of those were learned from.
    ids, alone = learned.ids_in(reader, rows.ids, rows.contents, rule.batch)
    linked = np.isin(rows.ids, ids)
    if contents.are_few and tells_records(contents, types):
        linked |= np.isin(rows.contents, alone) & (rows.ids == NO_KEY)
    return replace(records, is_learned=records.is_learned | linked)


def _contents(reader: HistoryReader, rule: Rule) -> Contents:
    """What all rows of a snapshot hold; counted exactly only where a sketch leaves open what follows."""
    members = rule.members(reader)
    rows, about = reader.rows(f"SELECT count(*), approx_count_distinct(contents) FROM lines WHERE {members}")[
        0
    ]
    if about < 10_000 or abs(2 * about - rows) < _NEARLY * rows:
        about = reader.one(f"SELECT count(DISTINCT contents) FROM lines WHERE {members}")
    return Contents(rows, about)


@dataclass(frozen=True)
class RecordCounts:
    """What a snapshot's rows are of."""

    by: str
    """SQL of what tells records apart: group, else own id, else content."""
    records: int
    contradicted: int
    """Those with several labels."""


def _count_records(
    conn: psycopg.Connection[Any], reader: HistoryReader, use_case: UseCase, rule: Rule
) -> RecordCounts:
    """Count records; beside a snapshot of the same rules, only those of which a row came or went."""
    types = {field.type for field in use_case.record.fields}
    last = "nullif(contents, 0), seq)" if tells_records(_contents(reader, rule), types) else "seq)"
    key = f"coalesce(nullif(groups, 0), nullif(ids, 0), {last}"
    before = newest_by_rule(conn, use_case.name)
    if before is None or before.rule is None or before.records is None or before.contradicted is None:
        return RecordCounts(key, *_counted(reader, rule, key, ""))
    earlier = before.rule
    rules = (earlier.table, earlier.held_sources, earlier.wrong_labels, before.counted_by)
    if rules != (rule.table, rule.held_sources, rule.wrong_labels, key) or earlier.batch > rule.batch:
        return RecordCounts(key, *_counted(reader, rule, key, ""))
    reader.execute(
        f"CREATE OR REPLACE TEMP TABLE touched AS SELECT DISTINCT {key} AS key FROM lines"
        f" WHERE {IS_ROW} AND (batch > {earlier.batch} OR gone_in > {earlier.batch})"
    )
    which = " WHERE key IN (SELECT key FROM touched)"
    old, new = (_counted(reader, one, key, which) for one in (earlier, rule))
    return RecordCounts(key, before.records - old[0] + new[0], before.contradicted - old[1] + new[1])


def _counted(reader: HistoryReader, rule: Rule, key: str, which: str) -> tuple[int, int]:
    records, contradicted = reader.rows(
        "SELECT count(*), coalesce(sum(differ::int), 0) FROM (SELECT key, min(label) <> max(label) AS differ"
        f" FROM (SELECT {key} AS key, label FROM lines WHERE {rule.members(reader)}){which} GROUP BY key)"
    )[0]
    return int(records), int(contradicted)


def _note(
    conn: psycopg.Connection[Any],
    table: HistoryTable,
    rule: Rule,
    totals: Totals,
    counts: RecordCounts,
    mark: Mark,
) -> None:
    """Write down what the snapshot is, and up to where was read. The caller commits."""
    conn.execute(
        "INSERT INTO snapshot (digest, use_case, path, rows, train_rows, holdout_rows, first_seq, last_seq,"
        " records, contradicted, settled_at, history, held_out, unused, used)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (digest) DO UPDATE SET path = excluded.path, records = excluded.records,"
        " contradicted = excluded.contradicted, last_seq = excluded.last_seq,"
        " settled_at = CASE WHEN excluded.last_seq > snapshot.last_seq THEN excluded.settled_at"
        " ELSE snapshot.settled_at END, history = excluded.history, held_out = excluded.held_out,"
        " unused = excluded.unused, used = excluded.used",
        (
            totals.digest,
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
            Jsonb({**rule.as_dict(), "counted_by": counts.by}),
            *rule.packed_rows(),
        ),
    )
