"""How many records a snapshot's rows are of, counted anew only where rows came or went since the last one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from configs.schema import UseCase
from store.feedback.rows import NO_KEY
from store.history.kinds import IS_ROW
from store.history.layout import numbers_of
from store.history.reading import HistoryReader
from store.snapshots.index import Snapshot
from store.snapshots.rules import Rule
from store.splits.hanging import KINDS, hanging_together, keyed, keys_of
from store.splits.recent import Recent
from store.splits.records import Contents, ToldBy, count_contradicted, joined, told_by
from store.splits.summed import Different

_SKETCHED = 0.125
"""A count of different contents by a sketch is hardly ever further off than this."""
_FEW = 10_000
"""Of fewer a sketch is not believed."""


@dataclass(frozen=True)
class RecordCounts:
    """What the rows of a snapshot are of."""

    by: str
    """What tells records apart besides ids and groups (`store.splits.records.ToldBy`)."""
    records: int
    contradicted: int
    """Those that have rows with different labels."""


def count_records(
    reader: HistoryReader,
    rule: Rule,
    use_case: UseCase,
    before: Snapshot | None,
    *,
    contents: Contents,
    recent: Recent | None = None,
) -> RecordCounts:
    """Count the records of a snapshot.

    Args:
        before: the newest snapshot; where its rules were the same, only what hangs together with rows that
            came or went since is counted anew.
        contents: what all rows hold.
        recent: lines since that snapshot, where they are known.
    """
    by = told_by(contents, {field.type for field in use_case.record.fields})
    earlier = _comparable(before, rule, by)
    touched = None if earlier is None else _touched(reader, earlier, rule, by, recent)
    if before is None or earlier is None or touched is None:
        rows = reader.arrow(keyed(rule.members(reader), by, "label"))
        return RecordCounts(by, *_counted(rows))
    was, now = (_counted(touched.filter(touched[side])) for side in ("was", "now"))
    records, contradicted = before.records or 0, before.contradicted or 0
    return RecordCounts(by, records - was[0] + now[0], contradicted - was[1] + now[1])


def contents_of(reader: HistoryReader, rule: Rule) -> Different:
    """What all rows of a snapshot hold; counted exactly only where a sketch leaves open what follows."""
    members = rule.members(reader)
    rows, about = reader.rows(f"SELECT count(*), approx_count_distinct(contents) FROM lines WHERE {members}")[
        0
    ]
    sketched = Different(rows, about, int(about * (1 - _SKETCHED)), int(about * (1 + _SKETCHED)))
    if about >= _FEW and sketched.is_clear:
        return sketched
    exact = reader.one(f"SELECT count(DISTINCT contents) FROM lines WHERE {members}")
    return Different(rows, exact, exact, exact)


def _comparable(before: Snapshot | None, rule: Rule, by: str) -> Rule | None:
    """The rule of a snapshot whose counts can be gone on from."""
    if before is None or before.rule is None or before.records is None or before.contradicted is None:
        return None
    earlier = before.rule
    rules = (earlier.table, earlier.held_sources, earlier.wrong_labels, before.counted_by)
    same = rules == (rule.table, rule.held_sources, rule.wrong_labels, by)
    return earlier if same and earlier.batch <= rule.batch else None


def _touched(
    reader: HistoryReader, earlier: Rule, rule: Rule, by: ToldBy, recent: Recent | None
) -> pa.Table | None:
    """All rows of then and now of records of which a row came or went; None: too much hangs together."""
    was, now = earlier.members(reader), rule.members(reader)
    either = f"(({was}) OR ({now}))"
    changed = f"{IS_ROW} AND (batch > {earlier.batch} OR gone_in > {earlier.batch}) AND {either}"
    columns = f"seq, label, ({was}) AS was, ({now}) AS now"
    lines, near = ("lines", None) if recent is None else (recent.lines, recent.sharing)
    seeds = reader.arrow(keyed(changed, by, columns, lines))
    found = hanging_together(reader, either, by, columns, keys_of(seeds), near)
    if found is None:
        return None
    # A row without any key hangs together with nothing, and is found only because it came or went itself.
    alone = np.ones(len(seeds), dtype=np.bool_)
    for kind in KINDS:
        alone &= seeds[kind].to_numpy() == NO_KEY
    return pa.concat_tables([found, seeds.filter(pa.array(alone))])


def _counted(rows: pa.Table) -> tuple[int, int]:
    """Records among rows, and those with several labels."""
    entities = joined(len(rows), [rows[kind].to_numpy() for kind in KINDS])
    return int(entities.max(initial=-1)) + 1, count_contradicted(entities, numbers_of(rows["label"]))
