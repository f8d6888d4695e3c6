"""What commands on labelled rows share: reasons as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.cli.terminal.output import result_console

if TYPE_CHECKING:
    from store.quarantine.reasons import RefusedReason


def print_reasons(reasons: Sequence[RefusedReason], most: int = 20) -> None:
    """Each reason with its count and example, a line each."""
    console = result_console()
    for one in reasons[:most]:
        console.print(f"  {one.sentence}")
    if len(reasons) > most:
        console.print(f"  and {len(reasons) - most} more reasons")
