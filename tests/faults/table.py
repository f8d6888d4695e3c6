"""The table of docs/faults.md, and what a test has measured, compared cell by cell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from configs.settings import CHECKOUT

PAGE = CHECKOUT / "docs" / "faults.md"
HEADER = ("fault", "predictions", "feedback", "`/health` names", "lost", "doubled", "heals within")


@dataclass(frozen=True)
class Row:
    """What the page says of a fault."""

    fault: str
    predictions: frozenset[str]
    """Statuses that callers see, and `refused` or `cut` where a connection was."""
    feedback: frozenset[str]
    health: frozenset[str]
    """Dependencies, and problems of a use case, that `/health` names while it lasts; `-`: nothing."""
    perhaps: frozenset[str]
    """What it may name besides, as others are away too long, or a look comes too late; in parentheses."""
    lost: int
    doubled: int
    seconds: float


@dataclass(frozen=True)
class Measured:
    """What a test has seen; `seconds` from the end of the fault, or from a kill, until all was well."""

    fault: str
    predictions: frozenset[str]
    feedback: frozenset[str]
    health: frozenset[str]
    lost: int
    doubled: int
    seconds: float

    def cells(self) -> tuple[str, ...]:
        """As a row of the table."""
        return (
            self.fault,
            words(self.predictions),
            words(self.feedback),
            words(self.health),
            str(self.lost),
            str(self.doubled),
            f"{self.seconds:.1f} s",
        )


def words(values: Collection[str]) -> str:
    """How a cell lists values."""
    return ", ".join(sorted(values)) or "-"


def rows() -> dict[str, Row]:
    """Rows of the page by fault.

    Raises:
        ValueError: a row cannot be read.
    """
    stated: dict[str, Row] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
        if not line.startswith("|") or len(cells) != len(HEADER) or cells == HEADER or set(cells[0]) <= {"-"}:
            continue
        fault, predictions, feedback, health, lost, doubled, seconds = cells
        if fault in stated:
            raise ValueError(f"two rows of '{fault}'")
        stated[fault] = Row(
            fault,
            _values(predictions),
            _values(feedback),
            frozenset(name for name in _values(health) if not name.startswith("(")),
            frozenset(name.strip("()") for name in _values(health) if name.startswith("(")),
            int(lost),
            int(doubled),
            float(seconds.removesuffix(" s")),
        )
    return stated


def _values(cell: str) -> frozenset[str]:
    return frozenset() if cell == "-" else frozenset(value.strip(" `") for value in cell.split(","))


def differences(measured: Measured, row: Row) -> list[str]:
    """Where what was measured is worse than what the page says, or something that it does not say."""
    wrong = [
        f"{name}: saw {words(found)}; docs/faults.md says {words(stated)}"
        for name, found, stated in (
            ("predictions", measured.predictions, row.predictions),
            ("feedback", measured.feedback, row.feedback),
            ("/health", measured.health, row.health | row.perhaps),
        )
        if not found <= stated
    ]
    wrong += [f"/health did not name {name}" for name in row.health - measured.health]
    for name, count, stated_count in (
        ("lost", measured.lost, row.lost),
        ("doubled", measured.doubled, row.doubled),
    ):
        if count != stated_count:
            wrong.append(f"{name}: {count}; docs/faults.md says {stated_count}")
    if measured.seconds > row.seconds:
        wrong.append(f"healed after {measured.seconds:.1f} s; docs/faults.md says {row.seconds:g} s")
    return wrong
