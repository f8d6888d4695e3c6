"""How often each value comes, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

MOST_VALUES = 2_000_000
"""Values that are counted at once: up to so many different ones, counts are exact."""


class BoundedCounts:
    """Counts of values; of very many different ones the rarest are forgotten, and begin anew where they come
    again.

    A count may then be too small by `lost` (Manku and Motwani, "Approximate frequency counts over data
    streams", 2002): no value that came more often is missing.

    >>> counts = BoundedCounts(most=3)
    >>> for text in ("aab", "aac", "aade"):
    ...     counts.update(text)
    >>> counts.counts.most_common(1), counts.lost
    ([('a', 6)], 1)
    """

    def __init__(self, most: int = MOST_VALUES) -> None:
        self.counts: Counter[str] = Counter()
        self.lost = 0
        self._most = most

    def update(self, values: Iterable[str]) -> None:
        """Count some."""
        self.counts.update(values)
        if len(self.counts) > self._most:
            self._forget()

    def _forget(self) -> None:
        """Leave out the rarest, half of all at least."""
        least = sorted(self.counts.values())[len(self.counts) // 2]
        self.lost += least
        self.counts = Counter({value: count for value, count in self.counts.items() if count > least})
