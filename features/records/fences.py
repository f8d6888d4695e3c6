"""Where numbers and dates of records are no longer plausible by what production learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from features.records.contract import Columns, RecordContract

DAY = np.timedelta64(1, "D")
EPOCH = np.datetime64(0, "us")
END_OF_DATES = np.datetime64("9999-01-01", "us")
FIRST_DATE = np.datetime64("0002-01-01", "us")


@dataclass(frozen=True)
class Beyond:
    """One value beyond its fence."""

    row: int
    field: str
    value: str
    fence: str
    """Least and greatest plausible value, for people."""

    @property
    def note(self) -> str:
        """What becomes of it where it is kept."""
        return (
            f"field '{self.field}': got {self.value}, beyond production's fence, {self.fence}; it is kept, "
            "cut there by the model, and left out of a fit if it is far beyond"
        )

    @property
    def reason(self) -> str:
        """Why it is refused."""
        return f"field '{self.field}': got {self.value}; allowed: {self.fence}, production's fence"


@dataclass(frozen=True)
class Fences:
    """Fields of records to the least and greatest plausible value; dates in days since 1970."""

    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    refuses: bool = False
    """Whether labelled rows beyond are refused."""

    def beyond(self, columns: Columns) -> list[Beyond]:
        """Values of n checked rows that lie beyond, field by field; what is missing lies nowhere."""
        found = []
        for name, (low, high) in self.bounds.items():
            if name not in columns:
                continue
            column = columns[name]
            is_date = column.dtype.kind == "M"
            values = _days(column) if is_date else column.astype(np.float64)
            rows = np.flatnonzero((values < low) | (values > high)).tolist()
            fence = f"{_date(low)} to {_date(high)}" if is_date else f"{low:.6g} to {high:.6g}"
            found += [Beyond(row, name, _shown(column[row]), fence) for row in rows]
        return found

    def beyond_documents(self, contract: RecordContract, documents: Sequence[str]) -> list[Beyond]:
        """The same of records as canonical JSON."""
        if not documents or not self.bounds:
            return []
        rows = [orjson.loads(document) for document in documents]
        fenced = {name: one for name, one in contract.fields.items() if name in self.bounds}
        return self.beyond({name: one.load([row.get(name) for row in rows]) for name, one in fenced.items()})


NO_FENCES = Fences()


class FenceTally:
    """Counts values beyond their fences, by field."""

    def __init__(self, fences: Fences = NO_FENCES) -> None:
        self.fences = fences
        self._first: dict[str, tuple[Beyond, int]] = {}
        self._counts: dict[str, int] = {}

    def check(self, columns: Columns, lines: Sequence[int]) -> list[Beyond]:
        """Values beyond of rows that stand on these lines; those that are kept are counted."""
        found = self.fences.beyond(columns)
        for one in () if self.fences.refuses else found:
            self._first.setdefault(one.field, (one, lines[one.row]))
            self._counts[one.field] = self._counts.get(one.field, 0) + 1
        return found

    @property
    def sentences(self) -> tuple[str, ...]:
        """One a field: how many, and the first of them."""
        return tuple(
            f"{_rows(self._counts[name])}, e.g. line {line}: {one.note}"
            for name, (one, line) in self._first.items()
        )


def _shown(value: Any) -> str:
    return str(value)[:19] if isinstance(value, np.datetime64) else f"{float(value):.6g}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _days(dates: np.ndarray) -> np.ndarray:
    """Days since 1970; dates of the years 1 and 9999 stand for none."""
    stands_for_none = (dates < FIRST_DATE) | (dates >= END_OF_DATES)
    return np.where(stands_for_none, np.nan, (dates - EPOCH) / DAY)


def _date(days: float) -> str:
    """A day, of the years that records may hold."""
    first, last = ((end - EPOCH) / DAY for end in (FIRST_DATE, END_OF_DATES))
    return str((EPOCH + np.timedelta64(int(min(max(days, first), last)), "D")).astype("datetime64[D]"))
