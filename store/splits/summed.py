"""What is kept of a snapshot so that the next one need not go through the history again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from store.history.reading import HistoryReader
from store.snapshots.rules import Rule, Sums, Totals, totals_of
from store.snapshots.uses import HOLDOUT, TRAIN, UNUSED
from store.splits.recent import Recent
from store.splits.records import Contents

MOST_LABELS = 10_000
"""So many different labels are kept at most; where there are more, they are looked for each time."""


@dataclass(frozen=True)
class Different(Contents):
    """What rows hold, where different contents were counted some time ago, or by a sketch."""

    least: int
    """No fewer are different."""
    most: int
    """No more are."""

    @property
    def is_clear(self) -> bool:
        """Whether all that it may be says the same of records."""
        ends = [Contents(self.rows, one) for one in (self.least, self.most)]
        return len({(one.recur, one.are_few) for one in ends}) == 1

    def after(self, came: int, went: int) -> Different:
        """What rows hold after so many came and others went."""
        rows = self.rows + came - went
        least, most = max(0, self.least - went), self.most + came
        return Different(rows, min(max(self.different, least), most), least, most)


@dataclass(frozen=True)
class Summed:
    """Totals of a snapshot, and what they are of."""

    uri: str
    """Where the table was."""
    files: Mapping[str, str]
    """Its files, and what tells that they are the same (`HistoryTable.identities`)."""
    totals: Totals
    labels: tuple[str, ...] | None
    """All labels that rows of the table have, or had; None: too many to keep."""
    contents: Different

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        totals = self.totals
        return {
            "uri": self.uri,
            "files": dict(self.files),
            "sums": {use: [one.rows, one.first, one.second] for use, one in totals.sums.items()},
            "seq": [totals.first_seq, totals.last_seq],
            "labels": self.labels if self.labels is not None and len(self.labels) <= MOST_LABELS else None,
            "contents": [self.contents.different, self.contents.least, self.contents.most],
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Summed:
        """What `as_dict` gave."""
        sums = {use: Sums(*one) for use, one in document["sums"].items()}
        labels = document["labels"]
        return cls(
            document["uri"],
            document["files"],
            Totals(sums, *document["seq"]),
            None if labels is None else tuple(labels),
            Different(sum(one.rows for one in sums.values()), *document["contents"]),
        )

    def is_of(self, uri: str, files: Mapping[str, str]) -> bool:
        """Whether every file that it was summed up from is there as it was; others may have come."""
        return self.uri == uri and self.files.items() <= files.items()


def summed_up(reader: HistoryReader, earlier: Summed, recent: Recent, rule: Rule) -> Totals | None:
    """Totals of a snapshot by those of an earlier one and what has changed; None: they have to be counted.

    Args:
        rule: of the snapshot; the sources and labels that count are those of the earlier one.
    """
    was, now = (totals_of(reader, one, among=recent.lines) for one in (recent.before, rule))
    sums = {
        use: earlier.totals.sums.get(use, Sums()) - was.sums.get(use, Sums()) + now.sums.get(use, Sums())
        for use in (TRAIN, HOLDOUT, UNUSED)
    }
    totals = earlier.totals
    if not totals.rows:
        return Totals(sums, now.first_seq, now.last_seq)
    gone = {
        int(one)
        for one in reader.numbers(f"SELECT seq FROM {recent.lines} WHERE {_went(reader, recent, rule)}")
    }
    last = max(totals.last_seq, now.last_seq)
    if totals.first_seq in gone or last in gone:
        return None  # which is the first or the last then, only all rows say
    first = min(totals.first_seq, now.first_seq) if now.rows else totals.first_seq
    return Totals(sums, first, last)


def contents_after(reader: HistoryReader, earlier: Summed, recent: Recent, rule: Rule) -> Different:
    """What all rows hold, by what they held and how many have come and gone."""
    came = f"({rule.members(reader)}) AND NOT ({recent.before.members(reader)})"
    counted = [
        int(reader.one(f"SELECT count(*) FROM {recent.lines} WHERE {one}"))
        for one in (came, _went(reader, recent, rule))
    ]
    return earlier.contents.after(*counted)


def _went(reader: HistoryReader, recent: Recent, rule: Rule) -> str:
    """SQL of lines that the earlier snapshot holds and this one does not."""
    return f"({recent.before.members(reader)}) AND NOT ({rule.members(reader)})"
