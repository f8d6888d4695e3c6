"""Lines of the history table that two snapshots and production may tell apart, and all of their records."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa

from store.history.batches import Numbers
from store.history.reading import LINE, HistoryReader
from store.snapshots.learned import AnyLearned, LearnedRows
from store.snapshots.rules import Rule
from store.splits.hanging import keys_of
from store.splits.kept_lines import seq_of

MOST_KEYS = 250_000
"""Of so many keys lines are looked for by themselves; of more, all lines are gone through."""


@dataclass(frozen=True)
class Recent:
    """Lines that came, or have gone, since an earlier snapshot and since production's, and those they name.

    All others are members of all three or of none, and are learned from in each.
    """

    lines: str
    """Name of a table of them, without their fields."""
    sharing: str
    """Name of a table of all lines that have an id, a content or a group of one of these."""
    before: Rule
    """Of the earlier snapshot."""
    production: Rule

    def goes_with(self, wrong_labels: tuple[str, ...]) -> bool:
        """Whether these are all such lines, where these labels are not allowed now."""
        return self.before.wrong_labels == wrong_labels and set(self.production.wrong_labels) <= set(
            wrong_labels
        )


def recent_lines(
    reader: HistoryReader, before: Rule, kept: pa.Table | None, learned: AnyLearned, held: tuple[str, ...]
) -> Recent | None:
    """Look for them; None: rules have changed, or nothing is learned of, so that any line may be one.

    Args:
        before: of an earlier snapshot; the new one is of the same table.
        kept: lines that are kept of it.
        learned: what production has learned from.
        held: sources whose labels do not count now.
    """
    rules = (
        [part for part in learned.parts if isinstance(part, Rule)] if isinstance(learned, LearnedRows) else []
    )
    if not rules or before.held_sources != held or before.unused_below is not None:
        return None
    # What one part has learned from is learned, whatever the others say.
    production = max(rules, key=lambda rule: rule.batch)
    if production.unused_below is not None or not set(production.held_sources) <= set(held):
        return None
    base = min(before.batch, production.batch)
    gone = reader.numbers("SELECT seq FROM ended WHERE gone_in > ?", [base])
    lists: list[Numbers] = [gone, before.held_out, before.unused, production.held_out, production.unused]
    lines = _named_lines(reader, base, reduce(np.union1d, lists), kept)
    keys = keys_of(
        reader.arrow(f"SELECT ids, contents, groups FROM {lines} WHERE kind <> 'gone' AND misfit IS NULL")
    )
    if sum(map(len, keys.values())) > MOST_KEYS:
        return None
    return Recent(lines, reader.sharing(keys, lines), before, production)


def _named_lines(reader: HistoryReader, base: int, named: Numbers, kept: pa.Table | None) -> str:
    """A table of the lines of batches beyond one, and of those before it that rows have which are named."""
    parts = [f"SELECT {LINE} FROM lines WHERE batch > {base}"]
    if kept is not None:
        wanted = reader.given({"seq": named})
        parts.append(
            f"SELECT {LINE} FROM {reader.shown(kept)} LEFT JOIN ended USING (seq, batch)"
            f" WHERE batch <= {base} AND seq IN (SELECT seq FROM {wanted})"
        )
    if len(rest := np.setdiff1d(named, seq_of(kept))):
        wanted = reader.given({"seq": rest})
        parts.append(f"SELECT {LINE} FROM lines WHERE batch <= {base} AND seq IN (SELECT seq FROM {wanted})")
    return reader.keep(" UNION ALL ".join(parts))
