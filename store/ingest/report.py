"""What is told of a file while it is read, and once it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from store.quarantine.reasons import RefusedReason


@dataclass(frozen=True)
class IngestReport:
    """What became of the rows of a file; `rows` is the sum of all that became of them."""

    file: str
    rows: int
    new: int
    corrected: int
    duplicates: int
    stale: int
    """Rows that say what was true before something newer that is stored, by whatever way that came."""
    quarantined: int
    newly_quarantined: int
    """Of the quarantined rows, those that were not in quarantine before."""
    seconds: float
    reasons: tuple[RefusedReason, ...] = ()
    """Why rows were quarantined, the reason of most rows first."""
    released: int = 0
    """Rows in quarantine from an earlier reading that are valid now, and have left it."""
    taken_as_missing: dict[str, int] = field(default_factory=dict)
    """What stood for no value to how many cells held it; of more than 20, the most frequent."""
    trimmed: int = 0
    """Cells that lost blanks or invisible characters around what they hold."""
    respelled: int = 0
    """Categories, labels, ids and numbers that were written in another spelling than the one kept."""
    notes: tuple[str, ...] = ()
    """What the file was taken for and nobody had declared: its separator, its encoding."""
    beyond_fence: tuple[str, ...] = ()
    """Values that are kept, though not plausible by what production learned from; a sentence a field."""
    outvoted: int = 0
    """Labels that are kept as what their source says, while other sources decide."""

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class IngestProgress:
    """How far a file has been read: rows so far, and the share of the file (0 to 1)."""

    rows: int
    fraction: float


OnProgress = Callable[[IngestProgress], None]
