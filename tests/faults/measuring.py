"""How a fault is measured: from the moment it begins until all is well, then against the page."""

from __future__ import annotations

from tests.faults.callers import Callers, count_lost
from tests.faults.installation import Installation, Watched
from tests.faults.table import Measured, differences, rows

MEASURED: list[Measured] = []
"""Everything that this run has measured, for the table at its end."""


def measure(
    fault: str, installation: Installation, callers: Callers, watched: Watched, ended: float
) -> Measured:
    """Wait until all is well, compare with the page, and keep what was measured.

    Args:
        watched: from the beginning of the fault; goes on here.
        ended: when it ended, or when something was killed (`time.monotonic()`).
    """
    callers.wait_for_good()
    installation.wait_until_well(watched)
    well = max(watched.last_bad, callers.last_bad(ended), ended)
    with installation.connect() as conn:
        lost, doubled = count_lost(conn, callers)
    return check(
        Measured(
            fault,
            callers.statuses("predict", watched.began),
            callers.statuses("feedback", watched.began),
            frozenset(watched.troubles),
            lost,
            doubled,
            well - ended,
        )
    )


def check(measured: Measured) -> Measured:
    """Keep what was measured, and compare it with the page."""
    MEASURED.append(measured)
    stated = rows()
    assert measured.fault in stated, f"docs/faults.md has no row '{measured.fault}'"
    assert differences(measured, stated[measured.fault]) == []
    return measured
