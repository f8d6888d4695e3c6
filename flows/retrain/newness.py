"""What a retrain learns from that production has not: new labels, and rows that were held out for it.

Held-out rows of one retrain may be learned from by the next, which then gains by them without a new label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from flows.context import LoopContext
from flows.retrain.production import Production
from models.production.tags import SNAPSHOT_TAG
from store.errors import SnapshotError
from store.snapshots.index import find_snapshot


@dataclass(frozen=True)
class Newness:
    """Among rows to learn from."""

    rows: int
    """All of them."""
    new: int
    """Labels that came, or were corrected, since production's snapshot."""
    returned: int
    """Rows that were held out of production's snapshot, so that it could be judged."""
    since: int
    """Production's version."""

    @property
    def sentence(self) -> str | None:
        """What a person should know: more is learned of rows that were held out than of new ones."""
        if self.returned <= self.new:
            return None
        label, row = "label is" if self.new == 1 else "labels are", "row" if self.returned == 1 else "rows"
        return (
            f"of {self.rows:,} rows to learn from {self.new:,} {label} new since version {self.since}, and "
            f"{self.returned:,} {row} had been held out when that was made: a gain may be due to those"
        )

    def as_dict(self) -> Mapping[str, int]:
        """As plain values, for JSON."""
        return asdict(self)


def newness_of(context: LoopContext, production: Production, seq: NDArray[np.int64]) -> Newness | None:
    """How many of the rows with these numbers production has not learned from, and why.

    Args:
        seq: shape (rows,).

    Returns:
        None where there is no production, or nobody knows which rows were held out for it.
    """
    version, reach = production.version, production.reach
    digest = None if version is None else version.tags.get(SNAPSHOT_TAG)
    if version is None or reach is None or digest is None:
        return None
    with context.connect() as conn:
        try:
            rule = find_snapshot(conn, digest).rule
        except SnapshotError:  # it was made on another database
            return None
    if rule is None:  # of an earlier release, or pruned
        return None
    is_new = reach.is_beyond(seq)
    returned = np.isin(seq, rule.held_out) & ~is_new
    return Newness(len(seq), int(is_new.sum()), int(returned.sum()), version.version)
