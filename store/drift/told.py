"""What a drift check found, as people read it: which part moved, and which of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PARTS = ("data", "answers", "labels")
"""What is told apart, in the order in which it is told; earlier releases looked at the data only."""
_SHOWN = 5


def parts_of(report: Mapping[str, Any], verdict: str) -> dict[str, str]:
    """Verdict of each part that was looked at."""
    told = report.get("parts") or {"data": verdict}
    return {name: str(told[name]) for name in PARTS if name in told}


def moved_columns(report: Mapping[str, Any], verdict: str) -> dict[str, list[str]]:
    """Part that has moved to its columns that did, by name."""
    return {
        name: _moved(columns_of(report, name))
        for name, one in parts_of(report, verdict).items()
        if one == "drift"
    }


def columns_of(report: Mapping[str, Any], part: str) -> Mapping[str, Mapping[str, Any]]:
    """What was measured of each column of a part."""
    of_part = report if part == "data" else report.get(part) or {}
    columns: Mapping[str, Mapping[str, Any]] = of_part.get("columns") or {}
    return columns


def tell_check(report: Mapping[str, Any], verdict: str) -> str:
    """What moved; else why it cannot be known, or that nothing did.

    >>> tell_check({"columns": {"ink": {"drifted": True}, "width": {"drifted": False}}}, "drift")
    'data moved: ink (1 of 2 columns)'
    """
    if moved := moved_columns(report, verdict):
        return "; ".join(_tell_part(name, ones, report) for name, ones in moved.items())
    if verdict == "too_little_evidence":
        return str(report.get("reason") or "too little evidence")
    columns = columns_of(report, "data")
    if some := _moved(columns):
        return f"{_listed(some)} moved, too few of {len(columns)} columns"
    return "nothing moved"


def _tell_part(name: str, moved: list[str], report: Mapping[str, Any]) -> str:
    columns = columns_of(report, name)
    if not moved:
        return f"{name} moved"
    noun = "column" if len(columns) == 1 else "columns"
    return f"{name} moved: {_listed(moved)} ({len(moved)} of {len(columns)} {noun})"


def _moved(columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return sorted(name for name, one in columns.items() if one.get("drifted"))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
