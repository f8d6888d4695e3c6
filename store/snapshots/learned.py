"""What versions have learned from, by all that a row may be known by: its identity, content and group."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, LiteralString

import numpy as np
import psycopg
from numpy.typing import NDArray

from configs.schema import RecordConfig
from store.feedback.rows import CONTENT, GROUP, NO_KEY, FeedbackRows

Keys = NDArray[np.int64]
_NOTHING: Keys = np.array([], dtype=np.int64)
_ROWS: LiteralString = f"""
    SELECT identity, seq, {CONTENT}, {GROUP} FROM (
        SELECT use_case, identity, seq, record, record_group FROM feedback
        UNION ALL
        SELECT use_case, identity, seq, record, record_group FROM feedback_correction
    ) AS kept WHERE use_case = %(use_case)s AND """


@dataclass(frozen=True)
class Learned:
    """Rows that were learned from."""

    identities: frozenset[str] = frozenset()
    arrivals: Keys = field(default_factory=lambda: _NOTHING)
    """Numbers of the rows; one whose label was corrected since has another."""
    contents: Keys = field(default_factory=lambda: _NOTHING)
    groups: Keys = field(default_factory=lambda: _NOTHING)

    def __or__(self, other: Learned) -> Learned:
        return Learned(
            self.identities | other.identities,
            np.union1d(self.arrivals, other.arrivals),
            np.union1d(self.contents, other.contents),
            np.union1d(self.groups, other.groups),
        )

    def holds(self, identities: Collection[str]) -> NDArray[np.bool_]:
        """Which of n rows have an identity that was learned from, shape (n,)."""
        return np.array([identity in self.identities for identity in identities], dtype=np.bool_)

    def holds_truth(self, seq: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of n rows were learned from with the label that they have now, shape (n,)."""
        return np.isin(seq, self.arrivals)

    def holds_record(self, rows: FeedbackRows, *, by_content: bool) -> NDArray[np.bool_]:
        """Which rows are of a record that was learned from, whatever identity they have now, shape (n,).

        Args:
            by_content: whether equal records are one.
        """
        held = self.holds(rows.identities) | np.isin(rows.groups, self.groups)
        return held | np.isin(rows.contents, self.contents) if by_content else held


NOTHING_LEARNED = Learned()


def learned_rows(
    conn: psycopg.Connection[Any],
    use_case: str,
    record: RecordConfig,
    seq: NDArray[np.int64],
    identities: Collection[str],
) -> Learned:
    """The rows of these arrivals, also those that were corrected since.

    Args:
        identities: of the rows, also of those that are not in the database any more.
    """
    found = _read(conn, use_case, record, "seq = ANY(%(seq)s)", {"seq": seq.tolist()})
    return found | Learned(frozenset(identities), np.unique(seq))


def learned_until(conn: psycopg.Connection[Any], use_case: str, record: RecordConfig, seq: int) -> Learned:
    """All rows that had come by an arrival, also those that were corrected since."""
    return _read(conn, use_case, record, "seq <= %(seq)s", {"seq": seq})


def _read(
    conn: psycopg.Connection[Any],
    use_case: str,
    record: RecordConfig,
    condition: LiteralString,
    parameters: dict[str, Any],
) -> Learned:
    parameters |= {"use_case": use_case, "group": record.group}
    rows = conn.execute(_ROWS + condition, parameters).fetchall()
    keys = np.array([row[1:] for row in rows], dtype=np.int64).reshape(-1, 3)
    contents, groups = np.unique(keys[:, 1]), np.unique(keys[:, 2])
    return Learned(
        frozenset(str(row[0]) for row in rows),
        np.unique(keys[:, 0]),
        contents[contents != NO_KEY],
        groups[groups != NO_KEY],
    )
