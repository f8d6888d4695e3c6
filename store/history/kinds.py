"""What a line of the table is, and which lines stood at a time, in SQL."""

from __future__ import annotations

ROW, SUPERSEDED, GONE = "row", "superseded", "gone"
"""What a line of the table is: a row, a row that was corrected before any batch held it, or the news that an
earlier row is not as it was."""
IS_ROW = f"kind = '{ROW}' AND misfit IS NULL"
"""Lines that are rows and fit the fields."""
IS_ANY_ROW = f"kind <> '{GONE}'"
"""All that were rows once."""


def as_of(batch: int) -> str:
    """SQL of which lines of a table stood when it held so many batches."""
    return f"batch <= {batch} AND (gone_in IS NULL OR gone_in > {batch})"
