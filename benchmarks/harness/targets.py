"""Targets: what was measured, what it is held to, and whether that is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Target:
    """One number and its limit."""

    name: str
    measured: float
    side: Literal["at least", "at most"]
    limit: float
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether the number is on the right side; one that is missing is not."""
        return self.measured >= self.limit if self.side == "at least" else self.measured <= self.limit

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.__dict__, "met": self.met}


def show_targets(console: Console, targets: Sequence[Target]) -> None:
    """Print them as a table."""
    table = Table(title="Targets")
    for column in ("target", "measured", "wanted", "met"):
        table.add_column(column, justify="right" if column == "measured" else "left")
    for target in targets:
        # A digit more than the limit has, or -0.0018 would be shown as -0.00 beside -0.002.
        digits = max(2, len(f"{target.limit:g}".partition(".")[2]) + 1)
        table.add_row(
            target.name,
            f"{target.measured:.{digits}f} {target.unit}",
            f"{target.side} {target.limit:g} {target.unit}",
            "yes" if target.met else "[bold red]no[/]",
        )
    console.print(table)
