"""How many rows lie beyond production's fence, and what became of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from configs.schema import UseCase
from features.records.contract import RecordContract
from features.records.fences import Fences
from store.feedback.fences import production_fences, tally_of_production_fit

LOOKED_AT = 1_000
"""So many of the newest labelled rows are held against the fence."""
_NEWEST = "SELECT record FROM feedback WHERE use_case = %s ORDER BY seq DESC LIMIT %s"
_REFUSED = """
    SELECT count(*) FROM quarantine WHERE use_case = %s
        AND EXISTS (SELECT FROM unnest(rules) AS rule WHERE rule LIKE '%%, production''s fence')"""


@dataclass(frozen=True)
class FenceCounts:
    """Counts of one use case that has a fence."""

    kept: int
    """Of the labelled rows that were `looked_at`, those with a value beyond: stored, and cut by the model."""
    looked_at: int
    quarantined: int
    """Rows in quarantine for a value beyond."""
    left_out: int | None
    """Training rows that the fit of production left out; None: nobody wrote it down."""
    cut: int | None
    """Values of production's training rows that were cut."""

    @property
    def sentence(self) -> str | None:
        """Those that are not zero, for people; None: all are."""
        lie = "lies" if self.kept == 1 else "lie"
        newest = f"of the newest {self.looked_at:,} labelled rows {lie} beyond production's fence"
        parts = [
            f"{self.kept:,} {newest}" if self.kept else None,
            _were(self.quarantined, "row", "in quarantine for lying beyond it", are=True),
            _were(self.left_out, "training row", "left out of production's fit"),
            _were(self.cut, "value", "cut", of=" of its training rows"),
        ]
        return "; ".join(part for part in parts if part is not None) or None

    def as_dict(self) -> dict[str, Any]:
        """The counts and the sentence, for JSON."""
        return asdict(self) | {"sentence": self.sentence}


def count_beyond(conn: psycopg.Connection[Any], use_case: UseCase) -> FenceCounts | None:
    """The counts; None where no fence of production is known, or they are off, and nothing was refused."""
    name, fences = use_case.name, production_fences(conn, use_case)
    (refused,) = conn.execute(_REFUSED, (name,)).fetchone() or (0,)
    if not fences.bounds and not refused:
        return None
    kept, looked_at = _count_kept(conn, use_case, fences) if fences.bounds else (0, 0)
    fit = tally_of_production_fit(conn, name)
    return FenceCounts(kept, looked_at, int(refused), fit.get("left_out"), fit.get("cut"))


def _count_kept(conn: psycopg.Connection[Any], use_case: UseCase, fences: Fences) -> tuple[int, int]:
    """Of the newest labelled rows that fit the configuration, those beyond, and all of them."""
    fenced = [one for one in use_case.record.fields if one.name in fences.bounds]
    contract = RecordContract(use_case.record.model_copy(update={"fields": fenced}))
    rows = [row[0] for row in conn.execute(_NEWEST, (use_case.name, LOOKED_AT))]
    checked = contract.check_records(rows)
    return len({one.row for one in fences.beyond(checked.columns)}), len(checked.rows)


def fence_facts(conn: psycopg.Connection[Any], use_case: UseCase) -> dict[str, Any] | None:
    """The counts as plain values."""
    counts = count_beyond(conn, use_case)
    return None if counts is None else counts.as_dict()


def _were(count: int | None, what: str, done: str, *, of: str = "", are: bool = False) -> str | None:
    """So many were, or are, this; None: none, or nobody knows."""
    if not count:
        return None
    verb = ("is" if are else "was") if count == 1 else ("are" if are else "were")
    return f"{count:,} {what if count == 1 else what + 's'}{of} {verb} {done}"
